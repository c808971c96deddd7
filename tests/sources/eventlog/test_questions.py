"""What an operator may expect of a restored log: asked of the log itself, or not answered at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.errors import ConfigError
from ops.model.findings import Verdict
from ops.model.requests import Assertion
from ops.ports.source import Queryable
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.copy import LogCopy
from ops.sources.eventlog.log.log import read_log
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.eventlog.capturing import segment
from tests.sources.eventlog.writing import made_events, written_log

EVENTS = made_events(25)


def drilled(tmp_path: Path, assertion: Assertion) -> tuple[Verdict, set[str]]:
    """Verdict and codes of a drill of a log of 25 events that is asked this."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    log = EventLogSource("log", EventLogOptions(path=folder))
    store = LocalStore("local", LocalOptions(path=tmp_path / "backups"))
    backup = take_backup(log, Repository(store=store), BackupRequest(), Job()).backup
    evidence = run_drill(backup, log, DrillRequest(scratch=tmp_path, assertions=[assertion]), Job())
    return evidence.verdict, {item.code for item in evidence.findings if item.code.startswith("assert")}


HOLDS = "assert.passed"
FAILS = "assert.failed"
UNKNOWN = "assert.undecided"
ASKED = [
    (Assertion(row_count="events", min=25, max=25), Verdict.PASSED, HOLDS),
    (Assertion(row_count="events", tolerance=0.0), Verdict.PASSED, HOLDS),
    (Assertion(row_count="events", min=26), Verdict.FAILED, FAILS),
    (Assertion(row_count="event", min=0), Verdict.INCONCLUSIVE, UNKNOWN),
    (Assertion(fresh="events.timestamp", max_age=timedelta(days=365_00)), Verdict.PASSED, HOLDS),
    (Assertion(fresh="events.timestamp", max_age=timedelta(seconds=1)), Verdict.FAILED, FAILS),
    (Assertion(fresh="events.id", max_age=timedelta(days=365_00)), Verdict.INCONCLUSIVE, UNKNOWN),
    (Assertion(query="select count(*) from events"), Verdict.INCONCLUSIVE, UNKNOWN),
    (Assertion(command=("ls", "log/event-log/segment-000003.json")), Verdict.PASSED, HOLDS),
]


@pytest.mark.parametrize(("assertion", "verdict", "code"), ASKED)
def test_assertions_about_a_log(tmp_path: Path, assertion: Assertion, verdict: Verdict, code: str) -> None:
    """Events are counted, their time is told, and what a log cannot be asked leaves the drill inconclusive."""
    assert drilled(tmp_path, assertion) == (verdict, {code})


def test_the_newest_time_stamp(tmp_path: Path) -> None:
    """The greatest of the last segment with events, wherever it stands there; none in an empty log."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    segment(folder, 4).write_bytes(b"[]")
    copy = LogCopy(read_log(folder))
    assert isinstance(copy, Queryable)
    assert copy.newest("events.timestamp") == max(event["timestamp"] for event in EVENTS[20:])
    assert LogCopy(read_log(written_log(tmp_path / "empty", [], 10))).newest("events.timestamp") is None
    with pytest.raises(ConfigError) as caught:
        copy.count_rows("actors")
    assert "row_count = 'events'" in caught.value.hint
