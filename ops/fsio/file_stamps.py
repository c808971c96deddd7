"""Whether files are still the same, for a whole folder at once and without opening any of them."""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Final

WIDTH: Final = 5
"""Numbers a file: mode, size, time of the last write, time of the last change of anything, inode."""
NO_FILE: Final = (0,) * WIDTH
UNSETTLED: Final = (1,) * WIDTH
_ABSENT: Final = -1
_NO_FILE: Final = -2
_SETTLED_AFTER_NS: Final = 2_000_000_000
"""Two changes within one tick of a file system's clock leave the same time; the coarsest tick is FAT's."""
_facts_of = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_mode_and_size_of = attrgetter("st_mode", "st_size")
_MODE, _WRITTEN, _CHANGED = 0, 2, 3

Look = Callable[[str], os.stat_result]


def names_in(folder: Path, suffix: str) -> tuple[list[str], list[str]]:
    """The names in `folder` that end with `suffix`, and the others; none that begins with a dot. Raises OSError."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    return [name for name in names if name.endswith(suffix)], [
        name for name in names if not name.endswith(suffix)
    ]


def file_stamps(folder: Path, names: Sequence[str]) -> bytes:
    """`WIDTH` numbers of 64 bits for each of the files: others as soon as the file is another.

    `NO_FILE` for what is no regular file, or gone; `UNSETTLED` for a file that changed so recently, or in the future,
    that it may change once more and have the same numbers. Raises OSError.
    """
    before = time.time_ns() - _SETTLED_AFTER_NS
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _numbers(names, partial(os.stat, dir_fd=descriptor, follow_symlinks=False), before)
    finally:
        os.close(descriptor)


def file_stamps_of_child(folder: Path, names: Sequence[str]) -> bytes:
    """The same in a process whose current folder may change: names without a folder are found a third faster."""
    before = time.time_ns() - _SETTLED_AFTER_NS
    os.chdir(folder)
    return _numbers(names, os.lstat, before)


def _numbers(names: Sequence[str], look: Look, before: int) -> bytes:
    """Asked of all at once, which is enough nearly always, and else of each."""
    try:
        numbers = array("Q", chain.from_iterable(map(_facts_of, map(look, names))))
    except (FileNotFoundError, OverflowError):
        pass
    else:
        newest = max(max(numbers[which::WIDTH], default=0) for which in (_WRITTEN, _CHANGED))
        if newest < before and all(map(stat.S_ISREG, set(numbers[_MODE::WIDTH]))):
            return numbers.tobytes()
    return array("Q", chain.from_iterable(_one(name, look, before) for name in names)).tobytes()


def _one(name: str, look: Look, before: int) -> tuple[int, ...]:
    try:
        facts: tuple[int, ...] = _facts_of(look(name))
    except FileNotFoundError:
        return NO_FILE
    if not stat.S_ISREG(facts[_MODE]):
        return NO_FILE
    fits = all(0 <= number < 1 << 64 for number in facts)
    return facts if fits and max(facts[_WRITTEN], facts[_CHANGED]) < before else UNSETTLED


def file_sizes(folder: Path, names: Sequence[str]) -> bytes:
    """The size of each of these in `folder` as a signed number of 64 bits: -1 for what is not there, or is a link or a pipe, -2 for a folder.

    Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        look = partial(os.stat, dir_fd=descriptor, follow_symlinks=False)
        return _sizes(names, look).tobytes()
    finally:
        os.close(descriptor)


def _sizes(names: Sequence[str], look: Look) -> array[int]:
    """Asked of all at once, which is enough nearly always, and else of each."""
    try:
        pairs = array("q", chain.from_iterable(map(_mode_and_size_of, map(look, names))))
    except FileNotFoundError:
        pass
    else:
        if all(map(stat.S_ISREG, set(pairs[::2]))):
            return pairs[1::2]
    return array("q", map(partial(_size, look), names))


def _size(look: Look, name: str) -> int:
    try:
        facts = look(name)
    except FileNotFoundError:
        return _ABSENT
    if stat.S_ISREG(facts.st_mode):
        return facts.st_size
    # A link, a pipe: nothing that was ever stored.
    return _NO_FILE if stat.S_ISDIR(facts.st_mode) else _ABSENT
