from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import OpsError
from ops.model.compare_measures import compare_measures
from ops.model.evidence import Level
from ops.model.findings import Severity, worst
from ops.model.manifest import TableMeasure
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite import check
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.copy import SqliteCopy
from ops.sources.sqlite.measures import measure_database
from ops.sources.sqlite.open_by import find_occupants
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute

EVERYTHING = """
PRAGMA page_size={page_size};
PRAGMA auto_vacuum={auto_vacuum};
PRAGMA journal_mode={journal_mode};
PRAGMA user_version=7;
PRAGMA application_id=1234567;
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b AS (a || '!') STORED, c AS (length(a)));
CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE VIRTUAL TABLE f USING fts5(body);
CREATE VIRTUAL TABLE r USING rtree(id, x0, x1);
CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO w VALUES (new.a, new.id); END;
CREATE VIEW v AS SELECT a, b, c FROM t;
CREATE UNIQUE INDEX t_a ON t (a) WHERE a IS NOT NULL;
CREATE INDEX t_e ON t (upper(a));
INSERT INTO t (a) VALUES ('one'), ('two'), (NULL);
DELETE FROM w WHERE k IS NULL;
INSERT INTO f VALUES ('the quick brown fox');
INSERT INTO r VALUES (1, 0.0, 2.0);
"""


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("auto_vacuum", [0, 1, 2])
@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
def test_all_is_kept(
    tmp_path: Path, store: LocalStore, page_size: int, auto_vacuum: int, journal_mode: str
) -> None:
    """Header fields, virtual tables, triggers, views, generated columns: the copy is the same database."""
    path = tmp_path / "all.db"
    script = EVERYTHING.replace("INSERT INTO w VALUES (new.a", "INSERT INTO w VALUES (coalesce(new.a, '-')")
    execute(path, script.format(page_size=page_size, auto_vacuum=auto_vacuum, journal_mode=journal_mode))
    source = SqliteSource("all", SqliteOptions(path=path))
    taken = take_backup(source, Repository(store=store), BackupRequest(), Job())
    copy = store.path_of(taken.backup.name)
    assert copy.read_bytes() == path.read_bytes()
    facts = taken.backup.manifest.measures.facts
    assert (facts["page_size"], facts["auto_vacuum"], facts["user_version"]) == (page_size, auto_vacuum, 7)
    assert facts["application_id"] == 1234567
    assert facts["journal_mode"] == ("wal" if journal_mode == "WAL" else "rollback")
    assert worst(check_database(copy, Level.FULL, "check")) is Severity.OK
    assert worst(compare_measures(measure_database(path), measure_database(copy))) is Severity.OK
    assert ask(copy, "SELECT count(*) FROM f WHERE f MATCH 'quick'") == 1


def test_measuring_leaves_nothing_beside_the_copy(database: Path, store: LocalStore) -> None:
    """Looking at a payload in WAL mode makes no -wal and no -shm in the store."""
    source = SqliteSource("s", SqliteOptions(path=database))
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    SqliteCopy(store.path_of(backup.name)).check()
    assert sorted(file.name for file in store.options.path.iterdir() if file.is_file()) == [
        backup.name, f"{backup.name}.checksum", f"{backup.name}.manifest.json",
    ]  # fmt: skip


def test_index_that_disagrees_with_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full check finds an index entry that was changed behind SQLite's back, whole or a table at a time."""
    path = tmp_path / "i.db"
    execute(
        path,
        """
        CREATE TABLE t (a TEXT); CREATE INDEX t_a ON t (a); CREATE TABLE other (b);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO t SELECT 'value ' || i FROM n;
        """,
    )
    root = ask(path, "SELECT rootpage FROM sqlite_schema WHERE name = 't_a'")
    assert isinstance(root, int)
    content = bytearray(path.read_bytes())
    at = content.index(b"value 33", (root - 1) * 4096)
    content[at : at + 8] = b"value 3X"
    path.write_bytes(content)
    assert worst(check_database(path, Level.QUICK, "check")) is Severity.OK
    assert worst(check_database(path, Level.FULL, "check")) is Severity.CRITICAL
    monkeypatch.setattr(check, "_SPLIT_FROM_BYTES", 0)
    assert worst(check_database(path, Level.FULL, "check")) is Severity.CRITICAL


@pytest.mark.parametrize("split", [True, False])
def test_pages_that_belong_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: bool) -> None:
    """A lost page is found even when tables are checked one by one."""
    path = tmp_path / "lost.db"
    execute(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE TABLE gone (a);")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'gone'")
        connection.commit()
    if split:
        monkeypatch.setattr(check, "_SPLIT_FROM_BYTES", 0)
    assert worst(check_database(path, Level.FULL, "check")) is Severity.CRITICAL


def test_tables_checked_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound database with odd table names passes the check that runs a table at a time."""
    path = tmp_path / "odd.db"
    execute(
        path,
        """CREATE TABLE "a ""quoted"" name" (x); CREATE TABLE "select" (y); CREATE TABLE "ção; --" (z);""",
    )
    monkeypatch.setattr(check, "_SPLIT_FROM_BYTES", 0)
    assert worst(check_database(path, Level.FULL, "check")) is Severity.OK
    assert set(measure_database(path).tables) == {'a "quoted" name', "select", "ção; --"}


def test_view_that_is_broken_in_the_source(tmp_path: Path) -> None:
    """A view on a table that is gone is a warning: the copy is as faithful as it can be."""
    path = tmp_path / "v.db"
    execute(path, "CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM t; DROP TABLE t;")
    findings = check_database(path, Level.FULL, "check")
    assert [finding.code for finding in findings if finding.severity is Severity.WARNING] == [
        "sqlite.view_broken"
    ]


def test_differences_are_named(database: Path) -> None:
    """Comparing measures names each table and fact that differs, and what was expected."""
    recorded = measure_database(database)
    changed = replace(
        recorded,
        tables={"prices": TableMeasure(3, "x"), "new": TableMeasure(0, "y")},
        facts={**recorded.facts, "user_version": 9},
    )
    found = {(finding.code, finding.where) for finding in compare_measures(recorded, changed)}
    assert found == {
        ("measure.rows_differ", "prices"),
        ("measure.table_missing", "notes"),
        ("measure.table_extra", "new"),
        ("measure.fact_differs", "user_version"),
    }


def test_other_algorithm_is_not_compared(database: Path) -> None:
    """Digests of another algorithm are not compared, and a warning says that only rows were."""
    recorded = replace(measure_database(database), digest_algorithm="rows-sha256-9")
    findings = compare_measures(recorded, measure_database(database))
    assert [finding.severity for finding in findings] == [Severity.WARNING, Severity.OK]


def test_rows_of_every_kind_of_table(tmp_path: Path) -> None:
    """Rows are counted whatever the rowids, the names of columns and the form of the table."""
    path = tmp_path / "t.db"
    execute(
        path,
        """
        CREATE TABLE gaps (v);
        INSERT INTO gaps (rowid, v) VALUES (-9223372036854775808, 'low'), (0, 'mid'), (9223372036854775807, 'high');
        CREATE TABLE many (id INTEGER PRIMARY KEY, v);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO many SELECT i, hex(randomblob(10)) FROM n;
        CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        INSERT INTO w SELECT v, id FROM many;
        CREATE TABLE named (rowid TEXT, oid TEXT, _rowid_ TEXT);
        INSERT INTO named VALUES ('a', 'b', 'c');
        CREATE TABLE empty (a);
        """,
    )
    assert {name: table.rows for name, table in measure_database(path).tables.items()} == {
        "gaps": 3, "many": 5000, "w": 5000, "named": 1, "empty": 0,
    }  # fmt: skip


def test_symbolic_link_to_the_database(database: Path, store: LocalStore, tmp_path: Path) -> None:
    """A source behind a symbolic link is captured with the log that lies beside the real file."""
    link = tmp_path / "link.db"
    link.symlink_to(database)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO notes VALUES (5000, 'in the log')")
        writer.commit()
        taken = take_backup(
            SqliteSource("s", SqliteOptions(path=link)), Repository(store=store), BackupRequest(), Job()
        )
    assert ask(store.path_of(taken.backup.name), "SELECT count(*) FROM notes") == 201


def test_nobody_but_others_occupies(database: Path) -> None:
    """This process itself is not counted among those who have the file open."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT * FROM notes").fetchone()
        assert find_occupants(database) == []


def test_questions_about_what_is_not_there(database: Path, source: SqliteSource) -> None:
    """A question that SQLite does not accept is an error about the question, with its text."""
    with pytest.raises(OpsError, match="selekt"):
        SqliteCopy(database).query("selekt 1")
    assert SqliteCopy(database).newest("prices.date") == "2026-01-02"
    assert SqliteCopy(database).count_rows("notes") == 200
