"""What only the application has: a database that needs it is backed up and restored, and what could not be looked at is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.model.complaints import Known
from ops.model.evidence import Evidence
from ops.model.findings import Severity, Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore

COLLECTION = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, flds TEXT);
CREATE TABLE decks (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE unicase);
CREATE UNIQUE INDEX idx_decks_name ON decks (name);
CREATE TABLE fields (ntid INTEGER, name TEXT NOT NULL COLLATE unicase, ord INTEGER, PRIMARY KEY (ntid, name)) WITHOUT ROWID;
CREATE TABLE tags (tag TEXT NOT NULL PRIMARY KEY COLLATE unicase, usn INTEGER) WITHOUT ROWID;
INSERT INTO notes VALUES (1, 'front'), (2, 'back');
INSERT INTO decks VALUES (1, 'Default'), (2, 'Wörter'), (3, 'verbs');
INSERT INTO fields VALUES (1, 'Front', 0), (1, 'Back', 1);
INSERT INTO tags VALUES ('leech', -1);
"""


@pytest.fixture
def collection(tmp_path: Path) -> SqliteSource:
    """Tables and indexes that are sorted by a collation of the application, as a flash card program has them."""
    path = tmp_path / "collection.anki2"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation(
            "unicase", lambda one, other: (one.lower() > other.lower()) - (one.lower() < other.lower())
        )
        connection.executescript(COLLECTION)
    return SqliteSource("cards", SqliteOptions(path=path))


def taken(source: SqliteSource, store: LocalStore) -> Taken:
    """A backup of it."""
    return take_backup(source, Repository(store=store), BackupRequest(), Job())


def drilled(made: Taken, source: SqliteSource, scratch: Path, *known: Known) -> Evidence:
    """The evidence of a drill."""
    return run_drill(made.backup, source, DrillRequest(scratch=scratch, known=known), Job())


def test_it_is_backed_up(collection: SqliteSource, store: LocalStore) -> None:
    """Tables are counted without the index that cannot be used here, and one that cannot be counted is named."""
    made = taken(collection, store)
    rows = {name: table.rows for name, table in made.backup.manifest.measures.tables.items()}
    assert rows == {"notes": 2, "decks": 3}
    said = {item.where: item for item in made.findings if item.code == "sqlite.not_counted"}
    assert set(said) == {"fields", "tags"}
    assert {item.severity for item in said.values()} == {Severity.WARNING}
    assert store.path_of(made.backup.name).read_bytes() == collection.options.path.read_bytes()


def test_a_drill_leaves_the_question_open(collection: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """What could not be looked at makes no backup failed and none proven."""
    evidence = drilled(taken(collection, store), collection, scratch)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "sqlite.not_installed" in {item.code for item in evidence.findings}


def test_a_drill_of_what_is_known(collection: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """Where the operator knows of each thing that cannot be looked at, all the rest proves the backup, and it stays visible."""
    made = taken(collection, store)
    open_questions = [item for item in drilled(made, collection, scratch).findings if item.blocking]
    known = [Known(code=item.code, where=item.where, reason="of the application") for item in open_questions]
    evidence = drilled(made, collection, scratch, *known)
    assert evidence.verdict is Verdict.PASSED
    assert {item.where for item in evidence.findings if item.known} == {item.where for item in open_questions}
    assert drilled(made, collection, scratch, *known[:-1]).verdict is Verdict.INCONCLUSIVE


def test_it_is_restored(collection: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """What was captured can be restored, byte for byte."""
    made = taken(collection, store)
    to = tmp_path / "new.anki2"
    request = RestoreRequest(to=str(to), scratch=scratch, safety=Repository(store=store))
    restore_backup(made.backup, collection, request, Job())
    assert to.read_bytes() == collection.options.path.read_bytes()


def test_a_backup_of_a_machine_that_could_count(
    collection: SqliteSource, store: LocalStore, scratch: Path
) -> None:
    """Rows that were counted elsewhere are not missing here: the question is open."""
    made = taken(collection, store)
    manifest = made.backup.manifest
    tables = {**manifest.measures.tables, "tags": replace(manifest.measures.tables["notes"], rows=1)}
    there = replace(
        made.backup, manifest=replace(manifest, measures=replace(manifest.measures, tables=tables))
    )
    evidence = run_drill(there, collection, DrillRequest(scratch=scratch), Job())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert not [item for item in evidence.findings if item.severity is Severity.CRITICAL]
