"""Backups after a restore: the log continues what was restored, and nothing else is taken for that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import RefusedError
from ops.model.findings import Finding, Severity
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog import swap as promote
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.eventlog.writing import made_events, written_log

OLD = made_events(35)
LATER = [*OLD, *made_events(20, previous=OLD[-1]["current_hash"], first=35)]
AFTER = [*OLD, *made_events(1, previous=OLD[-1]["current_hash"], first=90, actor="after")]


class Case:
    """A log with a backup of its first 35 events, and one of all 55."""

    def __init__(self, folder: Path) -> None:
        self.data, self.scratch = folder / "data", folder / "scratch"
        self.scratch.mkdir()
        self.log = EventLogSource("log", EventLogOptions(path=self.data))
        self.store = LocalStore("local", LocalOptions(path=folder / "backups"))
        self.now_has(OLD)
        self.old = self.take().backup
        self.now_has(LATER)
        self.later = self.take().backup

    def now_has(self, events: list[Any]) -> None:
        """The program's log is that one now."""
        shutil.rmtree(self.data / "event-log", ignore_errors=True)
        written_log(self.data, events, 10)

    def take(self) -> Taken:
        """A backup of the log as it is."""
        return take_backup(self.log, Repository(store=self.store), BackupRequest(), Job())

    def restore(self, backup: Backup) -> tuple[Finding, ...]:
        """A restore over the live log."""
        request = RestoreRequest(
            scratch=self.scratch, safety=Repository(store=self.store), sources=[self.log], yes=True
        )
        return restore_backup(backup, self.log, request, Job()).findings

    @property
    def records(self) -> list[Path]:
        """What the store says of restores."""
        return list((self.store.options.path / ".drillbook/restores").glob("*"))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Both backups are there."""
    return Case(tmp_path)


def codes(taken: Taken) -> set[tuple[str, str]]:
    """Severity and code of what is said of the log."""
    found = {(str(item.severity), item.code) for item in taken.findings}
    return {item for item in found if item[1].startswith("eventlog.") or item[0] != "ok"}


CONTINUES = {("ok", "eventlog.continues")}
RESTORED = {("ok", "eventlog.continues_restored")}
CUT = {("critical", "eventlog.truncated")}


@pytest.mark.parametrize("appended", [OLD, AFTER])
def test_a_restore_over_the_live_log(case: Case, appended: list[Any]) -> None:
    """The next backup says from which one the log continues, with or without a new event; the one behind it as ever."""
    case.restore(case.old)
    case.now_has(appended)
    taken = case.take()
    assert codes(taken) == RESTORED
    (message,) = [item.message for item in taken.findings if item.code == "eventlog.continues_restored"]
    assert case.old.name in message
    assert case.later.name in message
    assert codes(case.take()) == CONTINUES


def test_a_restore_of_a_log_that_was_lost(case: Case) -> None:
    """Where nothing was left to keep, the restore is known all the same."""
    shutil.rmtree(case.data)
    case.restore(case.old)
    assert codes(case.take()) == RESTORED


def test_a_restore_and_its_undoing(case: Case) -> None:
    """After the command that goes back, the log continues the newest backup; a later restore is the last word."""
    case.restore(case.old)
    case.restore(case.later)
    assert codes(case.take()) == CONTINUES
    case.restore(case.old)
    assert codes(case.take()) == RESTORED
    assert len(case.records) == 1


@pytest.mark.parametrize("left", [LATER[:50], OLD[:34], OLD[:20]])
def test_a_log_that_was_cut(case: Case, left: list[Any]) -> None:
    """No restore was recorded, or the log was cut behind it as well."""
    if len(left) < 35:
        case.restore(case.old)
    case.now_has(left)
    assert codes(case.take()) - {("warning", "rows.dropped")} == CUT


def test_a_restore_that_is_older_than_the_former_backup(case: Case) -> None:
    """What was restored before the former backup excuses nothing that was cut since then."""
    case.restore(case.old)
    case.now_has(LATER)
    case.take()
    case.now_has(AFTER)
    assert codes(case.take()) == CUT


def test_a_restore_that_failed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves no word behind: a log that is cut later was cut."""

    def refuse(*_: object, **__: object) -> None:
        raise RefusedError("not now", code="refused.target_in_use")

    monkeypatch.setattr(promote, "swap_log", refuse)
    with pytest.raises(RefusedError):
        case.restore(case.old)
    assert case.records == []
    case.now_has(OLD)
    assert codes(case.take()) == CUT


def truncated(path: Path) -> None:
    """Half of the file is left."""
    path.write_bytes(path.read_bytes()[:100])


def of_another(path: Path) -> None:
    """One digit of the restored backup's name is another."""
    path.write_text(path.read_text().replace("backup-eventlog-2", "backup-eventlog-3"))


@pytest.mark.parametrize("damage", [truncated, of_another, Path.unlink])
def test_a_record_that_cannot_be_read(case: Case, damage: Callable[[Path], None]) -> None:
    """It excuses nothing, and hinders no backup."""
    case.restore(case.old)
    damage(case.records[0])
    assert codes(case.take()) == CUT


def test_a_restored_backup_that_is_gone(case: Case) -> None:
    """There is nothing left that the log could be compared with."""
    case.restore(case.old)
    for path in case.store.options.path.glob(f"{case.old.name}*"):
        path.unlink()
    assert ("critical", "eventlog.truncated") in codes(case.take())


def test_a_restore_that_cannot_be_recorded(case: Case) -> None:
    """It is done, and says that the next backup will not know of it."""
    (case.store.options.path / ".drillbook/restores").write_text("in the way")
    findings = case.restore(case.old)
    assert [item.severity for item in findings if item.code == "restore.not_recorded"] == [Severity.WARNING]
    assert codes(case.take()) == CUT


@pytest.mark.parametrize(
    ("kept_from", "said"),
    [
        (6, {("ok", "eventlog.continues"), ("ok", "eventlog.pruned")}),
        (7, {("warning", "eventlog.unconnected"), ("ok", "eventlog.pruned")}),
    ],
)
def test_a_log_that_was_pruned_to_the_former_end(case: Case, kept_from: int, said: set[object]) -> None:
    """The recorded hash of the last event proves that the first one that is left follows it; further on nothing does."""
    start = LATER[:50]
    case.store = LocalStore("other", LocalOptions(path=case.data.parent / "other"))
    case.now_has(start)
    case.take()
    case.now_has([*start, *made_events(25, previous=start[-1]["current_hash"], first=50)])
    for number in range(1, kept_from):
        (case.data / f"event-log/segment-{number:06}.json").unlink()
    assert codes(case.take()) == said
