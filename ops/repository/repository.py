"""Where backups are made, and how they get there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.ports import Cipher, Store


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the backups of a source are made; in a store that holds sealed ones only, how they get there."""

    store: Store
    sealed: SealedHow | None = None


@dataclass(frozen=True, slots=True)
class SealedHow:
    """By which cipher, where scratch places are made until then, and what makes a store of such a place."""

    cipher: Cipher
    scratch: Path
    plain_store: Callable[[Path], Store]
