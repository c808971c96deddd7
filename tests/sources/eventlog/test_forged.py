"""Forged logs: what could not be verified is not counted as verified, and a front that was cut is no pruned one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.verify import VerifyRequest, verify_backup
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity, Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.chain.event_hash import event_hash
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.eventlog.writing import made_events, written_log

EVENTS = made_events(35)


class Case:
    """A log of four segments, of which the events are changed before it is taken."""

    def __init__(self, folder: Path) -> None:
        self.data, self.scratch = folder / "data", folder / "scratch"
        self.scratch.mkdir()
        self.store = LocalStore("local", LocalOptions(path=folder / "backups"))

    def source(self, retention: int | None = None) -> EventLogSource:
        """The log as a source."""
        return EventLogSource("log", EventLogOptions(path=self.data, retention_segments=retention))

    def take(self, retention: int | None = None) -> Taken:
        """A backup of it."""
        return take_backup(self.source(retention), Repository(store=self.store), BackupRequest(), Job())

    def looks(self, taken: Taken) -> list[tuple[Verdict, tuple[Finding, ...]]]:
        """Verdict and findings of both verifies and a drill."""
        request = DrillRequest(scratch=self.scratch)
        evidence = [
            *(
                verify_backup(taken.backup, self.source(), VerifyRequest(level, self.scratch), Job())
                for level in Level
            ),
            run_drill(taken.backup, self.source(), request, Job()),
        ]
        return [(item.verdict, item.findings) for item in evidence]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Nothing is written yet."""
    return Case(tmp_path)


def said(findings: tuple[Finding, ...], code: str) -> list[str]:
    """The messages of one code."""
    return [item.message for item in findings if item.code == code]


def test_events_that_cannot_be_verified(case: Case) -> None:
    """Events with stamps without a zone, whose content may be any: nothing says that they or the chain were verified."""
    forged = [
        {**event, "actor": "Mallory", "timestamp": "2026-03-01T10:00:00"} if 10 <= index < 16 else event
        for index, event in enumerate(EVENTS)
    ]
    written_log(case.data, forged, 10)
    taken = case.take()
    assert taken.backup.manifest.extra["chain_valid_at_backup"] is False
    assert taken.backup.manifest.measures.facts["verified_events"] == 29
    assert "6 of 35 events were not verified" in said(taken.findings, "eventlog.timestamp_unclear")[0]
    for verdict, findings in case.looks(taken):
        assert verdict is Verdict.INCONCLUSIVE
        assert "6 of 35 events were not verified" in said(findings, "eventlog.timestamp_unclear")[0]
        assert said(findings, "eventlog.chain") == []
        assert not any("35 events" in message and "verified" in message and "not" not in message
                       for item in findings for message in [item.message])  # fmt: skip


@pytest.mark.parametrize(
    "stamp", ["yesterday", "", {}, "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z", 1e300]
)
def test_a_stamp_that_no_program_reads(case: Case, stamp: object) -> None:
    """It breaks the chain: the program that wrote the log cannot verify such an event either."""
    events: list[Any] = [*EVENTS]
    events[12] = {**EVENTS[12], "timestamp": stamp}
    written_log(case.data, events, 10)
    taken = case.take()
    assert taken.backup.manifest.extra["chain_valid_at_backup"] is False
    (message,) = said(taken.findings, "eventlog.hash_mismatch")
    assert message.startswith("event 12")
    assert taken.backup.manifest.measures.facts["verified_events"] == 12


def without_first(events: list[Any]) -> list[Any]:
    """The first three events are gone."""
    return events[3:]


def with_another_first(events: list[Any]) -> list[Any]:
    """All there, and the first says that something came before it."""
    return made_events(35, previous="ab" * 32)


@pytest.mark.parametrize("change", [without_first, with_another_first])
def test_a_first_segment_that_does_not_begin(case: Case, change: Callable[[list[Any]], list[Any]]) -> None:
    """Pruning takes whole segments and numbers none anew: segment 1 begins the log, or it was cut."""
    written_log(case.data, change(list(EVENTS)), 10)
    taken = case.take()
    assert taken.backup.manifest.extra["chain_valid_at_backup"] is False
    assert taken.backup.manifest.measures.facts["verified_events"] == 0
    assert said(taken.findings, "eventlog.event_removed")
    assert said(taken.findings, "eventlog.start_undecided") == []


def pruned(case: Case) -> None:
    """The oldest segment is gone."""
    written_log(case.data, list(EVENTS), 10)
    (case.data / "event-log/segment-000001.json").unlink()


def test_a_later_first_segment(case: Case) -> None:
    """Whether it was pruned or cut is told by every later look, not only by the backup."""
    pruned(case)
    taken = case.take()
    assert said(taken.findings, "eventlog.start_undecided")
    for verdict, findings in case.looks(taken):
        assert verdict is Verdict.PASSED
        assert said(findings, "eventlog.start_undecided")


@pytest.mark.parametrize(
    ("retention", "severity"), [(2, Severity.OK), (3, Severity.OK), (4, Severity.CRITICAL)]
)
def test_the_programs_retention_decides(case: Case, retention: int, severity: Severity) -> None:
    """With as many segments as the program keeps it was pruned; with fewer its front was cut."""
    pruned(case)
    taken = case.take(retention)
    found = [item for item in taken.findings if item.code in {"eventlog.pruned", "eventlog.front_cut"}]
    assert [item.severity for item in found] == [severity]
    assert said(taken.findings, "eventlog.start_undecided") == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, ""),
        ({"last_event_id": "evt-other"}, "another id"),
        ({"last_timestamp": "2020-01-01T00:00:00.000Z"}, "another time stamp"),
        ({"last_timestamp": None}, "another time stamp"),
        ({"last_current_hash": "00" * 32}, "another hash"),
    ],
)
def test_a_snapshot_file(case: Case, change: dict[str, object], what: str) -> None:
    """It names an event by id, time and hash: each is compared."""
    written_log(case.data, list(EVENTS), 10)
    path = case.data / "event-log-snapshot.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    messages = said(case.take().findings, "eventlog.snapshot_disagrees")
    assert bool(messages) is bool(what)
    assert all(what in message for message in messages)


@pytest.mark.parametrize(
    ("stamp", "told", "compared"),
    [
        (1772358000000, 1772358000000, True),
        (1772358000000, "2026-03-01T09:40:00.000Z", True),
        (1772358000000, "2026-03-01T09:40:00.001Z", None),
        ("2026-03-01T09:40:00", "2026-03-01T09:40:00", False),
        ("2026-03-01T09:40:00", "2020-01-01T00:00:00.000Z", False),
    ],
)
def test_the_time_of_a_snapshot_file(case: Case, stamp: object, told: object, compared: bool | None) -> None:
    """What is said names what was compared: the time only where what the event's stamp means can be told."""
    last: dict[str, Any] = {**EVENTS[34], "timestamp": stamp}
    if isinstance(stamp, int):
        last["current_hash"] = event_hash(last)
    written_log(case.data, [*EVENTS[:34], last], 10)
    path = case.data / "event-log-snapshot.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "last_timestamp": told}))
    taken = case.take()
    assert bool(said(taken.findings, "eventlog.snapshot_disagrees")) is (compared is None)
    for _, findings in case.looks(taken)[1:]:
        messages = said(findings, "eventlog.snapshot")
        assert [("id, time and hash" in message) for message in messages] == [compared] * (
            compared is not None
        )
