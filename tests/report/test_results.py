"""What results come to, and what an outcome makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import StoreError
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding, Severity, Verdict
from ops.report.outcome import Outcome
from ops.report.results.backups import BackupCreated, Stored
from ops.report.results.listed import CopiesListed, Copy, RowsListed
from ops.report.results.looks import BackupsDrilled, BackupVerified
from ops.report.results.stores import CopiesMade, StoreSkipped
from ops.repository.listing_row import Rows, listed
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore

FINE = Finding(severity=Severity.OK, code="copy.made", message="it is there")
WARNING = Finding(severity=Severity.WARNING, code="copy.late", message="it is late")
CRITICAL = Finding(severity=Severity.CRITICAL, code="copy.failed", message="it is not there")


@pytest.fixture
def taken(source: SqliteSource, store: LocalStore) -> Taken:
    """A backup of the small database."""
    return take_backup(source, Repository(store=store), BackupRequest(), Job())


@pytest.fixture
def passed(taken: Taken, source: SqliteSource, scratch: Path) -> Evidence:
    """A quick verify of it."""
    return verify_backup(taken.backup, source, VerifyRequest(Level.QUICK, scratch), Job())


def judged(evidence: Evidence, verdict: Verdict) -> Evidence:
    """The same look with another verdict, whatever it found."""
    return replace(evidence, verdict=verdict, findings=())


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.PASSED, 0), (Verdict.INCONCLUSIVE, 1), (Verdict.FAILED, 2)]
)
def test_a_verdict_decides_the_exit_code(taken: Taken, passed: Evidence, verdict: Verdict, code: int) -> None:
    """A look without a verdict is a warning, a failed one critical, also where no finding says so: in every result."""
    look = judged(passed, verdict)
    assert BackupVerified(look).exit_code == code
    assert BackupsDrilled((passed, look)).exit_code == code
    assert BackupCreated(taken, looked=look).exit_code == code
    assert BackupCreated(taken, looked=passed, stored=Stored(taken.backup, look, ())).exit_code == code


@pytest.mark.parametrize(("found", "code"), [(FINE, 0), (WARNING, 1), (CRITICAL, 2)])
def test_a_finding_decides_it_wherever_it_is(
    taken: Taken, passed: Evidence, found: Finding, code: int
) -> None:
    """What was noticed of copies, and of what was stored, is as serious as what was noticed of the backup."""
    assert BackupCreated(taken, copies=(found,)).exit_code == code
    assert BackupCreated(taken, passed, Stored(taken.backup, passed, (found,))).exit_code == code
    assert CopiesMade("prices", ("away",), (found,)).exit_code == code


def test_nothing_drilled_says_nothing() -> None:
    """A run without a drill has no table, and is no drill that passed."""
    nothing = BackupsDrilled(())
    assert (nothing.text(), list(nothing.documents()), nothing.exit_code) == ("", [], 0)


def test_one_store_is_listed_as_several_are(taken: Taken) -> None:
    """The quick way of a single store gives the same text and the same JSON as the way of several."""
    now, row = datetime.now(UTC), listed(taken.backup)
    quick = RowsListed(store="local", rows=Rows.of([row]), now=now, empty="none")
    other = CopiesListed(
        backups=[[Copy("local", row)]], now=now, empty="none", expected=None, choosy=frozenset(), hosts=False
    )
    assert quick.text() == other.text()
    assert list(quick.documents()) == list(other.documents())


def test_an_outcome_is_told_in_its_order() -> None:
    """Results, failures and notices come in text as they came to be; JSON has each kind in its place; the worst decides."""
    outcome = Outcome("store.push", flags=" --config x.toml")
    outcome.add(CopiesMade("one", ("away",), (FINE,)))
    assert outcome.exit_code == 0
    outcome.notice([WARNING])
    assert outcome.exit_code == 1
    outcome.fail(StoreError("it is gone", command="store.check"), "two")
    outcome.say([FINE])
    outcome.add(StoreSkipped("away", "tried"))
    text, document = outcome.to_text(), json.loads(outcome.to_json())
    places = [text.index(word) for word in ("one:", "it is late", "it is gone", "away: not here")]
    assert places == sorted(places)
    assert "drillbook store.check --config x.toml" in text
    assert (document["exit_code"], document["status"]) == (2, "critical")
    assert [result["source"] for result in document["results"]] == ["one"]
    assert [finding["code"] for finding in document["findings"]] == ["copy.late", "copy.made"]
    assert [error["source"] for error in document["errors"]] == ["two"]


def test_what_is_said_is_no_reason_to_worry() -> None:
    """Who works in a store now is told by its message, and decides no exit code."""
    outcome = Outcome("backup.list")
    outcome.say([WARNING])
    assert (outcome.exit_code, outcome.to_text()) == (0, "it is late")


def test_lines_stand_alone() -> None:
    """Where results are told as lines, the text has only what else there is to say."""
    outcome = Outcome("metrics", as_lines=True)
    outcome.add(CopiesMade("one", ("away",), (FINE,)))
    outcome.notice([WARNING])
    assert outcome.to_text().split() == ["WARNING", "it", "is", "late", "(copy.late)"]
