from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.acceptance import Acceptance
from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import Restored, plan_restore, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import BackupError, RefusedError
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import Assertion, RestoreOptions
from ops.report.outcome import error_document
from ops.report.text import error_text
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.sources.sqlite.target import SqliteTarget
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute, files_below, run_drillbook
from tests.histories import whose

KEEP_OPEN = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM notes").fetchone()
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def backup(source: SqliteSource, store: LocalStore) -> Backup:
    """A backup of the small database with its 200 notes."""
    return take_backup(source, Repository(store=store), BackupRequest(), Job()).backup


def restore(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, **flags: object
) -> Restored:
    """Restore with these fields of the request; `target` and `table` in short."""
    if target := flags.pop("target", None):
        flags["to"] = str(target)
    if table := flags.pop("table", None):
        flags["options"] = RestoreOptions(tables=(str(table),))
    flags.setdefault("sources", [source])
    request = RestoreRequest(scratch=scratch, safety=Repository(store=store), **flags)  # type: ignore[arg-type]
    return restore_backup(backup, source, request, Job())


def test_without_flags_it_is_a_rehearsal(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """Neither --to nor --yes: verified in a scratch place, nothing of value touched, the real command named."""
    before = files_below(database.parent)
    restored = restore(backup, source, store, scratch)
    assert restored.target is None
    assert restored.next_command == f"invoke backup.restore --from {backup.name} --yes"
    assert files_below(database.parent) == before
    assert list(scratch.iterdir()) == []


def test_into_a_new_file(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """Into a place where nothing is: the payload byte for byte, private, no undo because nothing was lost."""
    target = tmp_path / "new.db"
    restored = restore(backup, source, store, scratch, target=target)
    assert target.read_bytes() == store.path_of(backup.name).read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (restored.undo, restored.safety) == (None, None)


def test_existing_target_needs_yes(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """An occupied place is refused without --yes and left as it is."""
    target = tmp_path / "there.db"
    target.write_bytes(b"mine")
    with pytest.raises(RefusedError) as caught:
        restore(backup, source, store, scratch, target=target)
    assert caught.value.code == "refused.target_occupied"
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("way", ["same path", "hard link", "symbolic link", "other spelling"])
def test_identity_guard(
    backup: Backup,
    source: SqliteSource,
    store: LocalStore,
    scratch: Path,
    database: Path,
    tmp_path: Path,
    way: str,
) -> None:
    """A source is recognised under every name it can have, and never touched without --yes."""
    alias = tmp_path / "alias.db"
    if way == "hard link":
        os.link(database, alias)
    elif way == "symbolic link":
        alias.symlink_to(database)
    elif way == "other spelling":
        alias = database.parent / ".." / database.parent.name / database.name
    else:
        alias = database
    with pytest.raises(RefusedError) as caught:
        restore(backup, source, store, scratch, target=alias)
    assert caught.value.code == "refused.target_is_source"


def test_deleted_source_is_still_a_source(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """The place of a source whose file is gone also needs --yes; with it the file is back."""
    database.unlink()
    with pytest.raises(RefusedError):
        restore(backup, source, store, scratch, target=database)
    restore(backup, source, store, scratch, yes=True)
    assert ask(database, "SELECT count(*) FROM notes") == 200


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_over_the_live_file_and_back(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path, mode: str
) -> None:
    """Overwriting restores the old rows, keeps owner and mode, and the undo brings back what was there."""
    execute(
        database,
        f"PRAGMA journal_mode={mode}; DELETE FROM notes WHERE id > 10; UPDATE notes SET body = 'later'",
    )
    database.chmod(0o640)
    restored = restore(backup, source, store, scratch, yes=True)
    assert ask(database, "SELECT count(*) FROM notes WHERE body LIKE 'note %'") == 200
    assert stat.S_IMODE(database.stat().st_mode) == 0o640
    assert sorted(file.name for file in database.parent.iterdir()) == ["data.db"]
    assert restored.safety is not None
    assert restored.undo is not None
    safety = find_backup(store, restored.safety)
    assert safety.manifest.tags == ("safety",)
    verify = safety.last("verify")
    assert verify is not None
    assert verify.verdict is Verdict.PASSED
    # `latest` still means the backup that the operator took.
    assert find_backup(store, "latest", whose=whose(source)).name == backup.name
    restore(safety, source, store, scratch, yes=True)
    assert ask(database, "SELECT count(*) FROM notes WHERE body = 'later'") == 10


@pytest.fixture
def occupied(database: Path) -> Iterator[int]:
    """Another process has the live database open and does nothing; its pid."""
    arguments: list[str | Path] = [sys.executable, "-c", KEEP_OPEN, database]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_refused_while_open_elsewhere(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path, mode: str
) -> None:
    """While another process has the file open, idle or not, it is named and nothing is done."""
    execute(database, f"PRAGMA journal_mode={mode}")
    arguments: list[str | Path] = [sys.executable, "-c", KEEP_OPEN, database]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = database.read_bytes()
        with pytest.raises(RefusedError, match=f"pid {process.pid}") as caught:
            restore(backup, source, store, scratch, yes=True)
        process.kill()
    assert caught.value.code == "refused.target_in_use"
    assert database.read_bytes() == before
    assert len(read_catalogue(store).backups) == 1, "refused before the work of a safety backup"


def test_locks_alone_are_enough(
    backup: Backup,
    source: SqliteSource,
    store: LocalStore,
    scratch: Path,
    occupied: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where /proc does not show the other process, SQLite's own locks still refuse a WAL database in use."""
    monkeypatch.setattr("ops.sources.sqlite.swap.find_occupants", lambda path: [])
    with pytest.raises(RefusedError) as caught:
        restore(backup, source, store, scratch, yes=True)
    assert caught.value.code == "refused.target_in_use"


def test_written_after_the_safety_backup(
    backup: Backup,
    source: SqliteSource,
    store: LocalStore,
    scratch: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit that the safety backup does not hold stops the swap: nothing that was committed is lost."""
    real = SqliteTarget.swap

    def write_first(self: SqliteTarget, *arguments: object, **named: object) -> object:
        execute(database, "INSERT INTO notes VALUES (7777, 'just now')")
        return real(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteTarget, "swap", write_first)
    with pytest.raises(RefusedError, match="after its safety backup"):
        restore(backup, source, store, scratch, yes=True)
    assert ask(database, "SELECT body FROM notes WHERE id = 7777") == "just now"


@pytest.mark.parametrize("damage", ["text", "empty", "header", "leaf"])
def test_over_a_damaged_database(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path, damage: str
) -> None:
    """The emergency: a live file that no tool can open is replaced, its bytes are kept, the undo is a command."""
    content = bytearray(database.read_bytes())
    if damage == "text":
        content = bytearray(b"oops\n" * 1000)
    elif damage == "empty":
        content = bytearray()
    elif damage == "header":
        content[:16] = b"\0" * 16
    else:
        content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    database.chmod(0o640)
    log = database.with_name("data.db-wal")
    log.write_bytes(b"a log that belongs to the damaged file")
    restored = restore(backup, source, store, scratch, yes=True)
    # Before anybody opens the new file: SQLite would remove a log that it cannot use.
    assert not log.exists()
    assert ask(database, "SELECT count(*) FROM notes") == 200
    assert stat.S_IMODE(database.stat().st_mode) == 0o640
    assert "restore.damaged_kept" in {finding.code for finding in restored.findings}
    assert restored.undo is not None
    subprocess.run(["sh", "-c", restored.undo], check=True)
    assert database.read_bytes() == bytes(content)
    assert log.read_bytes() == b"a log that belongs to the damaged file"


def test_through_a_symbolic_link(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path, tmp_path: Path
) -> None:
    """A target that is a symbolic link stays one: the file behind it is replaced."""
    link = tmp_path / "link.db"
    link.symlink_to(database)
    execute(database, "DELETE FROM notes")
    restore(backup, source, store, scratch, target=link, yes=True)
    assert link.is_symlink()
    assert ask(database, "SELECT count(*) FROM notes") == 200


def test_over_a_hot_journal(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """What a dead writer left half done is rolled back first: the safety backup is what was committed."""
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA journal_mode=DELETE')\n"
        "connection.execute('PRAGMA cache_size=1')\n"
        "connection.execute('BEGIN')\n"
        "connection.execute('UPDATE notes SET body = hex(randomblob(4000))')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, database], check=False)
    assert database.with_name("data.db-journal").stat().st_size
    restored = restore(backup, source, store, scratch, yes=True)
    assert restored.safety is not None
    safety = store.path_of(find_backup(store, restored.safety).name)
    assert ask(safety, "SELECT count(*) FROM notes WHERE body LIKE 'note %'") == 200
    assert sorted(file.name for file in database.parent.iterdir()) == ["data.db"]


def test_stale_log_is_never_replayed(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path, tmp_path: Path
) -> None:
    """A valid log of the same database that lies at the target's name is not played into what is restored."""
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("UPDATE notes SET body = 'from the stale log'")
        writer.commit()
        log = database.with_name("data.db-wal").read_bytes()
    target = tmp_path / "fresh" / "data.db"
    target.parent.mkdir()
    target.with_name("data.db-wal").write_bytes(log)
    target.with_name("data.db-journal").write_bytes(b"old journal")
    restore(backup, source, store, scratch, target=target)
    assert ask(target, "SELECT count(*) FROM notes WHERE body = 'from the stale log'") == 0
    assert target.with_name("data.db-wal.stray-0").read_bytes() == log


def test_bad_backup_is_not_restored(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """A damaged payload is found before anything is touched."""
    path = store.path_of(backup.name)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    before = database.read_bytes()
    with pytest.raises(BackupError) as caught:
        restore(backup, source, store, scratch, yes=True)
    assert caught.value.code == "backup.not_restorable"
    assert database.read_bytes() == before
    assert len(read_catalogue(store).backups) == 1, "no safety backup for a restore that cannot happen"


def test_broken_references_do_not_stop_an_emergency(store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """Rows that break a foreign key in the source too are shown, but a restore still works."""
    path = tmp_path / "fk.db"
    execute(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (1);",
    )
    source = SqliteSource("fk", SqliteOptions(path=path))
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    path.unlink()
    restored = restore(backup, source, store, scratch, yes=True)
    assert "sqlite.foreign_key" in {finding.code for finding in restored.findings}
    assert ask(path, "SELECT count(*) FROM c") == 1


def test_one_table(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """One table goes back with its rows, rowids, indexes and triggers; the others keep what is newer."""
    execute(
        database, "DELETE FROM notes WHERE id > 5; UPDATE notes SET body = ''; UPDATE prices SET close = 1.0;"
    )
    restored = restore(backup, source, store, scratch, yes=True, table="notes")
    assert ask(database, "SELECT count(*) FROM notes WHERE body LIKE 'note %'") == 200
    assert ask(database, "SELECT max(close) FROM prices") == 1.0
    assert restored.undo is not None


def test_one_table_with_everything(store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """Triggers do not fire, autoincrement counters return, generated columns and WITHOUT ROWID tables work."""
    path = tmp_path / "rich.db"
    execute(
        path,
        """
        CREATE TABLE log (what TEXT);
        CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT, twice AS (v || v), kept AS (v || '!') STORED);
        CREATE INDEX a_v ON a (v);
        CREATE TRIGGER a_in AFTER INSERT ON a BEGIN INSERT INTO log VALUES ('in ' || new.id); END;
        CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;
        CREATE TABLE r (v);
        INSERT INTO a (v) VALUES ('x'), ('y');
        INSERT INTO w VALUES ('k', x'00');
        INSERT INTO r (rowid, v) VALUES (10, 'ten'), (20, NULL);
        """,
    )
    source = SqliteSource("rich", SqliteOptions(path=path))
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    execute(
        path,
        "DELETE FROM a; DELETE FROM w; DELETE FROM r; UPDATE sqlite_sequence SET seq = 99; DROP TABLE log;",
    )
    execute(path, "CREATE TABLE log (what TEXT)")
    for table in ("a", "w", "r"):
        restore(backup, source, store, scratch, yes=True, table=table)
    assert ask(path, "SELECT group_concat(id || v || twice || kept) FROM a") == "1xxxx!,2yyyy!"
    assert ask(path, "SELECT count(*) FROM log") == 0
    assert ask(path, "SELECT seq FROM sqlite_sequence WHERE name = 'a'") == 2
    assert ask(path, "SELECT group_concat(rowid) FROM r") == "10,20"
    assert ask(path, "SELECT hex(v) FROM w") == "00"
    execute(path, "INSERT INTO a (v) VALUES ('z')")
    assert ask(path, "SELECT what FROM log") == "in 3"
    assert ask(path, "PRAGMA integrity_check") == "ok"


@pytest.mark.parametrize("table", ["nothere", "f"])
def test_one_table_that_can_not_be(store: LocalStore, scratch: Path, tmp_path: Path, table: str) -> None:
    """A table that the backup lacks, or a virtual one, is refused; the target stays as it was."""
    path = tmp_path / "v.db"
    execute(path, "CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('x');")
    source = SqliteSource("v", SqliteOptions(path=path))
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    before = path.read_bytes()
    with pytest.raises((BackupError, RefusedError)):
        restore(backup, source, store, scratch, yes=True, table=table)
    assert path.read_bytes() == before


def test_plan_touches_nothing(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """A dry run names the steps in order and leaves every file as it is."""
    before = files_below(tmp_path)
    request = RestoreRequest(scratch=scratch, safety=Repository(store=store), sources=[source], yes=True)
    steps = plan_restore(backup, source, request)
    assert [step.split()[0] for step in steps] == ["refuse", "build", "keep", "swap", "print"]
    assert files_below(tmp_path) == before


def test_the_printed_undo_works(tmp_path: Path, database: Path) -> None:
    """The command that the summary ends with, run as it is printed, brings back what was there."""
    environment = {"DATA_DIR": str(database.parent), "BACKUP_DIR": str(tmp_path / "b")}
    assert run_drillbook("backup.create", cwd=tmp_path, environment=environment).returncode == 0
    execute(database, "DELETE FROM notes")
    run = run_drillbook("backup.restore", "--yes", cwd=tmp_path, environment=environment)
    assert run.returncode == 0, run.stdout
    assert ask(database, "SELECT count(*) FROM notes") == 200
    undo = run.stdout.rstrip().splitlines()[-1].strip()
    program, *arguments = shlex.split(undo)
    assert program == "drillbook"
    again = run_drillbook(*arguments, cwd=tmp_path, environment=environment)
    assert again.returncode == 0, again.stdout
    assert ask(database, "SELECT count(*) FROM notes") == 0


@pytest.mark.needs_root
def test_restored_owner_is_the_old_one(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """Root restores a file that belongs to the application: it still does afterwards."""
    os.chown(database, 65534, 65534)
    restore(backup, source, store, scratch, yes=True)
    assert (database.stat().st_uid, database.stat().st_gid) == (65534, 65534)


@pytest.mark.needs_root
def test_restored_where_nothing_was_belongs_to_the_folder(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """Root restores a file that was deleted: it belongs to the folder's owner, who can open it."""
    database.unlink()
    os.chown(database.parent, 65534, 65534)
    restore(backup, source, store, scratch, yes=True)
    assert (database.stat().st_uid, database.stat().st_gid) == (65534, 65534)
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_folder_as_target(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """A folder is no file to restore to, with or without --yes; a folder that is not there is named."""
    for yes in (False, True):
        with pytest.raises(RefusedError, match="is a folder"):
            restore(backup, source, store, scratch, target=tmp_path, yes=yes)
    with pytest.raises(RefusedError, match="is not there"):
        restore(backup, source, store, scratch, target=tmp_path / "no" / "such.db")


def test_interrupted_restore_leaves_nothing(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, database: Path
) -> None:
    """What a restore that died had built beside the live file is removed by the next one."""
    left = database.parent / "drillbook-scratch-dead"
    left.mkdir()
    shutil.copy(store.path_of(backup.name), left / "half.db")
    restore(backup, source, store, scratch, yes=True)
    assert not left.exists()


def test_assertions_are_asked_before_the_swap(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """What the operator expects is asked of the new data; what does not hold is a warning, and commands are not run."""
    ran = tmp_path / "ran"
    assertions = (
        Assertion(row_count="notes", min=200),
        Assertion(query="SELECT count(*) FROM notes", expect=1),
        Assertion(command=("touch", str(ran))),
    )
    restored = restore(backup, source, store, scratch, yes=True, assertions=assertions)
    asked = [(item.code, str(item.severity)) for item in restored.findings if item.code.startswith("assert.")]
    assert asked == [("assert.passed", "ok"), ("assert.failed", "warning")]
    assert not ran.exists()


def test_every_reason_of_a_refusal_is_told(backup: Backup) -> None:
    """Where several things are wrong the message counts them, and each is told, in JSON as in the text."""
    wrong = [
        Finding(
            severity=Severity.CRITICAL, code="postgres.object_missing", message=f"thing {number} is missing"
        )
        for number in range(30)
    ]
    with pytest.raises(BackupError) as caught:
        Acceptance(backup, (), (), datetime.now(UTC).date()).require_right(wrong)
    assert "30 things are wrong, the first: thing 0 is missing" in caught.value.message
    lines = error_text(caught.value, "", str, "error").splitlines()
    document = error_document(caught.value, "", str)
    assert [f"  found {line}" for line in document["details"]] == lines[2:32]  # type: ignore[attr-defined]
    assert lines[31] == "  found thing 29 is missing"


def test_the_place_of_another_source(
    backup: Backup, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """With --yes too a backup does not replace the live data of another configured source, unless that is said."""
    path = tmp_path / "other.db"
    execute(path, "CREATE TABLE other (x)")
    other = SqliteSource("other", SqliteOptions(path=path))
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="live data of source 'other'") as caught:
        restore(backup, source, store, scratch, sources=[source, other], target=path, yes=True)
    assert caught.value.code == "refused.other_series"
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(RefusedError, match="live data of source 'other'"):
        restore(backup, source, store, scratch, sources=[source, other], target=path, yes=True)
    assert not path.exists(), "nor where its data is gone"
    restore(backup, source, store, scratch, sources=[source, other], target=path, yes=True, from_other=True)
    assert ask(path, "SELECT count(*) FROM notes") == 200
