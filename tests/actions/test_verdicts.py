"""FAILED is said of bytes and data that were read and are wrong; all else leaves the verdict open."""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import BackupError, OpsError, StoreError
from ops.formats import manifest as manifest_files
from ops.formats.names import checksum_key, manifest_key
from ops.model.evidence import Evidence, Level
from ops.model.findings import Severity, Verdict, worst
from ops.model.requests import Assertion
from ops.ports.store import StoredFile
from ops.repository.backup import Backup
from ops.repository.catalog import read_named
from ops.repository.fetch import payload_here
from ops.repository.find import find_backup
from ops.repository.freshness import examine_age, examine_proven, examine_undecided, examine_verified
from ops.repository.listing import list_backups
from ops.repository.record_evidence import keep_evidence
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import Progress
from ops.sources.sqlite import check
from ops.sources.sqlite.connection import connect_still
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.conftest import execute, run_drillbook
from tests.histories import looked_at, whose

Lie = Callable[["LyingStore", str, bytes], bytes]


@dataclass(slots=True)
class LyingStore(MemoryStore):
    """A store whose answers about payloads go through `lie`, and whose listings through `listed`."""

    lie: Lie | None = None
    listed: Callable[[StoredFile], StoredFile | None] | None = None
    asked: list[str] = field(default_factory=list)

    def open(self, key: str) -> BinaryIO:
        """What it says that the file holds."""
        with MemoryStore.open(self, key) as file:
            content = file.read()
        self.asked.append(key)
        return io.BytesIO(content if self.lie is None else self.lie(self, key, content))

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """What arrives."""
        before, self.files = self.files, dict(self.files)
        with self.open(key) as file:
            self.files[key] = file.read()
        try:
            return MemoryStore.get(self, key, into, progress)
        finally:
            self.files = before

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """What it says that there is."""
        for stored in MemoryStore.list(self, prefix):
            told = stored if self.listed is None else self.listed(stored)
            if told is not None:
                yield told


def of_payload(lie: Lie) -> Lie:
    """The lie, told of payloads alone."""
    return lambda store, key, content: lie(store, key, content) if key.endswith(".db") else content


def cut(store: LyingStore, key: str, content: bytes) -> bytes:
    """The connection breaks."""
    raise StoreError("the connection broke", code="store.unreachable")


def expired(store: LyingStore, key: str, content: bytes) -> bytes:
    """The credentials have expired."""
    raise StoreError("expired", code="store.credentials_expired")


def flipped(store: LyingStore, key: str, content: bytes) -> bytes:
    """One bit is another, each time."""
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


def flipped_once(store: LyingStore, key: str, content: bytes) -> bytes:
    """One bit is another, the first time."""
    return flipped(store, key, content) if store.asked.count(key) == 1 else content


def never_twice(store: LyingStore, key: str, content: bytes) -> bytes:
    """Each answer is another."""
    at = store.asked.count(key)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def half(store: LyingStore, key: str, content: bytes) -> bytes:
    """Half of the file, each time."""
    return content[: len(content) // 2]


def half_once(store: LyingStore, key: str, content: bytes) -> bytes:
    """Half of the file, the first time."""
    return half(store, key, content) if store.asked.count(key) == 1 else content


def longer(store: LyingStore, key: str, content: bytes) -> bytes:
    """One byte more, each time."""
    return content + b"x"


def nothing(store: LyingStore, key: str, content: bytes) -> bytes:
    """An empty answer, each time."""
    return b""


def page(store: LyingStore, key: str, content: bytes) -> bytes:
    """A web page, the first time."""
    return b"<html>Please log in</html>" if store.asked.count(key) == 1 else content


def gone(store: LyingStore, key: str, content: bytes) -> bytes:
    """The file is not there."""
    raise BackupError(f"{key} is not there", code="backup.not_found")


def unplugged(store: LyingStore, key: str, content: bytes) -> bytes:
    """From now on nothing is there."""
    store.files.clear()
    raise BackupError(f"{key} is not there", code="backup.not_found")


def hidden(suffix: str) -> Callable[[StoredFile], StoredFile | None]:
    """A listing that does not show such files."""
    return lambda stored: None if stored.key.endswith(suffix) else stored


def sizeless(stored: StoredFile) -> StoredFile:
    """A listing without sizes."""
    return StoredFile(stored.key, 0)


@pytest.fixture
def lying(source: SqliteSource) -> LyingStore:
    """A store that tells the truth as yet, with one backup."""
    store = LyingStore()
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    store.asked.clear()
    return store


def only(store: LyingStore) -> Backup:
    """The backup, as the store tells of it now."""
    (name,) = (key for key in store.files if key.endswith(".db"))
    return read_named(store, name)


VERBS: dict[str, Callable[[Backup, SqliteSource, Path], Evidence]] = {
    "quick": lambda backup, source, scratch: verify_backup(
        backup, source, VerifyRequest(Level.QUICK, scratch), Job()
    ),
    "full": lambda backup, source, scratch: verify_backup(
        backup, source, VerifyRequest(Level.FULL, scratch), Job()
    ),
    "drill": lambda backup, source, scratch: run_drill(backup, source, DrillRequest(scratch=scratch), Job()),
}
OPEN, BAD = Verdict.INCONCLUSIVE, Verdict.FAILED
LIES = [
    (of_payload(cut), None, OPEN, "store.unreachable"),
    (of_payload(expired), None, OPEN, "store.credentials_expired"),
    (of_payload(flipped), None, BAD, "backup.checksum_mismatch"),
    (of_payload(flipped_once), None, OPEN, "store.unstable"),
    (of_payload(never_twice), None, OPEN, "store.unstable"),
    (of_payload(half), None, OPEN, "store.unstable"),
    (of_payload(half_once), None, OPEN, "store.unstable"),
    (of_payload(longer), None, OPEN, "store.unstable"),
    (of_payload(nothing), None, OPEN, "store.unstable"),
    (of_payload(page), None, OPEN, "store.unstable"),
    (of_payload(gone), None, OPEN, "store.unstable"),
    (None, hidden(".db"), OPEN, "store.unstable"),
    (None, sizeless, OPEN, "store.unstable"),
    (None, lambda stored: StoredFile(stored.key, stored.size + 1), OPEN, "store.unstable"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("lie", "listed", "verdict", "code"), LIES)
def test_lies(
    lying: LyingStore,
    source: SqliteSource,
    scratch: Path,
    verb: str,
    lie: Lie | None,
    listed: Callable[[StoredFile], StoredFile | None] | None,
    verdict: Verdict,
    code: str,
) -> None:
    """What two looks agree on makes a verdict; what they do not leaves it open, and says what it was."""
    backup = only(lying)
    lying.lie, lying.listed = lie, listed
    evidence = replace(VERBS[verb](backup, source, scratch))
    assert (evidence.verdict, code in {item.code for item in evidence.findings}) == (verdict, True)
    assert not list(scratch.glob("*/*.db"))


@pytest.mark.parametrize(("lie", "listed", "verdict", "code"), LIES)
def test_lies_and_a_restore(
    lying: LyingStore,
    source: SqliteSource,
    scratch: Path,
    tmp_path: Path,
    lie: Lie | None,
    listed: Callable[[StoredFile], StoredFile | None] | None,
    verdict: Verdict,
    code: str,
) -> None:
    """A restore of what could not be read as it was recorded is refused, and says whose fault it is; so is a copy."""
    backup, target = only(lying), tmp_path / "new.db"
    lying.lie, lying.listed = lie, listed
    request = RestoreRequest(
        scratch=scratch, safety=Repository(store=MemoryStore()), sources=[source], to=str(target)
    )
    with pytest.raises(OpsError) as raised:
        restore_backup(backup, source, request, Job())
    assert (raised.value.code == "backup.not_restorable") == (verdict is BAD)
    assert not target.exists()
    lying.asked.clear()
    if listed is None:
        with pytest.raises(OpsError) as raised, payload_here(backup, scratch, Job()):
            pytest.fail("it was read")
        assert raised.value.code == code


def test_unplugged(lying: LyingStore, source: SqliteSource, scratch: Path) -> None:
    """Where nothing of a backup is left at the second look it has gone, and there is no verdict."""
    backup = only(lying)
    lying.lie = of_payload(unplugged)
    with pytest.raises(BackupError) as raised:
        VERBS["drill"](backup, source, scratch)
    assert raised.value.code == "backup.not_found"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda content: content[:-1], "backup.size_mismatch"),
        (lambda content: content + b"x", "backup.size_mismatch"),
        (lambda _: b"", "backup.size_mismatch"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "backup.checksum_mismatch"),
        (None, "backup.payload_missing"),
    ],
)
def test_what_is_really_damaged_failed(
    lying: LyingStore,
    source: SqliteSource,
    scratch: Path,
    change: Callable[[bytes], bytes] | None,
    code: str,
) -> None:
    """A file that the store lists as it gives it, cut, longer, empty, changed or gone, is bad whichever verb looks."""
    backup = only(lying)
    content = lying.files.pop(backup.name)
    if change is not None:
        lying.files[backup.name] = change(content)
    for verb in VERBS.values():
        evidence = verb(backup, source, scratch)
        assert evidence.verdict is Verdict.FAILED
        assert code in {item.code for item in evidence.findings}


def test_unplugged_disk(
    store: LocalStore, source: SqliteSource, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that goes while it is read makes no verdict either."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    really = LocalStore.get

    def unplug(store: LocalStore, key: str, into: Path, progress: Progress) -> str:
        store.options.path.rename(store.options.path.with_name("gone"))
        return really(store, key, into, progress)

    monkeypatch.setattr(LocalStore, "get", unplug)
    evidence = VERBS["drill"](backup, source, scratch)
    assert evidence.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("suffix", [".checksum", ".manifest.json"])
def test_a_stale_listing_makes_no_verdict(
    lying: LyingStore, source: SqliteSource, scratch: Path, suffix: str
) -> None:
    """What a listing does not show and the store has is not called missing."""
    backup = only(lying)
    lying.listed = hidden(suffix)
    for verb in VERBS.values():
        assert verb(backup, source, scratch).verdict is Verdict.PASSED


def test_another_manifest_meanwhile(lying: LyingStore, source: SqliteSource, scratch: Path) -> None:
    """Where the manifest is another one at the second look, nothing is said of the first."""
    backup = only(lying)
    lying.lie = of_payload(flipped)
    key = manifest_key(backup.name)
    other = manifest_files.to_json(replace(backup.manifest, job_id="another"))

    def exchanged(store: LyingStore, asked: str, content: bytes) -> bytes:
        return other if asked == key else of_payload(flipped)(store, asked, content)

    lying.lie = exchanged
    evidence = VERBS["drill"](backup, source, scratch)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert any("its manifest is another one" in item.message for item in evidence.findings)


class TestProofs:
    """What looks at a backup add up to."""

    def test_no_verdict_takes_no_proof(self, lying: LyingStore, source: SqliteSource, scratch: Path) -> None:
        """A proof is lost by a later FAILED, never by a drill or verify that could not look."""
        assert VERBS["drill"](only(lying), source, scratch).verdict is Verdict.PASSED
        lying.lie = of_payload(cut)
        for verb in ("drill", "full", "quick"):
            assert VERBS[verb](only(lying), source, scratch).verdict is Verdict.INCONCLUSIVE
        assert (only(lying).proven, only(lying).good) == (True, True)
        lying.lie = of_payload(flipped)
        assert VERBS["quick"](only(lying), source, scratch).verdict is Verdict.FAILED
        assert (only(lying).proven, only(lying).good) == (False, False)

    def test_expectations_make_nothing_bad(
        self, lying: LyingStore, source: SqliteSource, scratch: Path
    ) -> None:
        """A failed assertion makes the drill FAILED and the backup not proven; it stays good."""
        request = DrillRequest(scratch=scratch, assertions=[Assertion(row_count="notes", min=10**9)])
        evidence = run_drill(only(lying), source, request, Job())
        assert (evidence.verdict, evidence.integrity) == (Verdict.FAILED, Verdict.PASSED)
        assert (only(lying).proven, only(lying).good) == (False, True)

    @pytest.mark.parametrize(
        ("looks", "proven", "good"),
        [
            ([("drill", "passed"), ("drill", "failed")], False, False),
            ([("drill", "failed"), ("drill", "passed")], True, True),
            ([("drill", "passed"), ("verify", "failed"), ("verify", "passed")], False, True),
            ([("drill", "inconclusive")], False, None),
            ([("verify", "failed"), ("verify", "inconclusive")], False, False),
            ([("drill", "passed"), ("verify", "inconclusive"), ("drill", "inconclusive")], True, True),
        ],
    )
    def test_histories(
        self, lying: LyingStore, looks: list[tuple[str, str]], proven: bool, good: bool | None
    ) -> None:
        """The order of looks decides, and looks without a verdict do not count."""
        for number, (action, verdict) in enumerate(looks, 1):
            looked_at(only(lying), Verdict(verdict), action=action, after=timedelta(hours=number))
        assert (only(lying).proven, only(lying).good) == (proven, good)

    def test_an_inconclusive_look_that_read_all(
        self, lying: LyingStore, source: SqliteSource, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full verify that read every byte as recorded and could not load here makes a backup good, not proven."""

        def unable(*_: object) -> None:
            raise StoreError("no module here", code="store.unreadable")

        monkeypatch.setattr(SqliteSource, "load", unable)
        assert VERBS["full"](only(lying), source, scratch).verdict is Verdict.INCONCLUSIVE
        assert (only(lying).proven, only(lying).good) == (False, True)
        assert checksum_key(only(lying).name) in lying.files


class TestWrongClocks:
    """What was looked at last counts, whatever the clock said then."""

    def drill_at(self, lying: LyingStore, source: SqliteSource, scratch: Path, days: int) -> Evidence:
        """A drill with a clock that is so many days off."""
        job = Job(clock=lambda: datetime.now(UTC) + timedelta(days=days))
        return run_drill(only(lying), source, DrillRequest(scratch=scratch), job)

    @pytest.mark.parametrize("days", [365, -20_000])
    def test_a_later_failure_takes_the_proof(
        self, lying: LyingStore, source: SqliteSource, scratch: Path, days: int
    ) -> None:
        """A drill that passed with a clock ahead does not outlive the FAILED of today, nor one of 1970 what passed."""
        assert self.drill_at(lying, source, scratch, max(days, 0)).verdict is Verdict.PASSED
        lying.lie = of_payload(flipped)
        assert self.drill_at(lying, source, scratch, min(days, 0)).verdict is Verdict.FAILED
        assert (only(lying).proven, only(lying).good) == (False, False)
        lying.lie = None
        assert self.drill_at(lying, source, scratch, 0).verdict is Verdict.PASSED
        assert (only(lying).proven, only(lying).good) == (True, True)

    def test_a_proof_from_the_future_is_overdue(
        self, lying: LyingStore, source: SqliteSource, scratch: Path
    ) -> None:
        """Nobody knows how old it is."""
        self.drill_at(lying, source, scratch, 365)
        found = examine_proven([only(lying)], timedelta(days=7), datetime.now(UTC))
        assert (found.code, found.severity) == ("drill.overdue", Severity.WARNING)


def test_a_newest_backup_that_failed_is_critical(
    lying: LyingStore, source: SqliteSource, scratch: Path
) -> None:
    """`doctor` and `metrics` say that the newest backup is known to be bad."""
    lying.lie = of_payload(flipped)
    VERBS["quick"](only(lying), source, scratch)
    lying.lie = None
    found = examine_age(only(lying), None, datetime.now(UTC))
    assert [item.code for item in found if item.severity is Severity.CRITICAL] == ["backup.failed"]


@pytest.mark.parametrize("how", ["gone", "unreadable"])
def test_a_copy_that_goes_while_it_is_checked(
    lying: LyingStore, source: SqliteSource, scratch: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A scratch file that somebody cleans up, or a disk with read errors, makes no verdict."""

    def broken(path: Path, *_: object) -> sqlite3.Connection:
        if how == "gone":
            path.unlink()
            return really(path)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    really = connect_still
    monkeypatch.setattr(check, "connect_still", broken)
    assert VERBS["drill"](only(lying), source, scratch).verdict is Verdict.INCONCLUSIVE


def test_evidence_is_not_kept_in_an_empty_place(
    store: LocalStore, source: SqliteSource, scratch: Path
) -> None:
    """A store that was unmounted during a look is not made anew for what was seen."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    evidence = VERBS["drill"](backup, source, scratch)
    store.options.path.rename(store.options.path.with_name("gone"))
    (told,) = keep_evidence(backup, evidence)
    assert told.code == "evidence.not_kept"
    assert not store.options.path.exists()


def test_a_pipe_in_the_place_of_a_payload(store: LocalStore, source: SqliteSource, scratch: Path) -> None:
    """It is not waited for."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    store.path_of(backup.name).unlink()
    os.mkfifo(store.path_of(backup.name))
    assert VERBS["quick"](backup, source, scratch).verdict is not Verdict.PASSED


class TestLasting:
    """What lasts is told louder."""

    def test_three_drills_without_a_verdict(
        self, lying: LyingStore, source: SqliteSource, scratch: Path
    ) -> None:
        """The third in a row is critical, also over several backups; one that reaches a verdict ends it."""
        lying.lie = of_payload(cut)
        for night in range(3):
            assert examine_undecided(lying, list_backups(lying, None).rows.as_list()) == []
            if night == 1:
                lying.lie = None
                take_backup(source, Repository(store=lying), BackupRequest(name="second.db"), Job())
                lying.lie = of_payload(cut)
            newest = find_backup(lying, "latest", whose=whose(source))
            assert VERBS["drill"](newest, source, scratch).verdict is Verdict.INCONCLUSIVE
        (finding,) = examine_undecided(lying, list_backups(lying, None).rows.as_list())
        assert (finding.code, finding.severity) == ("drill.undecided", Severity.CRITICAL)
        assert "the connection broke" in finding.message
        lying.lie = None
        newest = find_backup(lying, "latest", whose=whose(source))
        assert VERBS["drill"](newest, source, scratch).verdict is Verdict.PASSED
        assert examine_undecided(lying, list_backups(lying, None).rows.as_list()) == []

    @pytest.mark.parametrize(
        ("hours", "severity"), [(23, Severity.OK), (25, Severity.WARNING), (49, Severity.CRITICAL)]
    )
    def test_overdue(self, lying: LyingStore, hours: int, severity: Severity) -> None:
        """More than twice as late as was promised is critical."""
        backup = looked_at(only(lying), action="drill", after=timedelta())
        now, every = backup.manifest.created_at + timedelta(hours=hours), timedelta(hours=24)
        (age,) = examine_age(backup, every, now)
        assert age.severity is severity
        assert examine_proven([backup], every, now).severity is severity
        assert worst(examine_verified(backup, every, now)) is severity


def test_the_third_drill_without_a_verdict_ends_with_2(tmp_path: Path) -> None:
    """The exit code of a drill without a verdict is 1, and 2 from the third in a row on."""
    execute(tmp_path / "a.db", "CREATE TABLE t (x)")
    asks = '[[source.a.assert]]\ncommand = ["no-such-program"]\n'
    (tmp_path / "ops.toml").write_text(f'[source.a]\nkind = "sqlite"\npath = "a.db"\n{asks}')
    assert run_drillbook("backup.create", cwd=tmp_path).returncode == 0
    codes = [run_drillbook("backup.drill", cwd=tmp_path).returncode for _ in range(3)]
    assert codes == [1, 1, 2]
    assert run_drillbook("doctor", cwd=tmp_path).returncode == 2
