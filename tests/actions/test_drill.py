from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ops.actions.assertions import parse_moment
from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.driverkit.row_digest import document_seal
from ops.fsio.scratch import SCRATCH_PREFIX
from ops.model.complaints import KEY
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import Assertion, Objectives
from ops.report.junit import to_junit
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import execute


@pytest.fixture
def backup(source: SqliteSource, store: LocalStore) -> Backup:
    """A backup of the small database."""
    return take_backup(source, Repository(store=store), BackupRequest(), Job()).backup


def drill(
    backup: Backup, source: SqliteSource, scratch: Path, *assertions: Assertion, **objectives: timedelta
) -> Evidence:
    """Drill with these assertions and objectives."""
    request = DrillRequest(scratch=scratch, assertions=assertions, objectives=Objectives(**objectives))
    return run_drill(backup, source, request, Job())


def asserted(evidence: Evidence) -> list[Finding]:
    """The findings of assertions."""
    return [finding for finding in evidence.findings if finding.code.startswith("assert.")]


def test_a_drill_proves(backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A drill that passes makes the backup proven, leaves one evidence file more, and no scratch place."""
    assert not find_backup(store, backup.name).proven
    evidence = drill(backup, source, scratch, rto=timedelta(minutes=5), rpo=timedelta(hours=1))
    assert evidence.verdict is Verdict.PASSED
    assert [phase.name for phase in evidence.phases] == ["fetch", "load", "check", "assert"]
    assert evidence.rto_ms is not None
    assert evidence.rto_ms <= evidence.duration_ms + 50
    assert find_backup(store, backup.name).proven
    first = {stored.key for stored in store.list() if ".drill-" in stored.key}
    drill(backup, source, scratch)
    assert len({stored.key for stored in store.list() if ".drill-" in stored.key} - first) == 1
    assert list(scratch.iterdir()) == []


def test_damage_turns_it_red(backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """One changed byte makes the drill fail, and a backup that was proven is so no more."""
    drill(backup, source, scratch)
    path = store.path_of(backup.name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    evidence = drill(backup, source, scratch)
    assert evidence.verdict is Verdict.FAILED
    assert evidence.rto_ms is None, "nothing was usable"
    assert not find_backup(store, backup.name).proven


def test_every_drill_says_what_it_counted(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """The counts in the manifest are compared, and nothing is said about content that was not compared here."""
    evidence = drill(backup, source, scratch)
    (equal,) = [finding for finding in evidence.findings if finding.code == "measure.equal"]
    assert equal.message.startswith("rows of ")
    assert "content" not in equal.message
    tables = {**backup.manifest.measures.tables}
    tables["notes"] = replace(tables["notes"], rows=tables["notes"].rows - 1)
    lying = replace(
        backup, manifest=replace(backup.manifest, measures=replace(backup.manifest.measures, tables=tables))
    )
    assert drill(lying, source, scratch).verdict is Verdict.FAILED


def test_digests_of_earlier_versions(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """A manifest that has digests of tables is drilled by its counts and its SHA-256, which say more."""
    measures = backup.manifest.measures
    tables = {name: replace(table, digest="1" * 64) for name, table in measures.tables.items()}
    older = replace(measures, tables=tables, digest_algorithm="records-sha256-1")
    evidence = drill(replace(backup, manifest=replace(backup.manifest, measures=older)), source, scratch)
    assert evidence.verdict is Verdict.PASSED
    assert {finding.severity for finding in evidence.findings} == {Severity.OK}


def test_a_table_that_is_spelt_wrong(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """An assertion about a table that is not there says which one was probably meant."""
    evidence = drill(backup, source, scratch, Assertion(row_count="notse", min=1))
    (hint,) = [item.hint for item in evidence.findings if item.code == "assert.undecided"]
    assert hint.startswith("did you mean 'notes'? else try ")


@pytest.mark.parametrize(
    ("assertion", "severity"),
    [
        (Assertion(row_count="notes", min=200, max=200), Severity.OK),
        (Assertion(row_count="notes", min=201), Severity.CRITICAL),
        (Assertion(row_count="notes", max=199), Severity.CRITICAL),
        (Assertion(row_count="notes"), Severity.OK),
        (Assertion(row_count="notes", tolerance=0.05), Severity.OK),
        (Assertion(row_count="no such table", min=1), Severity.WARNING),
        (Assertion(query="select count(*) from notes", expect=200), Severity.OK),
        (Assertion(query="select count(*) from notes", expect=199), Severity.CRITICAL),
        (Assertion(query="select count(*) from notes", expect="200"), Severity.CRITICAL),
        (Assertion(query="select body from notes where id = 1", expect="note 1"), Severity.OK),
        (Assertion(query="select id from notes", expect=1), Severity.CRITICAL),
        (Assertion(query="select 1 where 0"), Severity.CRITICAL),
        (Assertion(query="select id from notes"), Severity.OK),
        (Assertion(query="selekt"), Severity.WARNING),
        (Assertion(query="delete from notes"), Severity.WARNING),
        (Assertion(fresh="prices.date", max_age=timedelta(days=36500)), Severity.OK),
        (Assertion(fresh="prices.date", max_age=timedelta(days=1)), Severity.CRITICAL),
        (Assertion(fresh="prices.ticker", max_age=timedelta(days=1)), Severity.WARNING),
        (Assertion(fresh="prices.nothere", max_age=timedelta(days=1)), Severity.WARNING),
        (Assertion(command=("true",)), Severity.OK),
        (Assertion(command=("false",)), Severity.CRITICAL),
        (Assertion(command=("no-such-program-anywhere",)), Severity.WARNING),
        (Assertion(command=("sleep", "60"), timeout=timedelta(seconds=0.2)), Severity.CRITICAL),
    ],
)
def test_assertions(
    backup: Backup, source: SqliteSource, scratch: Path, assertion: Assertion, severity: Severity
) -> None:
    """Each assertion passes, fails, or (when it cannot be asked) leaves the verdict open; never silently OK."""
    evidence = drill(backup, source, scratch, assertion)
    (finding,) = asserted(evidence)
    assert finding.severity is severity, finding
    verdicts = {
        Severity.OK: Verdict.PASSED,
        Severity.WARNING: Verdict.INCONCLUSIVE,
        Severity.CRITICAL: Verdict.FAILED,
    }
    assert evidence.verdict is verdicts[severity]


def test_command_sees_the_restored_copy(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """A command gets the restored file and the backup's name in its environment, and its output on failure."""
    script = (
        'test -f "$DRILL_TARGET" && test "$DRILL_SOURCE" = prices && echo "it is $DRILL_BACKUP" && exit 3'
    )
    evidence = drill(backup, source, scratch, Assertion(command=("sh", "-c", script)))
    (finding,) = asserted(evidence)
    assert finding.found == f"exit code 3: it is {backup.name}"


def test_command_is_ended_with_its_children(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """At the time-out the command and what it started are gone; the drill goes on at once."""
    mark = f"3{time.time_ns() % 10**8}"
    started = time.monotonic()
    slow = Assertion(command=("sh", "-c", f"sleep {mark} & sleep {mark}"), timeout=timedelta(seconds=0.3))
    assert drill(backup, source, scratch, slow).verdict is Verdict.FAILED
    assert time.monotonic() - started < 10
    # A process that was killed is there until the kernel has taken it away.
    while _sleeping(mark):
        assert time.monotonic() - started < 30
        time.sleep(0.05)


def _sleeping(mark: str) -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if mark.encode() in line and b"sleep" in line]


def test_missed_objectives_are_warnings(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A missed RTO or RPO is a warning: the backup is proven all the same, but somebody should look."""
    past = datetime.now(UTC) - timedelta(days=2)
    old = replace(source, clock=lambda: past)
    backup = take_backup(old, Repository(store=store), BackupRequest(), Job(clock=lambda: past)).backup
    evidence = drill(backup, source, scratch, rpo=timedelta(hours=1), rto=timedelta(microseconds=1))
    codes = {finding.code: finding.severity for finding in evidence.findings}
    assert codes["drill.rpo_missed"] is Severity.WARNING
    assert codes["drill.rto_missed"] is Severity.WARNING
    assert evidence.verdict is Verdict.PASSED


def test_freshness_is_that_of_the_snapshot(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A backup does not become stale by lying there: its newest row is compared with its own moment."""
    past = datetime(2026, 1, 3, tzinfo=UTC)
    backup = take_backup(
        replace(source, clock=lambda: past), Repository(store=store), BackupRequest(), Job(clock=lambda: past)
    ).backup
    fresh = Assertion(fresh="prices.date", max_age=timedelta(days=2))
    assert drill(backup, source, scratch, fresh).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05.000006+00:00", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-01-02 03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_700_000_000_000, datetime.fromtimestamp(1_700_000_000, UTC)),
        ("yesterday", None),
        (b"x", None),
        (1e300, None),
    ],
)
def test_moments(value: object, expected: datetime | None) -> None:
    """Times are understood as ISO 8601, Unix seconds or milliseconds; anything else is not guessed."""
    assert parse_moment(value) == expected


def test_module_that_is_missing_is_inconclusive(store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """What only the application can check leaves the verdict open, with the name of what is missing."""
    path = tmp_path / "odd.db"
    execute(
        path,
        """
        CREATE TABLE t (a);
        PRAGMA writable_schema=ON;
        INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING nothere(a)');
        """,
    )
    source = SqliteSource("odd", SqliteOptions(path=path))
    evidence = drill(
        take_backup(source, Repository(store=store), BackupRequest(), Job()).backup, source, scratch
    )
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert any("nothere" in finding.message for finding in evidence.findings if finding.blocking)


@pytest.mark.parametrize(
    ("policy", "verdict"), [("check", Verdict.FAILED), ("warn", Verdict.PASSED), ("ignore", Verdict.PASSED)]
)
def test_foreign_keys(
    store: LocalStore, scratch: Path, tmp_path: Path, policy: str, verdict: Verdict
) -> None:
    """A reference to a row that is not there, and that nobody saw in the source, fails a drill unless the operator says otherwise."""
    path = tmp_path / "fk.db"
    execute(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (1);",
    )
    source = SqliteSource("fk", SqliteOptions(path=path, foreign_keys=policy))  # type: ignore[arg-type]
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    extra = {key: value for key, value in backup.manifest.extra.items() if key != KEY}
    unseen = replace(backup, manifest=replace(backup.manifest, extra=extra))
    assert drill(unseen, source, scratch).verdict is verdict
    assert drill(backup, source, scratch).verdict is Verdict.PASSED


def test_kept_scratch_place(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """With --keep the restored copy stays, and later runs leave it alone."""
    run_drill(backup, source, DrillRequest(scratch=scratch, keep_scratch=True), Job())
    drill(backup, source, scratch)
    (kept,) = scratch.glob(f"{SCRATCH_PREFIX}*")
    assert (kept / backup.name).exists()


def test_tampered_evidence_does_not_count(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path
) -> None:
    """Evidence whose verdict was edited is reported, and proves nothing."""
    path = store.path_of(backup.name)
    original = path.read_bytes()
    path.write_bytes(original[:-1] + b"\1")
    drill(backup, source, scratch)
    path.write_bytes(original)
    (record,) = store.options.path.glob("*.drill-*")
    record.write_text(record.read_text().replace('"failed"', '"passed"'))
    assert not find_backup(store, backup.name).proven
    assert [finding.code for finding in read_catalogue(store).findings] == ["backup.evidence_invalid"]


def test_evidence_is_about_these_bytes(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path
) -> None:
    """A drill of other bytes under the same name proves nothing about what lies there now."""
    drill(backup, source, scratch)
    (record,) = store.options.path.glob("*.drill-*")
    document = {**json.loads(record.read_bytes()), "payload_sha256": "0" * 64}
    record.write_text(json.dumps({**document, "seal": document_seal(document)}))
    found = find_backup(store, backup.name)
    assert len(found.evidence) == 1
    assert not found.proven


def test_junit(backup: Backup, source: SqliteSource, scratch: Path) -> None:
    """The JUnit document is XML with a failure for each critical finding and a skip for each open question."""
    evidence = drill(
        backup, source, scratch,
        Assertion(query="select '\x01<&'", expect="x"), Assertion(command=("no-such-program-anywhere",)),
    )  # fmt: skip
    root = ET.fromstring(to_junit([evidence]))
    (suite,) = root
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    assert int(suite.get("tests", "0")) == len(evidence.findings) == len(suite.findall("testcase"))


def test_evidence_is_json_for_auditors(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path
) -> None:
    """The kept record names backup, digest, verdict, phases and objectives."""
    drill(backup, source, scratch, rto=timedelta(minutes=1))
    (record,) = store.options.path.glob("*.drill-*")
    document = json.loads(record.read_bytes())
    assert document["backup"] == backup.name
    assert document["payload_sha256"] == backup.manifest.files[0].sha256
    assert document["verdict"] == "passed"
    assert document["rto_objective_ms"] == 60_000
