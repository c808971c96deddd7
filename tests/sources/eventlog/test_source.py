"""The kind `eventlog` through the actions: taken, looked at, drilled, restored, and compared with its former backup."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import Restored, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import ConfigError, OpsError, RefusedError, SourceError
from ops.formats.names import SAFETY_TAG
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.model.requests import RestoreOptions
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog import swap as promote
from ops.sources.eventlog.log.log import read_log
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.keys import Keys
from tests.sources.eventlog.writing import Event, hash_of, made_events, segments_of, written_log
from tests.unpacked import unpack

EVENTS = made_events(35)
MORE = made_events(12, previous=EVENTS[-1]["current_hash"], first=35)
HERE = Path(__file__).parent


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A live log of 35 events in four segments."""
    return written_log(tmp_path / "data", EVENTS, 10)


@pytest.fixture
def log(data: Path) -> EventLogSource:
    """The source."""
    return EventLogSource("log", EventLogOptions(path=data))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Its store."""
    return LocalStore("local", LocalOptions(path=tmp_path / "backups"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where scratch places are made."""
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def taken(log: EventLogSource, store: LocalStore) -> Taken:
    """A new backup."""
    return take_backup(log, Repository(store=store), BackupRequest(), Job())


def codes(findings: object) -> set[tuple[str, str]]:
    """Severity and code of what needs a look."""
    assert isinstance(findings, tuple | list)
    return {(str(item.severity), item.code) for item in findings if str(item.severity) != "ok"}


def files_of(folder: Path) -> dict[str, bytes]:
    """The log's files below `folder`."""
    paths = [*(folder / "event-log").glob("*.json"), folder / "event-log-snapshot.json"]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def test_there_and_back(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path, tmp_path: Path
) -> None:
    """Taken, looked at on both levels, drilled, and restored into an empty place, byte for byte."""
    before = files_of(data)
    done = taken(log, store)
    assert codes(done.findings) == set()
    for level in Level:
        evidence = verify_backup(done.backup, log, VerifyRequest(level, scratch), Job())
        assert (evidence.verdict, codes(evidence.findings)) == (Verdict.PASSED, set())
    drill = run_drill(find_backup(store, "latest"), log, DrillRequest(scratch=scratch), Job())
    assert (drill.verdict, drill.rows) == (Verdict.PASSED, 35)
    request = RestoreRequest(
        scratch=scratch, safety=Repository(store=store), sources=[log], to=str(tmp_path / "new")
    )
    assert codes(restore_backup(done.backup, log, request, Job()).findings) == set()
    assert files_of(tmp_path / "new") == files_of(data) == before
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "event-log",
        "event-log-snapshot.json",
    ]
    assert list(scratch.iterdir()) == []


def test_what_the_manifests_say(log: EventLogSource, store: LocalStore, data: Path) -> None:
    """The manifest in the archive has the keys of the program's own tools, and the one beside it the same facts."""
    backup = taken(log, store).backup
    assert (backup.name[:16], backup.name[-7:]) == ("backup-eventlog-", ".tar.gz")
    with tarfile.open(store.path_of(backup.name)) as archive:
        content = archive.extractfile("manifest.json")
        assert content is not None
        inside = json.loads(content.read())
        names = archive.getnames()
    assert names == [
        *(f"event-log/segment-00000{n}.json" for n in range(1, 5)),
        "event-log-snapshot.json",
        "manifest.json",
    ]
    assert list(inside)[:6] == [
        "version", "created_at", "source_dir", "files", "eventlog_summary", "chain_valid_at_backup",
    ]  # fmt: skip
    assert inside["eventlog_summary"] == {
        "total_events": 35, "total_segments": 4, "first_event_id": EVENTS[0]["id"],
        "last_event_id": EVENTS[-1]["id"], "last_current_hash": EVENTS[-1]["current_hash"],
        "snapshot_exists": True,
    }  # fmt: skip
    extra = backup.manifest.extra
    assert (extra["eventlog_summary"], extra["members"]) == (inside["eventlog_summary"], inside["files"])
    assert (extra["source_dir"], extra["chain_valid_at_backup"]) == (str(data), True)


@pytest.mark.parametrize(("name", "events"), [("base256", 256), ("pruned", 75), ("empty_dir", 0)])
def test_logs_of_the_real_program(
    store: LocalStore, scratch: Path, tmp_path: Path, name: str, events: int
) -> None:
    """A whole, a pruned and an empty log of the program that writes such logs are taken and proven."""
    unpack(HERE / f"{name}.tar.gz", tmp_path / name)
    log = EventLogSource("log", EventLogOptions(path=tmp_path / name))
    done = taken(log, store)
    undecided = {("warning", "eventlog.start_undecided"), ("warning", "eventlog.snapshot_disagrees")}
    assert codes(done.findings) <= (undecided if name == "pruned" else set())
    assert (("warning", "eventlog.start_undecided") in codes(done.findings)) == (name == "pruned")
    drill = run_drill(done.backup, log, DrillRequest(scratch=scratch), Job())
    assert (drill.verdict, drill.rows) == (Verdict.PASSED, events)
    assert codes(taken(log, store).findings) <= undecided - {("warning", "eventlog.start_undecided")}


def rewritten(data: Path) -> None:
    """From event 20 on another log, whose hashes are right."""
    other = made_events(20, previous=EVENTS[19]["current_hash"], first=20, actor="Mallory")
    written_log(data, EVENTS[:20] + other, 10)


def cut(data: Path) -> None:
    """The last events are gone, and the snapshot fits what is left."""
    (data / "event-log/segment-000004.json").unlink()
    written_log(data, EVENTS[:28], 10)


def pruned(data: Path) -> None:
    """The two oldest segments are gone, and there is more at the end."""
    written_log(data, EVENTS + MORE, 10)
    for number in (1, 2):
        (data / f"event-log/segment-00000{number}.json").unlink()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda data: written_log(data, EVENTS + MORE, 10), set()),
        (pruned, set()),
        (rewritten, {("critical", "eventlog.rewritten")}),
        (cut, {("critical", "eventlog.truncated")}),
    ],
)
def test_against_the_former_backup(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path, change: Callable[[Path], object],
    found: set[tuple[str, str]],
) -> None:  # fmt: skip
    """A log that goes on or was pruned is fine; one that was cut or rewritten is critical, and taken all the same."""
    taken(log, store)
    change(data)
    done = taken(log, store)
    assert codes(done.findings) == found
    assert done.backup.manifest.extra["chain_valid_at_backup"] is True
    assert run_drill(done.backup, log, DrillRequest(scratch=scratch), Job()).verdict is Verdict.PASSED
    assert len(read_catalogue(store).backups) == 2


def test_safety_backups_are_no_former_ones(log: EventLogSource, store: LocalStore, data: Path) -> None:
    """What a restore kept of a damaged log is not what the next backup has to continue."""
    taken(log, store)
    written_log(data, made_events(50, actor="another"), 10)
    take_backup(log, Repository(store=store), BackupRequest(tags=(SAFETY_TAG,)), Job())
    written_log(data, EVENTS + MORE, 10)
    assert codes(taken(log, store).findings) == set()


def damaged(data: Path) -> None:
    """Event 12 says something else."""
    events: list[Event] = [dict(event) for event in EVENTS]
    events[12]["actor"] = "x"
    written_log(data, events, 10)


def test_a_broken_log_is_evidence(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path, tmp_path: Path
) -> None:
    """It is backed up with the first broken event named, drilled as what it was, and restored byte for byte."""
    damaged(data)
    done = taken(log, store)
    assert codes(done.findings) == {("warning", "eventlog.hash_mismatch")}
    assert done.backup.manifest.extra["chain_valid_at_backup"] is False
    assert done.backup.manifest.measures.facts["first_broken"] == "12 evt-0000000c-abc eventlog.hash_mismatch"
    for level in Level:
        evidence = verify_backup(done.backup, log, VerifyRequest(level, scratch), Job())
        assert evidence.verdict is Verdict.PASSED
    request = RestoreRequest(
        scratch=scratch, safety=Repository(store=store), sources=[log], to=str(tmp_path / "new")
    )
    restore_backup(done.backup, log, request, Job())
    assert files_of(tmp_path / "new") == files_of(data)


def restored(backup: Backup, log: EventLogSource, store: LocalStore, scratch: Path, **more: Any) -> Restored:  # noqa: ANN401 - the fields of a request
    """A restore over the live log."""
    request = RestoreRequest(scratch=scratch, safety=Repository(store=store), sources=[log], yes=True, **more)
    return restore_backup(backup, log, request, Job())


def test_over_the_live_log(log: EventLogSource, store: LocalStore, scratch: Path, data: Path) -> None:
    """The old log is replaced whole, kept twice, and comes back by the command that is printed."""
    backup = taken(log, store).backup
    written_log(data, EVENTS + MORE, 10)
    newer = files_of(data)
    done = restored(backup, log, store, scratch)
    assert read_log(data).chain.events == 35
    assert done.safety is not None
    assert done.undo is not None
    (kept,) = data.glob("event-log-before-*")
    assert files_of(kept) == newer
    restored(find_backup(store, done.safety), log, store, scratch)
    assert files_of(data) == newer


def test_a_damaged_live_log_is_kept_as_it_is(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path
) -> None:
    """A live log with a segment that is no file cannot be backed up, and is not lost either."""
    backup = taken(log, store).backup
    (data / "event-log/segment-000002.json").unlink()
    (data / "event-log/segment-000002.json").symlink_to("elsewhere")
    done = restored(backup, log, store, scratch)
    assert ("warning", "restore.damaged_kept") in codes(done.findings)
    assert read_log(data).chain.events == 35


def test_a_writer_during_the_restore(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append between the safety backup and the exchange refuses the restore; the live log stays."""
    backup = taken(log, store).backup
    real = promote.swap_log

    def append_first(built: Path, target: Path, stamp: str, *, unchanged_since: str | None) -> object:
        written_log(data, EVENTS + MORE, 10)
        return real(built, target, stamp, unchanged_since=unchanged_since)

    monkeypatch.setattr(promote, "swap_log", append_first)
    with pytest.raises(RefusedError) as caught:
        restored(backup, log, store, scratch)
    assert caught.value.code == "refused.target_in_use"
    assert read_log(data).chain.events == 47


def test_a_place_with_data_is_refused(
    log: EventLogSource, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """Another log, or the old single file of one, is not written over without --yes; neither is the source itself."""
    backup = taken(log, store).backup
    legacy = tmp_path / "legacy"
    legacy.mkdir()
    (legacy / "event-log.json").write_text("[]")
    for place in (written_log(tmp_path / "other", EVENTS[:5], 5), legacy, log.options.path):
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        request = RestoreRequest(
            scratch=scratch, safety=Repository(store=store), sources=[log], to=str(place)
        )
        with pytest.raises(RefusedError):
            restore_backup(backup, log, request, Job())
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "options",
    [RestoreOptions(tables=("events",)), RestoreOptions(schema_only=True), RestoreOptions(no_acl=True)],
)
def test_a_log_has_no_parts(
    log: EventLogSource, store: LocalStore, scratch: Path, options: RestoreOptions
) -> None:
    """Options of databases are refused before anything happens."""
    backup = taken(log, store).backup
    with pytest.raises(ConfigError) as caught:
        restored(backup, log, store, scratch, options=options)
    assert caught.value.code == "usage.bad_value"


@pytest.mark.parametrize("at", [10, 200, -30, -3000])
def test_a_damaged_archive_is_never_restored(
    log: EventLogSource, store: LocalStore, scratch: Path, data: Path, at: int
) -> None:
    """A changed byte anywhere is found by both levels and by a drill, and the live log is not touched."""
    backup = taken(log, store).backup
    path = store.path_of(backup.name)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    before = files_of(data)
    for level in Level:
        evidence = verify_backup(backup, log, VerifyRequest(level, scratch, keep=False), Job())
        assert evidence.verdict is Verdict.FAILED
    assert run_drill(backup, log, DrillRequest(scratch=scratch), Job()).verdict is Verdict.FAILED
    with pytest.raises(OpsError):
        restored(backup, log, store, scratch)
    assert files_of(data) == before


def test_sealed_and_drilled(log: EventLogSource, store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """Encryption applies to it as to every kind."""
    keys, away = Keys(tmp_path, "escrow"), LocalStore("away", LocalOptions(path=tmp_path / "away"))
    backup = taken(log, store).backup
    copy_backup(backup, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    sealed = replace(find_backup(away, f"{backup.name}.age"), openers=(keys.opening,))
    assert run_drill(sealed, log, DrillRequest(scratch=scratch), Job()).verdict is Verdict.PASSED


def test_sources_that_are_none(store: LocalStore, tmp_path: Path, data: Path) -> None:
    """No folder, no log in it, the old form of a log: each has its answer, and no backup is made."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/event-log.json").write_text("[]")
    for name, code in (
        ("nowhere", "source.missing"),
        ("bare", "source.missing"),
        ("old", "source.not_migrated"),
    ):
        with pytest.raises(SourceError) as caught:
            taken(EventLogSource("log", EventLogOptions(path=tmp_path / name)), store)
        assert caught.value.code == code
    assert list(store.list()) == []
    (data / "event-log/segment-0000001.json").write_text("[]")
    assert codes(taken(EventLogSource("log", EventLogOptions(path=data)), store).findings) == {
        ("warning", "eventlog.ignored")
    }


def test_rehashed_history_shows_in_the_former_backup_only(
    log: EventLogSource, store: LocalStore, data: Path
) -> None:
    """One changed event with all later hashes computed anew: the chain is right, the former backup says what it is."""
    taken(log, store)
    events: list[Event] = [dict(event) for event in EVENTS]
    events[5]["actor"], previous = "x", events[4]["current_hash"]
    for event in events[5:]:
        event["previous_hash"] = previous
        event["current_hash"] = previous = hash_of(event)
    for number, content in segments_of(events, 10).items():
        (data / f"event-log/segment-{number:06}.json").write_bytes(content)
    found = codes(taken(log, store).findings)
    assert ("critical", "eventlog.rewritten") in found
    assert found <= {("critical", "eventlog.rewritten"), ("warning", "eventlog.snapshot_disagrees")}
