"""What every backup relies on, promise by promise: tried on a store, and what follows where one is not kept."""

from __future__ import annotations

import hashlib
import secrets
import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ops.errors import BackupError, OpsError, RefusedError
from ops.ports.store import Tried
from ops.repository.store_trial import PREFIX, BrokenError, Trial, expect, refuses

_AT_ONCE: Final = 4
_SIZES: Final = (0, 1, 70_000)
_SEVERAL: Final = 5
_LONG: Final = 200
_ODD: Final = " ü'\"%+&=;#"
_UNSAFE: Final = ("../x", "a/../b", "/a", "a//b", "a\0b", ".tmp-x", "")


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise in words, how it is tried, and what follows where it is not kept and backups are safe all the same.

    `removes`: keys that may not delete cannot try it.
    """

    words: str
    attempt: Callable[[Trial], None]
    follows: str = ""
    removes: bool = False


def _stores_files(trial: Trial) -> None:
    for size in _SIZES:
        key, content = trial.name(), secrets.token_bytes(size)
        trial.put(key, content)
        expect({key: size}, trial.listed(key), "listed with its size")
        expect(content, trial.read(key), "the content")


def _fetches(trial: Trial) -> None:
    key, content, into = trial.name(), secrets.token_bytes(70_000), trial.folder / "fetched"
    trial.put(key, content)
    digest = trial.store.get(key, into, trial.job.progress)
    expect(hashlib.sha256(content).hexdigest(), digest, "the digest")
    expect(content, into.read_bytes(), "the content")
    expect("0o600", oct(stat.S_IMODE(into.stat().st_mode)), "the mode")
    get = trial.store.get
    refuses(RefusedError, "refused.name_taken", lambda: get(key, into, trial.job.progress), "fetch again")
    expect(content, into.read_bytes(), "what was there")


def _never_replaces(trial: Trial) -> None:
    key = trial.name()
    trial.put(key, b"first")
    refuses(RefusedError, "refused.name_taken", lambda: trial.put(key, b"second"), "put again")
    expect(b"first", trial.read(key), "the content")


def _one_writer_wins(trial: Trial) -> None:
    key = trial.name()
    files = [trial.folder / f"writer-{number}" for number in range(_AT_ONCE)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number * 1000)
    gate = threading.Barrier(_AT_ONCE)
    won: list[int] = []
    failed: list[OpsError] = []

    def write(number: int) -> None:
        gate.wait()
        try:
            trial.store.put(key, files[number])
            won.append(number)
        except RefusedError:
            return
        except OpsError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    expect(1, len(won), "writers of one name that succeed at the same time")
    expect(b"%d" % won[0] * 1000, trial.read(key), "the content of the winner")


def _stores_folders(trial: Trial) -> None:
    key, files = trial.name(), {"toc": b"1", "data/2": b"22"}
    trial.put_folder(key, files)
    wanted = {f"{key}/{name}": len(content) for name, content in files.items()}
    expect(wanted, trial.listed(key), "listed with their sizes")
    expect(b"22", trial.read(f"{key}/data/2"), "the content")
    again = {"toc": b"2", "more": b""}
    refuses(RefusedError, "refused.name_taken", lambda: trial.put_folder(key, again), "put again")
    expect(wanted, trial.listed(key), "what was there")


def _hides_staged(trial: Trial) -> None:
    key = trial.name()
    with trial.store.stage(key) as staged:
        staged.write_bytes(b"half")
        expect({}, trial.listed(key), "listed while it is built")
    expect({}, trial.listed(key), "listed though it was never put")
    if staged.exists():
        raise BrokenError("a staged file that is gone", str(staged))


def _says_what_is_missing(trial: Trial) -> None:
    key = trial.name()
    refuses(BackupError, "backup.not_found", lambda: trial.store.open(key), "open what is not there")
    into, get = trial.folder / "missing", trial.store.get
    refuses(BackupError, "backup.not_found", lambda: get(key, into, trial.job.progress), "fetch it")
    if into.exists():
        raise BrokenError("no file", "an empty one was left")


def _refuses_unsafe_names(trial: Trial) -> None:
    for key in _UNSAFE:
        try:
            trial.store.open(key).close()
        except RefusedError:
            continue
        except BackupError:
            continue  # a store without paths cannot be led out of one
        raise BrokenError(f"{key!r} is refused", "it was opened")


def _stores_in_pieces(trial: Trial) -> None:
    size = 2 * trial.store.in_pieces if isinstance(trial.store, Tried) else 0
    key, into = trial.name(), trial.folder / "large"
    digest = trial.put_large(key, size)
    expect({key: size}, trial.listed(key), "listed with its size")
    expect(digest, trial.store.get(key, into, trial.job.progress), "the digest")
    into.unlink()


def _tells_at_once(trial: Trial) -> None:
    key = trial.name()
    for content in (b"first", b"second"):
        trial.put(key, content)
        expect({key: len(content)}, trial.listed(key), "listed right after it was put")
        expect(content, trial.read(key), "read right after it was put")
        trial.store.delete(key)
        expect({}, trial.listed(key), "listed right after it was removed")
        refuses(
            BackupError, "backup.not_found", lambda: trial.store.open(key), "open right after it was removed"
        )


def _lists_each_once(trial: Trial) -> None:
    base = trial.name()
    keys = [trial.name() for _ in range(_SEVERAL)]
    for key in keys:
        trial.put(key, b"x")
    trial.put(base, b"x")
    found = [stored.key for stored in trial.store.list(PREFIX)]
    expect([1] * len(keys), [found.count(key) for key in keys], "how often each is listed")
    expect([base], [stored.key for stored in trial.store.list(base)], "listed by its beginning")


def _keeps_own_apart(trial: Trial) -> None:
    key = trial.own_name()
    trial.put(key, b"x")
    expect({key: 1}, trial.listed(key), "listed where it is asked for")
    among = [stored.key for stored in trial.store.list() if stored.key == key]
    expect([], among, "listed among backups")
    trial.store.delete(key)
    expect({}, trial.listed(key), "listed when it was removed")


def _takes_long_and_odd_names(trial: Trial) -> None:
    start = trial.name()
    for key in (f"{start}{_ODD}.db", f"{start}{'x' * (_LONG - len(start))}"):
        trial.used.append(key)
        trial.put(key, b"x")
        expect({key: 1}, trial.listed(key), "listed by its name")
        expect(b"x", trial.read(key), "the content")


def _removes_several_at_once(trial: Trial) -> None:
    keys = [trial.name() for _ in range(_AT_ONCE)]
    for key in keys:
        trial.put(key, b"x")
    folder = trial.name()
    trial.put_folder(folder, {"toc": b"1", "data/2": b"22"})
    _all_at_once(lambda key: lambda: trial.store.delete(key), [*keys, keys[0], folder, folder])
    expect([{}] * (_AT_ONCE + 1), [trial.listed(key) for key in (*keys, folder)], "what is left of each")


def _all_at_once(make: Callable[[str], Callable[[], None]], keys: Iterable[str]) -> None:
    """Do it for all keys at once; raises the first error."""
    failed: list[OpsError] = []

    def do(work: Callable[[], None]) -> None:
        try:
            work()
        except OpsError as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(make(key),)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


PROMISES: Final = (
    Promise("a file is listed with its size and read as it was put", _stores_files),
    Promise("a file is fetched privately, with its digest, and never over another", _fetches),
    Promise("a name is written once", _never_replaces),
    Promise(
        "of several writers of one name, one wins",
        _one_writer_wins,
        "Drillbook takes names under .drillbook/writing/ before it sends anything; other programs may overwrite there",
    ),
    Promise("a folder is put as one, and once", _stores_folders),
    Promise("what is being built is not listed", _hides_staged),
    Promise("what is not there is said", _says_what_is_missing),
    Promise("a name that leads out of the store is refused", _refuses_unsafe_names),
    Promise("what was put or removed a moment ago is told as it is now", _tells_at_once, removes=True),
    Promise("a listing tells each name once, also those with one beginning alone", _lists_each_once),
    Promise(
        "what is no backup lies apart, and no listing of backups tells it", _keeps_own_apart, removes=True
    ),
    Promise(
        "names of 200 characters, with spaces, quotes and letters beyond ASCII, are kept as they are",
        _takes_long_and_odd_names,
        "names as Drillbook makes them are short and plain; give none of another kind with --out",
    ),
    Promise(
        "several removals at once, also of one file, all end well",
        _removes_several_at_once,
        "backup.prune may have to be run again before all is removed",
        removes=True,
    ),
)
IN_PIECES: Final = Promise("a file that is sent in several pieces arrives whole", _stores_in_pieces)
"""For stores that have such files."""
