"""Looking over a program's shoulder: the arguments and environments of all that it starts, and its temporary files.

Two ways at once. Programs that are first on PATH write down what they are given before they become the real ones, so
that none is missed; and /proc is read as fast as it goes, for programs that are started by their own path, and for
what they make of their arguments later.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import stat
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.secrets.planted import Canaries

_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_MOST_BYTES: Final = 4 << 20
_BETWEEN: Final = b"\0 what stands before this are arguments, what stands after it are variables \0"
_RECORDER: Final = """#!/bin/sh
/bin/cat /proc/$$/cmdline {records}/between /proc/$$/environ >{records}/{name}.$$
if [ -n "$PGPASSFILE" ]; then
  /usr/bin/stat -c %a "$PGPASSFILE" "${{PGPASSFILE%/*}}" >{records}/passfile.$$
fi
case "$*" in *--dbname=*)
  if [ -e {records}/hold ]; then : >{records}/held; fi
  while [ -e {records}/hold ]; do /bin/sleep 0.02; done
esac
{command} "$@"
"""
"""While there is a file `hold`, what would connect to a server waits, and says so with a file `held`."""
_PREFIXES: Final = {"sh", "dash", "bash", "env", "unshare", "setpriv"}
OURS: Final = {"cat", "sleep", "stat"}
"""What a recorder runs itself."""


@dataclass(frozen=True)
class Started:
    """A program, and what it was given."""

    program: str
    cmdline: bytes
    environ: bytes


@dataclass(frozen=True)
class Seen:
    """A temporary file in which there was a secret, which one, and whether only its owner could read it."""

    path: Path
    secret: str
    private: bool


def recorder(folder: Path, name: str, command: str, records: Path) -> Path:
    """A program `name` in `folder` that writes down what it is given, and goes on as the shell command `command`."""
    path = folder / name
    path.write_text(_RECORDER.format(records=shlex.quote(str(records)), name=name, command=command))
    path.chmod(0o755)
    return path


def prepare_records(records: Path) -> None:
    """Make `records` a folder that programs of every user can write to."""
    records.chmod(0o1777)
    (records / "between").write_bytes(_BETWEEN)


def recorded(records: Path) -> Iterator[Started]:
    """What the recorders have written down."""
    for path in sorted(records.iterdir()):
        cmdline, between, environ = path.read_bytes().partition(_BETWEEN)
        if between and cmdline:
            yield Started(path.name.partition(".")[0], cmdline, environ)


def passfile_modes(records: Path) -> set[str]:
    """The modes of password files and of their folders, as the programs found them."""
    return {path.read_text() for path in records.glob("passfile.*")}


def program_of(cmdline: bytes) -> str:
    """What a command line runs: the program, or the script that a shell, Python or a prefix runs."""
    words = os.fsdecode(cmdline).rstrip("\0").split("\0")
    names = [os.path.basename(word) for word in words]
    if "pyrage_filter.py" in names[:4]:
        return "age-library"
    if "--multiprocessing-fork" in words or "resource_tracker" in words[-1]:
        return "worker"
    if names[0] == "sh" and words[1] == "-c":
        # Either a script of ours, or the one command of a program that calls another.
        return os.path.basename(shlex.split(words[2])[0]) if "\n" not in words[2] else "sh"
    rest = zip(names, words, strict=True)
    named = itertools.dropwhile(lambda one: one[0] in _PREFIXES or one[1][:1] == "-" or "=" in one[1], rest)
    return next(named, (names[0], ""))[0].partition(":")[0]


class Watch:
    """Watches what the processes `roots` start, and everything in `folder`, for as long as the block runs."""

    def __init__(self, folder: Path, canaries: Canaries) -> None:
        self.folder = folder
        self.canaries = canaries
        self.roots: set[int] = set()
        self.started: set[Started] = set()
        self.files: set[Seen] = set()
        self._known: set[tuple[int, int, int, int]] = set()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=look) for look in (self._processes, self._files)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _processes(self) -> None:
        while not self._over.wait(0.01):
            for root in list(self.roots):
                for pid, above in _descendants(root):
                    with contextlib.suppress(OSError):
                        cmdline = Path(f"/proc/{pid}/cmdline").read_bytes()
                        # One that was forked and has not become its program yet has the arguments of who forked it.
                        if cmdline and cmdline != above:
                            environ = Path(f"/proc/{pid}/environ").read_bytes()
                            self.started.add(Started(program_of(cmdline), cmdline, environ))

    def _files(self) -> None:
        while not self._over.wait(0.01):
            for path in _files_below(self.folder):
                with contextlib.suppress(OSError):
                    self._look_at(path)

    def _look_at(self, path: Path) -> None:
        status, above = path.lstat(), path.parent.lstat()
        version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if version in self._known:
            return
        self._known.add(version)
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES:
            private = not (stat.S_IMODE(status.st_mode) & ~_PRIVATE_FILE) and not (
                stat.S_IMODE(above.st_mode) & ~_PRIVATE_FOLDER
            )
            self.files |= {Seen(path, name, private) for name in self.canaries.found_in(path.read_bytes())}


def _descendants(pid: int) -> Iterator[tuple[int, bytes]]:
    """All below `pid`, each with the arguments of who started it."""
    with contextlib.suppress(OSError):
        cmdline = Path(f"/proc/{pid}/cmdline").read_bytes()
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield int(child), cmdline
                yield from _descendants(int(child))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files but those of a server's tables, which are many and hold no secret of ours."""
    for place, folders, names in os.walk(folder):
        if "PG_VERSION" in names:
            folders.clear()
        yield from (Path(place, name) for name in names)


def short_folder() -> Path:
    """A new folder whose name is short enough for the sockets that lie below it."""
    return Path(tempfile.mkdtemp(prefix="dbs-", dir="/tmp"))
