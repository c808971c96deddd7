"""A copy is compared with what SQLite saw in the snapshot: one that is sound and of another moment is noticed."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.errors import SourceError
from ops.model.evidence import Level
from ops.model.findings import Severity, worst
from ops.run.job import Job
from ops.run.progress import silent
from ops.sources.sqlite import capture
from ops.sources.sqlite.capture import CaptureOptions, capture_database
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.connection import connect_still
from ops.sources.sqlite.own_view import OwnView, own_view, require_seen
from tests.conftest import execute

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE named (rowid, oid, _rowid_); CREATE TABLE empty (a); CREATE VIRTUAL TABLE f USING fts5(body);
INSERT INTO t VALUES (-5, 'a'), (3, x'ff'), (9, 1.5), (12, CAST(x'fffe' AS TEXT));
INSERT INTO w VALUES ('k', 1); INSERT INTO named VALUES (1, 2, 3); INSERT INTO f VALUES ('quick');
"""
REWRITTEN = "PRAGMA writable_schema=ON; UPDATE sqlite_schema"


@pytest.fixture
def seen(tmp_path: Path) -> OwnView:
    """What SQLite sees in `t.db`, of which `copy.db` is a copy."""
    path = tmp_path / "t.db"
    execute(path, SCHEMA)
    shutil.copy(path, tmp_path / "copy.db")
    with closing(connect_still(path)) as connection:
        return own_view(connection, random.Random(1))


def test_a_faithful_copy(seen: OwnView, tmp_path: Path) -> None:
    """The same bytes are accepted, and tables of every form were sampled."""
    require_seen(tmp_path / "copy.db", seen)
    assert {"t", "w", "named"} <= {sample.table for sample in seen.samples}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE t SET v = 'b' WHERE id = -5", "rows of table 't'"),
        ("UPDATE t SET v = 'b' WHERE id = 12", "rows of table 't'"),
        ("INSERT INTO t VALUES (13, NULL); DELETE FROM t WHERE id = 12", "rows of table 't'"),
        ("UPDATE w SET v = 2", "rows of table 'w'"),
        ("UPDATE named SET rowid = 2", "rows of table 'named'"),
        ("DELETE FROM named", "rows of table 'named'"),
        ("PRAGMA user_version = 3", "user_version 3, not 0"),
        ("CREATE TABLE more (a)", "page_count"),
        ("CREATE VIEW v AS SELECT 1", "schema_version"),
        (f"{REWRITTEN} SET sql = 'CREATE TABLE empty (b)' WHERE name = 'empty'", "the schema"),
    ],
)
def test_another_state_is_noticed(seen: OwnView, tmp_path: Path, change: str, said: str) -> None:
    """A sound file of another moment is not what was seen, and the error says in what."""
    copy = tmp_path / "copy.db"
    execute(copy, change)
    assert worst(check_database(copy, Level.FULL, "check")) is Severity.OK
    with pytest.raises(SourceError) as caught:
        require_seen(copy, seen)
    assert caught.value.code == "source.torn"
    assert said in caught.value.message


def test_a_damaged_table_is_not_sampled(tmp_path: Path) -> None:
    """A table whose page is damaged does not keep the others from being compared, nor the file from being copied."""
    path = tmp_path / "t.db"
    execute(path, SCHEMA)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 't'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(content)
    with closing(connect_still(path)) as connection:
        view = own_view(connection, random.Random(1))
    assert "t" not in {sample.table for sample in view.samples}
    assert "w" in {sample.table for sample in view.samples}
    require_seen(path, view)


def test_a_log_that_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that missed the log's pages ends with an error, and not with a sound backup of old rows."""
    path, copy = tmp_path / "t.db", tmp_path / "copy.db"
    copy.touch()
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL").fetchone()
        writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        writer.execute("INSERT INTO t VALUES (1, 'old')")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        writer.execute("UPDATE t SET v = 'new'")
        monkeypatch.setattr(capture, "read_overlay", lambda *_, **__: None)
        with pytest.raises(SourceError) as caught:
            capture_database(path, copy, CaptureOptions(busy_timeout_s=5), Job().clock, silent)
    assert caught.value.code == "source.torn"
