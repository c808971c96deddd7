"""A complaint is the source's own only where `create` saw it there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.fsio.copy import sha256_of
from ops.model.complaints import KEY, Known, recorded_in
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.model.manifest import FileEntry
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite import capture
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute
from tests.sick import (
    INDEX,
    MISMATCH,
    NULLS,
    ORPHANS,
    REDEFINE,
    SICK,
    SICK_ONES,
    Case,
    Make,
    damage,
    of,
    unrecorded,
)


class TestInherited:
    """What the source had when it was backed up."""

    @SICK_ONES
    def test_it_is_recorded_and_passes(self, make: Make, sick: str, tmp_path: Path) -> None:
        """Recorded at create, a drill passes with a warning that says so, and a restore needs no more words."""
        script, code, where = SICK[sick]
        case = make(script)
        taken = take_backup(case.source, Repository(store=case.store), BackupRequest(), Job())
        said = of(taken.findings, code)
        assert (said.severity, said.where) == (Severity.WARNING, where)
        backup = taken.backup
        for evidence in (case.verify(backup, Level.FULL), case.drill(backup)):
            found = of(evidence.findings, code)
            assert evidence.verdict is Verdict.PASSED
            assert (found.severity, found.inherited, found.blocking) == (Severity.WARNING, True, False)
        assert case.verify(backup, Level.QUICK).verdict is Verdict.PASSED
        assert case.again(backup).good is True
        assert case.again(backup).proven is (code != "sqlite.damaged")
        restored = case.restore(backup, tmp_path / "new.db")
        assert of(restored.findings, code).inherited
        assert restored.accepted == ()
        assert (tmp_path / "new.db").read_bytes() == case.store.path_of(backup.name).read_bytes()

    @SICK_ONES
    @pytest.mark.parametrize("wal", [True, False])
    def test_it_is_said_of_nothing_else(self, make: Make, sick: str, wal: bool) -> None:
        """What is not recorded makes a drill fail, though every byte is what was captured; a mismatch leaves it open."""
        script, code, _ = SICK[sick]
        case = make(script, wal=wal)
        backup = unrecorded(case, case.create())
        evidence = case.drill(backup)
        open_or_bad = Verdict.INCONCLUSIVE if code == "sqlite.foreign_key_mismatch" else Verdict.FAILED
        assert evidence.verdict is open_or_bad
        assert not any(item.inherited for item in evidence.findings)

    def test_warned_of_only(self, make: Make) -> None:
        """With `foreign_keys = "warn"` keys that cannot be checked are a warning, also where nobody recorded it."""
        case = make(MISMATCH, foreign_keys="warn")
        assert case.drill(unrecorded(case, case.create())).verdict is Verdict.PASSED

    def test_what_only_the_application_has(self, make: Make, tmp_path: Path) -> None:
        """A function that an index uses and nobody here has leaves the question open; the backup can be restored."""
        case = make("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
        with closing(sqlite3.connect(case.path)) as connection:
            connection.create_function("theirs", 1, lambda value: value, deterministic=True)
            connection.execute("CREATE INDEX i ON t (theirs(a))")
            connection.commit()
        backup = case.create()
        assert not recorded_in(backup.manifest)
        evidence = case.drill(backup)
        assert evidence.verdict is Verdict.INCONCLUSIVE
        assert "unknown function: theirs" in of(evidence.findings, "sqlite.not_installed").message
        case.restore(backup, tmp_path / "new.db")
        assert ask(tmp_path / "new.db", "SELECT count(*) FROM t") == 2

    def test_ignored(self, make: Make) -> None:
        """With `foreign_keys = "ignore"` nobody looks, at neither end."""
        case = make(ORPHANS, foreign_keys="ignore")
        backup = case.create()
        assert not recorded_in(backup.manifest)
        assert all(item.severity is Severity.OK for item in case.drill(backup).findings)

    def test_a_source_without_complaints(self, source: SqliteSource, store: LocalStore) -> None:
        """A healthy source records nothing."""
        backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
        assert KEY not in backup.manifest.extra

    @pytest.mark.parametrize(
        ("before", "torn", "code"),
        [
            (ORPHANS, "INSERT INTO c VALUES (3)", "sqlite.foreign_key"),
            (ORPHANS, "CREATE TABLE d (p REFERENCES p); INSERT INTO d VALUES (9)", "sqlite.foreign_key"),
            (NULLS, "UPDATE t SET b = 4", None),
            (INDEX, REDEFINE.format("CREATE INDEX j ON t (b)", "j"), "sqlite.damaged"),
            (INDEX, "PRAGMA writable_schema=ON; DELETE FROM t WHERE a = 7", "sqlite.damaged"),
        ],
    )
    def test_a_torn_capture(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, before: str, torn: str, code: str | None
    ) -> None:
        """What a torn capture adds is not the source's, though SHA-256 and measures are those of the torn copy."""
        case = make(before)
        really = capture._capture_raw

        def tear(path: Path, into: Path, *rest: Any) -> Any:  # noqa: ANN401 - as it is
            copied = really(path, into, *rest)
            assert copied is not None
            execute(into, f"PRAGMA journal_mode=DELETE; {torn}")
            with into.open("rb") as file:
                digest, size = sha256_of(file.fileno())
            return replace(copied, file=FileEntry(copied.file.path, size, digest), measures=None)

        monkeypatch.setattr(capture, "_capture_raw", tear)
        backup = case.create()
        evidence = case.drill(backup)
        bad = {item.code for item in evidence.findings if item.severity is Severity.CRITICAL}
        assert bad == ({code} if code else set())
        assert (evidence.verdict is Verdict.FAILED) == (code is not None)

    def test_a_manifest_of_the_first_version(self, make: Make, tmp_path: Path) -> None:
        """Version 1 recorded no complaints: broken references fail a drill and stop no restore, as ever."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        backup = case.rewrite(backup, version=1, origin=None)
        evidence = case.drill(backup)
        assert (evidence.verdict, of(evidence.findings, "sqlite.foreign_key").inherited) == (
            Verdict.FAILED,
            True,
        )
        restored = case.restore(backup, tmp_path / "new.db")
        assert of(restored.findings, "sqlite.foreign_key").severity is Severity.CRITICAL

    @pytest.mark.parametrize(
        "lie",
        [
            "text",
            5,
            [5, None, "x", [], {}],
            [{"code": "sqlite.foreign_key", "where": "c"}],
            [{"code": ["sqlite.foreign_key"], "where": "c", "message": {}}],
            [{"code": "sqlite.foreign_key", "where": "d", "message": "2 rows of c refer to rows of p"}],
        ],
    )
    def test_what_is_no_record_records_nothing(self, make: Make, lie: object) -> None:
        """Nonsense in the place of complaints is no traceback, and nothing is inherited by it."""
        case = make(ORPHANS)
        backup = case.create()
        backup = case.rewrite(backup, extra={**backup.manifest.extra, KEY: lie})
        assert case.drill(case.again(backup)).verdict is Verdict.FAILED

    def test_only_complaints_are_inherited(
        self, source: SqliteSource, store: LocalStore, scratch: Path
    ) -> None:
        """A manifest that lists wrong bytes or other rows as the source's own is not heard."""
        case = Case(source, store, scratch)
        backup = case.create()
        tables = {**backup.manifest.measures.tables}
        tables["notes"] = replace(tables["notes"], rows=199)
        lies = [
            {"code": "measure.rows_differ", "where": "notes", "message": "row count differs"},
            {
                "code": "backup.checksum_mismatch",
                "where": backup.name,
                "message": f"{backup.name} is not what was stored",
            },
        ]
        measures = replace(backup.manifest.measures, tables=tables)
        lied = case.rewrite(backup, extra={**backup.manifest.extra, KEY: lies}, measures=measures)
        assert case.drill(lied).verdict is Verdict.FAILED
        damage(case, backup)
        assert case.drill(case.rewrite(lied, measures=backup.manifest.measures)).verdict is Verdict.FAILED

    def test_many_complaints(self, make: Make) -> None:
        """More of one kind than SQLite tells by itself are one complaint, whose number and lines are compared."""
        rows = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500) "
        case = make(
            f"CREATE TABLE t (a, b); {rows} INSERT INTO t SELECT NULL, x FROM n;"
            + REDEFINE.format("CREATE TABLE t (a NOT NULL, b)", "t")
        )
        evidence = case.drill(case.create())
        assert evidence.verdict is Verdict.PASSED
        assert "and 499 more" in of(evidence.findings, "sqlite.constraint").message

    def test_too_many_places_are_not_compared(self, make: Make) -> None:
        """Where more is wrong than is told, nobody can say that it is the same."""
        script = "".join(
            f"CREATE TABLE t{n} (a, b); INSERT INTO t{n} VALUES (NULL, 1);"
            + REDEFINE.format(f"CREATE TABLE t{n} (a NOT NULL, b)", f"t{n}")
            for n in range(25)
        )
        case = make(script)
        evidence = case.drill(case.create())
        assert evidence.verdict is Verdict.FAILED
        assert of(evidence.findings, "sqlite.damaged").message.startswith("and 5 more places")


class TestLarge:
    """A large source is looked at whole only where that is worth while, and hurts nobody."""

    def test_after_a_drill_that_failed(self, make: Make, large: None) -> None:
        """The backup that failed its drill stays FAILED; the next one has looked at the source, and those after it."""
        case = make(ORPHANS)
        first = case.create()
        assert not recorded_in(first.manifest)
        assert case.drill(first).verdict is Verdict.FAILED
        second = case.create()
        assert case.drill(second).verdict is Verdict.PASSED
        assert case.drill(first).verdict is Verdict.FAILED
        assert recorded_in(case.create().manifest)

    def test_a_quick_look_asks_for_nothing(self, make: Make, large: None) -> None:
        """Only a look at all of it tells whether a look at the source is worth while."""
        case = make(ORPHANS)
        case.verify(case.create(), Level.QUICK)
        assert not recorded_in(case.create().manifest)

    def test_until_it_is_mended(self, make: Make, large: None) -> None:
        """Once nothing is found any more, the next backups are taken as usual."""
        case = make(ORPHANS)
        case.drill(case.create())
        case.create()
        execute(case.path, "DELETE FROM c")
        assert not recorded_in(case.create().manifest)
        assert not recorded_in(case.create().manifest)

    def test_where_something_is_known(self, make: Make, large: None) -> None:
        """What the operator knows of is looked for at once."""
        case = make(INDEX)
        known = Known(code="sqlite.damaged", where="i", reason="bug 12")
        assert recorded_in(case.create(known=(known,)).manifest)

    def test_never_while_writers_wait(self, make: Make, large: None) -> None:
        """With a rollback journal writers would wait: only the schema is looked at."""
        case = make(ORPHANS, wal=False)
        case.drill(case.create())
        assert not recorded_in(case.create().manifest)
        execute(case.path, "CREATE TABLE q (a); CREATE TABLE d (x REFERENCES q (a))")
        assert {code for code, *_ in recorded_in(case.create().manifest)} == {"sqlite.foreign_key_mismatch"}

    def test_evidence_that_cannot_be_read(self, make: Make, large: None) -> None:
        """A backup is taken whatever lies beside the former one."""
        case = make(ORPHANS)
        first = case.create()
        case.drill(first)
        for path in case.store.options.path.glob("*.drill-*"):
            path.write_bytes(b"{")
        assert not recorded_in(case.create().manifest)
