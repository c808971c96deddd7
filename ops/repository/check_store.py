"""Whether a store keeps its promises: each one tried on the operator's own store, with names that nobody uses.

A server that speaks S3 may ignore a condition that another one honours; then backups could be overwritten, and nothing
but trying it shows that.
"""

from __future__ import annotations

import hashlib
import secrets
import stat
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import BackupError, OpsError, RefusedError
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.ports.store import Store
from ops.run.job import Job

_PREFIX: Final = "drillbook-check-"
_WRITERS: Final = 4
_SIZES: Final = (0, 1, 70_000)
_UNSAFE: Final = ("../x", "a/../b", "/a", "a//b", "a\0b", ".tmp-x", "")


class _BrokenError(Exception):
    """A promise is not kept: what was expected, and what was found."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(found)
        self.expected, self.found = expected, found


@dataclass(slots=True)
class _Trial:
    """A store, a private folder here, and the names that were used."""

    store: Store
    folder: Path
    job: Job
    used: list[str] = field(default_factory=list)

    def name(self, suffix: str = "") -> str:
        """A name that was never used before."""
        name = f"{_PREFIX}{secrets.token_hex(8)}{suffix}"
        self.used.append(name)
        return name

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
            for stored in self.store.list()
            if stored.key == key or stored.key.startswith(f"{key}/")
        }


def check_store(store: Store, job: Job) -> list[Finding]:
    """One finding for each promise of the port, and one for what could not be removed again.

    Uses names of its own below `drillbook-check-`, and touches nothing else.
    """
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        trial = _Trial(store, folder, job)
        findings = [_tried(trial, promise, attempt) for promise, attempt in _PROMISES.items()]
        return [*findings, *_clean_up(trial)]


def _tried(trial: _Trial, promise: str, attempt: Callable[[_Trial], None]) -> Finding:
    where = trial.store.location
    try:
        with trial.job.step("check promise"):
            attempt(trial)
    except _BrokenError as broken:
        return Finding(
            severity=Severity.CRITICAL,
            code="promise.broken",
            message=f"not kept: {promise}",
            where=where,
            expected=broken.expected,
            found=broken.found,
        )
    except OpsError as error:
        message = f"could not be tried: {promise}: {error.message}"
        return Finding(severity=Severity.CRITICAL, code=error.code, message=message, where=where)
    return Finding(severity=Severity.OK, code="promise.kept", message=promise, where=where)


def _expect(expected: object, found: object, what: str) -> None:
    if expected != found:
        raise _BrokenError(f"{what}: {expected!r}"[:300], repr(found)[:300])


def _refuses(kind: type[OpsError], code: str, call: Callable[[], object], what: str) -> None:
    """Return when `call` raises an error of that kind and code; let other failures through."""
    try:
        call()
    except kind as error:
        _expect(code, error.code, what)
        return
    raise _BrokenError(f"{what}: {code}", "it was done")


def _stores_files(trial: _Trial) -> None:
    for size in _SIZES:
        key, content = trial.name(), secrets.token_bytes(size)
        trial.put(key, content)
        _expect({key: size}, trial.listed(key), "listed with its size")
        _expect(content, trial.read(key), "the content")


def _fetches(trial: _Trial) -> None:
    key, content, into = trial.name(), secrets.token_bytes(70_000), trial.folder / "fetched"
    trial.put(key, content)
    digest = trial.store.get(key, into, trial.job.progress)
    _expect(hashlib.sha256(content).hexdigest(), digest, "the digest")
    _expect(content, into.read_bytes(), "the content")
    _expect("0o600", oct(stat.S_IMODE(into.stat().st_mode)), "the mode")
    get = trial.store.get
    _refuses(RefusedError, "refused.name_taken", lambda: get(key, into, trial.job.progress), "fetch again")
    _expect(content, into.read_bytes(), "what was there")


def _never_replaces(trial: _Trial) -> None:
    key = trial.name()
    trial.put(key, b"first")
    _refuses(RefusedError, "refused.name_taken", lambda: trial.put(key, b"second"), "put again")
    _expect(b"first", trial.read(key), "the content")


def _one_writer_wins(trial: _Trial) -> None:
    key = trial.name()
    gate = threading.Barrier(_WRITERS)
    won: list[int] = []
    failed: list[OpsError] = []

    def write(number: int) -> None:
        file = trial.folder / f"writer-{number}"
        file.write_bytes(b"%d" % number * 1000)
        gate.wait()
        try:
            trial.store.put(key, file)
            won.append(number)
        except RefusedError:
            return
        except OpsError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    _expect(1, len(won), "writers of one name that succeed at the same time")
    _expect(b"%d" % won[0] * 1000, trial.read(key), "the content of the winner")


def _stores_folders(trial: _Trial) -> None:
    key, files = trial.name(), {"toc": b"1", "data/2": b"22"}
    trial.put_folder(key, files)
    wanted = {f"{key}/{name}": len(content) for name, content in files.items()}
    _expect(wanted, trial.listed(key), "listed with their sizes")
    _expect(b"22", trial.read(f"{key}/data/2"), "the content")
    again = {"toc": b"2", "more": b""}
    _refuses(RefusedError, "refused.name_taken", lambda: trial.put_folder(key, again), "put again")
    _expect(wanted, trial.listed(key), "what was there")


def _hides_staged(trial: _Trial) -> None:
    key = trial.name()
    with trial.store.stage(key) as staged:
        staged.write_bytes(b"half")
        _expect({}, trial.listed(key), "listed while it is built")
    _expect({}, trial.listed(key), "listed though it was never put")
    if staged.exists():
        raise _BrokenError("a staged file that is gone", str(staged))


def _says_what_is_missing(trial: _Trial) -> None:
    key = trial.name()
    _refuses(BackupError, "backup.not_found", lambda: trial.store.open(key), "open what is not there")
    into, get = trial.folder / "missing", trial.store.get
    _refuses(BackupError, "backup.not_found", lambda: get(key, into, trial.job.progress), "fetch it")
    if into.exists():
        raise _BrokenError("no file", "an empty one was left")


def _refuses_unsafe_names(trial: _Trial) -> None:
    for key in _UNSAFE:
        try:
            trial.store.open(key).close()
        except RefusedError:
            continue
        except BackupError:
            continue  # a store without paths can not be led out of one
        raise _BrokenError(f"{key!r} is refused", "it was opened")


_PROMISES: Final[dict[str, Callable[[_Trial], None]]] = {
    "a file is listed with its size and read as it was put": _stores_files,
    "a file is fetched privately, with its digest, and never over another": _fetches,
    "a name is written once": _never_replaces,
    "of several writers of one name, one wins": _one_writer_wins,
    "a folder is put as one, and once": _stores_folders,
    "what is being built is not listed": _hides_staged,
    "what is not there is said": _says_what_is_missing,
    "a name that leads out of the store is refused": _refuses_unsafe_names,
}


def _clean_up(trial: _Trial) -> list[Finding]:
    """Whether the names that were used are gone again; where they may not be removed, which stay."""
    left, why = [], ""
    for key in trial.used:
        try:
            if trial.listed(key):
                trial.store.delete(key)
                trial.store.delete(key)
        except OpsError as error:
            left.append(key)
            why = f"{error.code}: {error.message}"
    where = trial.store.location
    if left:
        message = f"{len(left)} names of this check stay: {', '.join(left)} ({why})"
        return [Finding(severity=Severity.WARNING, code="promise.left_behind", message=message, where=where)]
    still = [key for key in trial.used if trial.listed(key)]
    promise = "what is removed is gone, and removing it again is fine"
    if still:
        message = f"not kept: {promise}"
        found = ", ".join(still)
        return [
            Finding(
                severity=Severity.CRITICAL,
                code="promise.broken",
                message=message,
                where=where,
                expected="none of the names",
                found=found,
            )
        ]
    return [Finding(severity=Severity.OK, code="promise.kept", message=promise, where=where)]
