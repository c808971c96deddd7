"""What a store says of itself in `.drillbook/store.json`: which one it is, and who may still use it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from ops.errors import StoreError

FORMAT: Final = 1
_ID: Final = re.compile(r"[0-9a-f]{32}")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """`id`: 32 hex digits, the same for as long as the store is; `format` of what lies in it; `min_version`: the
    oldest Drillbook that may use it.
    """  # noqa: D205 - one sentence

    id: str
    format: int
    min_version: str

    def admits(self, version: str) -> bool:
        """Return whether a program of that version may use the store."""
        return self.format <= FORMAT and _numbers(version) >= _numbers(self.min_version)


def to_json(identity: StoreIdentity) -> bytes:
    """Return the file's content."""
    return (json.dumps(asdict(identity), indent=2) + "\n").encode("ascii")


def from_json(content: bytes, where: str) -> StoreIdentity:
    """Return what the file says, keys that are not known left aside; raises StoreError (`store.identity_invalid`)."""
    try:
        document: Any = json.loads(content)
        identity = StoreIdentity(document["id"], document["format"], document["min_version"])
        known = _ID.fullmatch(identity.id) and type(identity.format) is int and identity.format > 0
        _numbers(identity.min_version)
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(where) from error
    if not known:
        raise _invalid(where)
    return identity


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.match(version)
    if found is None:
        raise ValueError(version)
    return tuple(int(part or 0) for part in found.groups())


def _invalid(where: str) -> StoreError:
    message = f"{where} does not say which store this is: it is damaged, or another program's"
    hint = (
        "nothing in the store was changed; where no other program uses the place, remove that one file: the next backup"
        " writes a new one, and the backups are found as before"
    )
    return StoreError(message, code="store.identity_invalid", hint=hint)
