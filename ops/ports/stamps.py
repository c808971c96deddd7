"""A smaller port: a store that can tell, without opening a file, whether its content is still the same."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

Stamp: TypeAlias = tuple[int, ...]
"""Five numbers below 2**64: others as soon as the content may be another."""
WIDTH: Final = 5
ABSENT: Final = -1
NOT_A_FILE: Final = -2
NO_FILE: Final = (0,) * WIDTH
"""Stands for what is no file, or gone meanwhile."""
UNSETTLED: Final = (1,) * WIDTH
"""Stands for a file that may still change without another stamp."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """What lies in a store itself, without what lies in its folders.

    `keys`: the files that were asked for; `others`: names of what else is there, possibly of things that are no files.
    `numbers` waits for the stamps of `keys`, one after the other, as 64-bit numbers. `sizes` says how large what has these
    names is now: bytes, `ABSENT`, or `NOT_A_FILE` for a folder.
    """

    keys: Sequence[str]
    others: Sequence[str]
    numbers: Callable[[], bytes]
    sizes: Callable[[Sequence[str]], Sequence[int]]


@runtime_checkable
class Stamped(Protocol):
    """A store with stamps. Methods raise StoreError."""

    def stamps(self, suffix: str, known: Callable[[], Sequence[str]]) -> Stamps:
        """The stamps of the files whose keys end with `suffix`, of what they hold now: read them after this.

        `known`: keys that were there once; where there is much to look through they say where to begin at once.
        """


def packed(stamp: Stamp) -> bytes:
    """Return a stamp as it stands among `numbers`."""
    return array("Q", stamp).tobytes()


PACKED_WIDTH: Final = len(packed(NO_FILE))
