"""One table of a backup in a database that goes on: what belongs to it comes along, and what is no table by itself is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import Restored, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import ConfigError, OpsError
from ops.model.findings import Severity
from ops.model.requests import RestoreOptions
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.sources.sqlite.text_indexes import rebuild_text_indexes
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute

SCHEMA = """
CREATE TABLE "Notes" (id INTEGER PRIMARY KEY AUTOINCREMENT, title, body);
CREATE TABLE other (v);
CREATE VIEW shown AS SELECT id, body FROM Notes;
CREATE VIRTUAL TABLE five USING fts5(title, body, content='Notes', content_rowid='id');
CREATE VIRTUAL TABLE of_view USING fts5(body, content="shown", content_rowid=id);
CREATE VIRTUAL TABLE four USING fts4(content="notes", title, body);
CREATE VIRTUAL TABLE own USING fts5(text);
CREATE VIRTUAL TABLE apart USING fts5(v, content=other);
INSERT INTO Notes (title, body) VALUES ('first', 'old words'), ('second', 'more');
INSERT INTO other VALUES ('kept');
INSERT INTO own VALUES ('mine');
"""
REBUILD = "".join(
    f"INSERT INTO {name}({name}) VALUES ('rebuild');" for name in ("five", "of_view", "four", "apart")
)
LIVE = "UPDATE Notes SET body = 'new words'; UPDATE other SET v = 'changed';"


class Case:
    """A database, its backup, and what happened since."""

    def __init__(self, folder: Path, store: LocalStore, scratch: Path) -> None:
        self.path, self.store, self.scratch = folder / "app.db", store, scratch
        execute(self.path, SCHEMA + REBUILD)
        self.source = SqliteSource("app", SqliteOptions(path=self.path))
        self.backup: Backup = take_backup(self.source, Repository(store=store), BackupRequest(), Job()).backup

    def restore(self, *tables: str, truncate: bool = False) -> Restored:
        """Put tables of the backup back."""
        request = RestoreRequest(
            scratch=self.scratch,
            safety=Repository(store=self.store),
            options=RestoreOptions(tables=tables, truncate=truncate),
            yes=True,
            command="drillbook",
        )
        return restore_backup(self.backup, self.source, request, Job())

    def found(self, index: str, word: str) -> int:
        """How many rows an index has for a word."""
        return int(str(ask(self.path, f"SELECT count(*) FROM {index} WHERE {index} MATCH '{word}'")))


@pytest.fixture
def case(tmp_path: Path, store: LocalStore, scratch: Path) -> Case:
    """The rows and indexes have changed since the backup."""
    case = Case(tmp_path, store, scratch)
    execute(case.path, LIVE + REBUILD)
    return case


@pytest.mark.parametrize("name", ["Notes", "notes", "NOTES"])
def test_text_indexes_follow(case: Case, name: str) -> None:
    """Indexes over the table, and over a view of it, find the rows that came back, and those that are gone no more."""
    restored = case.restore(name)
    rebuilt = {
        item.where: item.severity for item in restored.findings if item.code == "restore.index_rebuilt"
    }
    assert rebuilt == dict.fromkeys(("five", "of_view", "four"), Severity.OK)
    for index in ("five", "of_view", "four"):
        assert (case.found(index, "old"), case.found(index, "new")) == (1, 0), index
    assert case.found("apart", "changed") == 1
    assert case.found("own", "mine") == 1
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("INSERT INTO five(five, rank) VALUES ('integrity-check', 1)")
        connection.execute("INSERT INTO four(four) VALUES ('integrity-check')")
    assert ask(case.path, "SELECT v FROM other") == "changed"


def test_an_index_that_cannot_be_built_here(tmp_path: Path) -> None:
    """It is stale, which is said with the statement for the application; the table came back all the same."""
    path = tmp_path / "a.db"
    execute(
        path,
        SCHEMA + REBUILD + "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql ="
        " 'CREATE VIRTUAL TABLE five USING fts5(title, body, content=''Notes'', tokenize=theirs)' WHERE name = 'five';",
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        found = {item.where: item for item in rebuild_text_indexes(connection, "Notes")}
    assert found["five"].code == "restore.index_stale"
    assert found["five"].severity is Severity.WARNING
    assert """INSERT INTO "five" ("five") VALUES ('rebuild')""" in found["five"].message
    assert found["four"].code == "restore.index_rebuilt"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("five_data", "belongs to a virtual table"),
        ("OWN_CONTENT", "belongs to a virtual table"),
        ("own", "is a virtual table"),
        ("sqlite_sequence", "is SQLite's own"),
        ("nothing", "has no table 'nothing'"),
        ("shown", "has no table 'shown'"),
    ],
)
def test_what_is_no_table_by_itself(case: Case, name: str, said: str) -> None:
    """It is refused before anything is kept or changed."""
    before, stored = case.path.read_bytes(), {item.key for item in case.store.list()}
    with pytest.raises(OpsError, match=said):
        case.restore(name)
    assert case.path.read_bytes() == before
    assert {item.key for item in case.store.list()} == stored


def test_truncate_is_refused(case: Case) -> None:
    """What a kind does not heed it refuses."""
    with pytest.raises(ConfigError, match="no --truncate"):
        case.restore("Notes", truncate=True)


def test_going_back_is_of_the_table_alone(case: Case) -> None:
    """The command that is printed puts the table back, and leaves what others wrote since."""
    restored = case.restore("notes")
    assert restored.undo is not None
    assert restored.undo.endswith(" --table notes --yes")


def test_a_table_that_was_not_there(case: Case) -> None:
    """What was dropped comes back with its numbers; going back is of the whole file then, where the table is not."""
    execute(case.path, "DROP TABLE Notes")
    restored = case.restore("Notes")
    assert ask(case.path, "SELECT count(*) FROM Notes") == 2
    assert ask(case.path, "SELECT seq FROM sqlite_sequence WHERE name = 'Notes'") == 2
    assert restored.undo is not None
    assert "--table" not in restored.undo
