"""One suite for every kind of source: each promise of the port is a test."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import Restored, plan_restore, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import ConfigError, RefusedError, SourceError
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.model.manifest import FileEntry, Payload
from ops.model.requests import RestoreOptions
from ops.ports.source import CaptureContext, LoadContext, Restorable
from ops.repository.backup import Backup
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.stores.local.store import LocalStore
from tests.contracts.sources import (
    Subject,
    eventlog_subject,
    pair_subject,
    plain_subject,
    postgres_subject,
    sqlite_subject,
)
from tests.sources.postgres.conftest import FreshDatabases

MAKE = {
    "eventlog": eventlog_subject,
    "pair": pair_subject,
    "plain file": plain_subject,
    "sqlite": sqlite_subject,
}


@pytest.fixture(params=[*MAKE, "postgres"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Each kind in turn."""
    if request.param == "postgres":
        fresh: FreshDatabases = request.getfixturevalue("fresh_database")
        return postgres_subject(fresh(request.getfixturevalue("pg15")))
    folder = tmp_path / "live"
    folder.mkdir()
    return MAKE[request.param](folder)


@pytest.fixture
def payload(subject: Subject, tmp_path: Path) -> tuple[Path, Subject]:
    """An empty private place for a payload."""
    into = tmp_path / "payload"
    into.mkdir(0o700) if subject.source.form.is_folder else into.touch(0o600)
    return into, subject


def taken(subject: Subject, store: LocalStore) -> Backup:
    """A backup in the store."""
    return take_backup(subject.source, Repository(store=store), BackupRequest(), Job()).backup


def restored(
    backup: Backup,
    subject: Subject,
    store: LocalStore,
    scratch: Path,
    *,
    to: str | None = None,
    yes: bool = False,
) -> Restored:
    """A restore of the backup."""
    return restore_backup(backup, subject.source, request(subject, store, scratch, to=to, yes=yes), Job())


def request(
    subject: Subject, store: LocalStore, scratch: Path, *, to: str | None = None, yes: bool = False
) -> RestoreRequest:
    """What a restore is told."""
    return RestoreRequest(
        scratch=scratch, safety=Repository(store=store), sources=[subject.source], to=to, yes=yes
    )


def test_every_file_is_told_as_it_is_recorded(payload: tuple[Path, Subject]) -> None:
    """A capture says of each file that it is final, with the bytes that it has then, and never changes it afterwards."""
    into, subject = payload
    told: dict[str, FileEntry] = {}

    def done(path: Path, entry: FileEntry) -> None:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
        told[str(path.relative_to(into))] = entry

    captured = subject.source.capture(into, CaptureContext(file_done=done))
    files = captured.files if subject.source.form.is_folder else [replace(captured.files[0], path=".")]
    assert {path: (entry.size, entry.sha256) for path, entry in told.items()} == {
        entry.path: (entry.size, entry.sha256) for entry in files
    }
    for entry in files:
        content = (into / entry.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256)


def test_a_capture_measures_the_source_and_leaves_it_alone(payload: tuple[Path, Subject]) -> None:
    """There are rows, a moment, and the source is as it was."""
    into, subject = payload
    before = subject.content()
    captured = subject.source.capture(into, CaptureContext())
    assert captured.rows > 0
    assert captured.data_as_of.utcoffset() is not None
    assert subject.content() == before


def test_it_says_who_it_is_and_what_it_takes(subject: Subject) -> None:
    """The same words each time, without a secret; a probe tells what a payload takes."""
    source = subject.source
    assert source.identify() == source.identify()
    assert source.info.kind
    probe = source.probe()
    assert probe.text
    assert probe.estimate == source.estimate() > 0
    assert source.supports.restore <= {field.name for field in fields(RestoreOptions)}


def test_a_backup_is_drilled(subject: Subject, store: LocalStore, scratch: Path) -> None:
    """Quick and full looks pass, a drill proves it, and nothing is left of any of them."""
    backup = taken(subject, store)
    for level in Level:
        look = verify_backup(backup, subject.source, VerifyRequest(level, scratch), Job())
        assert look.verdict is Verdict.PASSED, look.findings
        assert look.findings
    evidence = run_drill(backup, subject.source, DrillRequest(scratch=scratch), Job())
    assert evidence.proves, evidence.findings
    assert {phase.name for phase in evidence.phases} == {"fetch", "load", "check", "assert"}
    assert list(scratch.iterdir()) == []


def test_a_copy_is_compared_with_what_was_recorded(
    subject: Subject, store: LocalStore, scratch: Path
) -> None:
    """A backup whose manifest says of one row more fails: the measures of the copy are looked at."""
    backup = taken(subject, store)
    measures = backup.manifest.measures
    if not measures.tables:
        pytest.skip("members are compared one by one: test_members")
    name, table = next(iter(measures.tables.items()))
    tables = {**measures.tables, name: replace(table, rows=table.rows + 1)}
    lying = replace(backup, manifest=replace(backup.manifest, measures=replace(measures, tables=tables)))
    look = verify_backup(lying, subject.source, VerifyRequest(Level.FULL, scratch, keep=False), Job())
    assert look.verdict is Verdict.FAILED
    assert any(
        item.code.startswith("measure.") for item in look.findings if item.severity is Severity.CRITICAL
    )


def test_a_loaded_copy_is_gone_afterwards(subject: Subject, store: LocalStore, tmp_path: Path) -> None:
    """Where it is, what it holds and what was seen are told while the block runs."""
    backup = taken(subject, store)
    folder = tmp_path / "load"
    folder.mkdir(0o700)
    for entry in backup.manifest.files:
        target = folder / entry.path
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
        target.write_bytes(store.path_of(entry.path).read_bytes())
    with subject.source.load(Payload(folder / backup.name, folder, backup.manifest), LoadContext()) as copy:
        assert copy.place
        assert copy.check()
        recorded = backup.manifest.measures
        assert copy.measure(copy.expected(recorded)).tables.keys() == recorded.tables.keys()


def test_a_restore_over_the_live_data_goes_back(subject: Subject, store: LocalStore, scratch: Path) -> None:
    """What is there is kept as a safety backup first, and the one brings back what the other replaced."""
    before = subject.content()
    backup = taken(subject, store)
    subject.change()
    changed = subject.content()
    assert changed != before
    done = restored(backup, subject, store, scratch, yes=True)
    assert subject.content() == before
    assert done.safety is not None
    restored(find_backup(store, done.safety), subject, store, scratch, yes=True)
    assert subject.content() == changed


def test_lost_data_comes_back(subject: Subject, store: LocalStore, scratch: Path) -> None:
    """Where nothing is left, there is nothing to keep, and what was backed up is there again."""
    before = subject.content()
    backup = taken(subject, store)
    subject.lose()
    done = restored(backup, subject, store, scratch, yes=True)
    assert subject.content() == before
    assert done.safety is None


def test_a_new_place_does_not_touch_the_live_data(subject: Subject, store: LocalStore, scratch: Path) -> None:
    """A restore beside it needs no --yes, and a second one to the same place does."""
    backup = taken(subject, store)
    subject.change()
    changed = subject.content()
    assert isinstance(subject.source, Restorable)
    with subject.source.target(subject.elsewhere) as target:
        assert not target.exists()
        done = restored(backup, subject, store, scratch, to=subject.elsewhere)
        assert target.exists()
        assert done.target == target.location
    assert subject.content() == changed
    with pytest.raises(RefusedError):
        restored(backup, subject, store, scratch, to=subject.elsewhere)


def test_the_live_data_is_known_by_every_name(subject: Subject) -> None:
    """The source knows its own place, and no other is it."""
    source = subject.source
    assert isinstance(source, Restorable)
    with source.target(None) as own, source.target(subject.elsewhere) as other:
        assert own.exists()
        assert source.same_place(own.location)
        assert not source.same_place(other.location)
        assert own.source().info.kind == source.info.kind


def test_a_plan_touches_nothing(subject: Subject, store: LocalStore, scratch: Path) -> None:
    """What would be done is told in steps, and nothing is."""
    backup = taken(subject, store)
    subject.change()
    changed = subject.content()
    assert plan_restore(backup, subject.source, request(subject, store, scratch, yes=True))
    assert subject.content() == changed


@pytest.mark.parametrize("option", [field.name for field in fields(RestoreOptions)])
def test_what_a_kind_does_not_declare_is_refused(
    subject: Subject, store: LocalStore, scratch: Path, option: str
) -> None:
    """An option that means nothing to it is named, before anything is touched."""
    backup = taken(subject, store)
    value: Any = ("t",) if option == "tables" else True
    options = replace(RestoreOptions(), **{option: value})
    asked = replace(request(subject, store, scratch, yes=True), options=options)
    if option in subject.source.supports.restore:
        plan_restore(backup, subject.source, asked)
        return
    with pytest.raises(ConfigError, match=f"kind '{subject.source.info.kind}' has no --"):
        restore_backup(backup, subject.source, asked, Job())


def test_what_is_gone_cannot_be_captured(subject: Subject, store: LocalStore) -> None:
    """A source that is not there is an error, and no backup."""
    subject.lose()
    with pytest.raises(SourceError):
        taken(subject, store)
    assert list(store.list()) == [] or all(item.key.startswith(".") for item in store.list())
