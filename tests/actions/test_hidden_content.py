"""What tells of the content of an encrypted backup is encrypted as well."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.create_backup import Made
from ops.actions.drill import DrillRequest, run_drill
from ops.config.reading import store_at
from ops.formats import manifest as manifest_files
from ops.formats.names import manifest_key
from ops.host.state_dir import StateDir
from ops.model.findings import Severity, Verdict
from ops.model.manifest import Measures, Origin, TableMeasure
from ops.model.requests import Assertion
from ops.repository.catalog import read_manifest
from ops.repository.encrypt import Sealing, opened
from ops.repository.fetch import fetch_whole
from ops.repository.find import find_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import silent
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.actions.test_encrypted_store import made
from tests.conftest import execute, run_drillbook
from tests.histories import stored_backup
from tests.keys import Keys
from tests.sources.eventlog.writing import made_events, written_log

MANY_NOTES = """
WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO notes SELECT i, 'x' FROM n
"""


@pytest.fixture
def there(store: LocalStore, keys: Keys, scratch: Path, tmp_path: Path) -> Repository:
    """A store that encrypts, on a machine with a state folder and without a key."""
    return Repository(
        store=store,
        encryption=keys.sealing,
        scratch=scratch,
        plain_store=store_at,
        state=StateDir(tmp_path / "state"),
    )


def names_in(folder: Path) -> set[str]:
    """Which words of the database stand anywhere in the store's names and bytes."""
    words = ("prices", "notes", "ticker", "data.db", "live")
    texts = [str(path.relative_to(folder)).encode() for path in folder.rglob("*")]
    texts += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {word for word in words if any(word.encode() in text for text in texts)}


def test_nothing_of_it_stands_beside_the_payload(
    source: SqliteSource, there: Repository, store: LocalStore, scratch: Path, keys: Keys
) -> None:
    """No table, column, file name, place or row count is in the store; with the key all of it is there."""
    taken = made(replace(source, name="app"), there, scratch).taken
    with_key = replace(find_backup(store, "latest"), openers=(keys.opening,))
    run_drill(
        with_key,
        source,
        DrillRequest(scratch=scratch, assertions=(Assertion(row_count="notes", min=1),)),
        Job(),
    )
    assert names_in(store.options.path) == set()
    stored = find_backup(store, "latest")
    assert stored.manifest.measures.tables == {}
    assert stored.proof is not None
    assert stored.proof.rows is None
    assert set(opened(with_key, scratch).manifest.measures.tables) == {"prices", "notes"}
    assert taken.backup.manifest.measures.rows == 202


def test_a_drill_compares_what_was_measured(
    source: SqliteSource, there: Repository, store: LocalStore, scratch: Path, keys: Keys
) -> None:
    """With the key the copy is compared with the counts, and says so; with another one nothing is said of the backup."""
    made(source, there, scratch)
    right = replace(find_backup(store, "latest"), openers=(keys.opening,))
    evidence = run_drill(right, source, DrillRequest(scratch=scratch), Job())
    assert evidence.verdict is Verdict.PASSED
    assert any(item.code == "measure.equal" for item in evidence.findings)
    wrong = Keys(scratch.parent, "wrong")
    other = replace(find_backup(store, "latest"), openers=(wrong.opening,))
    assert run_drill(other, source, DrillRequest(scratch=scratch), Job()).verdict is Verdict.INCONCLUSIVE
    assert find_backup(store, "latest").proven


def test_a_forged_count_is_found(
    source: SqliteSource, there: Repository, store: LocalStore, scratch: Path, keys: Keys
) -> None:
    """An encrypted part that says something else than the data holds fails the drill."""
    backup = made(source, there, scratch).taken.backup
    plain = backup.plain
    wrong = replace(plain, measures=Measures(tables={"notes": TableMeasure(1)}))
    how = Sealing.by(keys.sealing, scratch)
    forged = read_manifest(store, manifest_key(backup.name))
    part = how.private(wrong)
    assert part is not None
    private = {
        "content": base64.b64encode(part.content).decode(),
        "size": part.sealed.plain_size,
        "sha256": part.sealed.plain_sha256,
    }
    sealed = {**dict(forged.extra["sealed"]), "private": private}  # type: ignore[call-overload] # a mapping
    forged = replace(forged, extra={**forged.extra, "sealed": sealed})
    path = store.path_of(manifest_key(backup.name))
    path.chmod(0o600)
    path.write_bytes(manifest_files.to_json(forged))
    found = replace(find_backup(store, "latest"), openers=(keys.opening,))
    assert run_drill(found, source, DrillRequest(scratch=scratch), Job()).verdict is Verdict.FAILED


def test_what_this_machine_remembers(
    source: SqliteSource, there: Repository, store: LocalStore, scratch: Path, database: Path
) -> None:
    """Without a key rows that were lost are told all the same; where the memory is lost that is told once."""
    execute(database, MANY_NOTES)
    assert told(made(source, there, scratch)) == set()
    execute(database, "DELETE FROM notes")
    assert told(made(source, there, scratch)) == {"backup.rows_dropped"}
    execute(database, MANY_NOTES)
    made(source, there, scratch)
    assert there.state is not None
    shutil.rmtree(there.state.usable() / "private")
    execute(database, "DELETE FROM notes")
    assert told(made(source, there, scratch)) == {"backup.former_closed"}
    assert told(made(source, there, scratch)) == set()


def test_plain_by_choice(source: SqliteSource, there: Repository, store: LocalStore, scratch: Path) -> None:
    """A store that says plain_measures keeps counts and names in clear, as before."""
    made(source, replace(there, plain_measures=True), scratch)
    assert find_backup(store, "latest").manifest.measures.rows == 202
    assert "notes" in names_in(store.options.path)


def test_files_of_a_folder_have_no_names(keys: Keys, scratch: Path, tmp_path: Path) -> None:
    """The files of a payload that is a folder are numbered in the store, and have their names when they are opened."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, datetime(2026, 6, 1, tzinfo=UTC), files=3)
    origin = Origin(host="h", boot=None, series="0" * 16, place="1" * 16)
    manifest = replace(backup.manifest, version=2, origin=origin, extra={"sequence": 1})
    home.files[manifest_key(backup.name)] = manifest_files.to_json(manifest)
    copy_backup(
        find_backup(home, backup.name),
        Repository(store=away, encryption=keys.sealing, scratch=scratch),
        Job(),
    )
    stored = [key for key in away.files if key.startswith(f"{backup.name}.age/")]
    assert sorted(stored) == [f"{backup.name}.age/00000{number}.age" for number in range(3)]
    sealed = replace(find_backup(away, f"{backup.name}.age"), openers=(keys.opening,))
    fetched, findings = fetch_whole(sealed, scratch, silent)
    assert {item.severity for item in findings} == {Severity.OK}
    assert fetched is not None
    assert sorted(path.name for path in fetched.path.iterdir()) == ["0", "1", "2"]
    assert fetched.manifest.measures.rows == 3


def test_an_event_log_without_a_key(
    there: Repository, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """A log is continued without a key; a drill without one says nothing of it, and what it holds stands nowhere."""
    data = tmp_path / "log"
    log = EventLogSource("trail", EventLogOptions(path=data))
    for events in (25, 48):
        written_log(data, made_events(60)[:events], 10)
        done = made(log, there, scratch)
        assert told(done) == set()
    assert any(item.code == "eventlog.continues" for item in done.taken.findings)
    evidence = run_drill(find_backup(store, "latest"), log, DrillRequest(scratch=scratch), Job())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert {item.code for item in evidence.findings if item.blocking} == {"cipher.no_identity"}
    shutil.rmtree(data)
    written_log(data, made_events(60)[:30], 10)
    assert told(made(log, there, scratch)) == {"eventlog.truncated"}


def test_assertions_are_asked_of_encrypted_backups(database: Path, tmp_path: Path) -> None:
    """Those of its time bind although they are encrypted: one that does not hold fails the drill, and is in no clear text."""
    form = Path(__file__).parents[2] / "fixtures" / "stores" / "v2"
    (tmp_path / "ops.toml").write_text(
        f"""
[source.app]
kind = "sqlite"
path = "{database}"
[[source.app.assert]]
row_count = "notes"
min = 1000
[store.local]
kind = "local"
path = "backups"
encrypt = "escrow"
[cipher.escrow]
kind = "age"
recipients_file = "{form}/recipients.txt"
identity_file = "{form}/identity.txt"
"""
    )
    assert run_drillbook("backup.create", "--verify", cwd=tmp_path).returncode == 0
    done = run_drillbook("backup.drill", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "assert.failed" in done.stdout
    execute(database, MANY_NOTES)
    assert run_drillbook("backup.create", cwd=tmp_path).returncode == 0
    assert run_drillbook("backup.drill", cwd=tmp_path).returncode == 0
    assert "notes" not in names_in(tmp_path / "backups")


def told(done: Made) -> set[str]:
    """The codes of what is no praise."""
    return {item.code for item in done.taken.findings if item.severity is not Severity.OK}
