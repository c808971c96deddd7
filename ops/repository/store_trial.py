"""A store that is tried: with names that nobody uses, the way backups use it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.ports.store import OWN_PREFIX, Store
from ops.run.job import Job

PREFIX: Final = "drillbook-check-"
_BLOCK: Final = 1 << 20


class BrokenError(Exception):
    """A promise is not kept: what was expected, and what was found."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(found)
        self.expected, self.found = expected, found


@dataclass(slots=True)
class Trial:
    """A store, a private folder here, and the names that were used."""

    store: Store
    folder: Path
    job: Job
    used: list[str] = field(default_factory=list)

    def name(self, suffix: str = "") -> str:
        """A name that was never used before."""
        name = f"{PREFIX}{secrets.token_hex(8)}{suffix}"
        self.used.append(name)
        return name

    def own_name(self) -> str:
        """A key that was never used before, of what is no backup."""
        key = f"{OWN_PREFIX}{PREFIX}{secrets.token_hex(8)}"
        self.used.append(key)
        return key

    def put_large(self, key: str, size: int) -> str:
        """Store a file of that size; its SHA-256."""
        block, digest = secrets.token_bytes(_BLOCK), hashlib.sha256()
        with self.store.stage(key) as staged:
            with staged.open("wb") as file:
                for start in range(0, size, _BLOCK):
                    part = block[: size - start]
                    file.write(part)
                    digest.update(part)
            self.store.put(key, staged)
        return digest.hexdigest()

    def put(self, key: str, content: bytes) -> None:
        """Store `content` the way backups are."""
        with self.store.stage(key) as staged:
            staged.write_bytes(content)
            self.store.put(key, staged)

    def put_folder(self, key: str, files: dict[str, bytes]) -> None:
        """Store a folder the way backups are."""
        with self.store.stage(key, folder=True) as staged:
            for name, content in files.items():
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_bytes(content)
            self.store.put(key, staged)

    def read(self, key: str) -> bytes:
        """The stored bytes."""
        with self.store.open(key) as file:
            return file.read()

    def listed(self, key: str) -> dict[str, int]:
        """Name and size of what is listed as `key` or below it."""
        return {
            stored.key: stored.size
            for stored in self.store.list(key)
            if stored.key == key or stored.key.startswith(f"{key}/")
        }


def expect(expected: object, found: object, what: str) -> None:
    """Return when both are equal; raises BrokenError."""
    if expected != found:
        raise BrokenError(f"{what}: {expected!r}"[:300], repr(found)[:300])


def refuses(kind: type[OpsError], code: str, call: Callable[[], object], what: str) -> None:
    """Return when `call` raises an error of that kind and code; let other failures through."""
    try:
        call()
    except kind as error:
        expect(code, error.code, what)
        return
    raise BrokenError(f"{what}: {code}", "it was done")
