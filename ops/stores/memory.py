"""A real store that forgets everything: for tests of actions in milliseconds. Not in the registry."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Self

from ops.errors import BackupError, RefusedError
from ops.fsio.atomic import write_new_file
from ops.ports.store import StoredFile
from ops.run.progress import Progress


@dataclass(slots=True)
class MemoryStore:
    """Files in a dictionary, with the promises of the port."""

    name: str = "memory"
    files: dict[str, bytes] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _put_at: dict[str, float] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def location(self) -> str:
        """There is no place."""
        return "memory"

    @contextlib.contextmanager
    def stage(self, key: str, *, folder: bool = False) -> Iterator[Path]:
        """A file or folder in a private temporary folder."""
        with tempfile.TemporaryDirectory(prefix="drillbook-stage-") as parent:
            path = Path(parent) / key.rpartition("/")[2]
            path.mkdir(0o700) if folder else path.touch(0o600)
            yield path

    def put(self, key: str, file: Path) -> None:
        """Remember the content of the file, or of all files of the folder."""
        with self._lock:
            self._put(key, file)

    def _put(self, key: str, file: Path) -> None:
        if any(name == key or name.startswith(f"{key}/") for name in self.files):
            message = f"{key} exists"
            raise RefusedError(message, code="refused.name_taken")
        if file.is_dir():
            inside = [path for path in file.rglob("*") if path.is_file()]
            self.files |= {f"{key}/{path.relative_to(file)}": path.read_bytes() for path in inside}
        else:
            self.files[key] = file.read_bytes()
            self._put_at[key] = self.clock()

    def open(self, key: str) -> BinaryIO:
        """The content as a stream."""
        return io.BytesIO(self._content(key))

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Write the content to a new file."""
        content = self._content(key)
        progress.step(f"fetching {key}", len(content))
        write_new_file(into, content)
        return hashlib.sha256(content).hexdigest()

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """The files in the dictionary."""
        return [
            StoredFile(key, len(content))
            for key, content in (*self.files.items(),)
            if key.startswith(prefix) and (prefix.startswith(".") or not key.startswith("."))
        ]

    def delete(self, key: str) -> None:
        """Forget the file or folder."""
        for name in [name for name in self.files if name == key or name.startswith(f"{key}/")]:
            del self.files[name]

    def abort_uploads(self, key: str) -> Sequence[str]:  # noqa: ARG002 - the port's
        """Nothing is ever half sent."""
        return ()

    def age(self, key: str) -> timedelta | None:
        """By the store's clock."""
        put_at = self._put_at.get(key)
        return None if key not in self.files or put_at is None else timedelta(seconds=self.clock() - put_at)

    def keeps_versions(self) -> bool | None:
        """It forgets everything."""
        return False

    def reconnect(self) -> Self:
        """There is no connection."""
        return self

    def _content(self, key: str) -> bytes:
        try:
            return self.files[key]
        except KeyError:
            message = f"{key} is not in store {self.name!r}"
            raise BackupError(message, code="backup.not_found") from None
