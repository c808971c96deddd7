"""Events of many megabytes in a large segment: checked up to a limit, and beyond it said not to be checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.model.findings import Verdict
from tests.sources.eventlog.test_forged import Case, said
from tests.sources.eventlog.writing import Event, made_events, written_log

MI = 1 << 20


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Nothing is written yet."""
    return Case(tmp_path)


def written(case: Case, *sizes: int, behind: int = 3) -> list[Event]:
    """A log with events of these sizes in its first segment, and a few small ones behind and in two more segments."""
    events: list[Event] = []
    for number, size in enumerate([*sizes, *[4] * (behind + 15)]):
        previous = events[-1]["current_hash"] if events else None
        events += made_events(1, previous=previous, first=number, actor="ç" * size)
    written_log(case.data, events, len(sizes) + behind)
    return events


def test_sound_events_are_checked(case: Case) -> None:
    """Four events of 5 Mi characters, which no limit may call broken."""
    written(case, *[5 * MI] * 4)
    taken = case.take()
    assert taken.backup.manifest.extra["chain_valid_at_backup"] is True
    assert taken.backup.manifest.measures.facts["verified_events"] == 22
    assert [verdict for verdict, _ in case.looks(taken)] == [Verdict.PASSED] * 3


@pytest.mark.parametrize("sizes", [(4, 4, 17 * MI), (17 * MI,)])
def test_one_that_is_too_large(case: Case, sizes: tuple[int, ...]) -> None:
    """It is neither broken nor verified: every look is inconclusive and says so, and it is restored byte for byte."""
    events = written(case, *sizes)
    taken = case.take()
    assert taken.backup.manifest.extra["chain_valid_at_backup"] is False
    assert taken.backup.manifest.measures.facts["first_broken"] == ""
    assert taken.backup.manifest.measures.facts["verified_events"] == len(sizes) - 1 + 15
    index = len(sizes) - 1
    codes = {item.code for item in taken.findings}
    assert not codes & {"eventlog.start_undecided", "eventlog.snapshot_disagrees"}
    for verdict, findings in [(Verdict.INCONCLUSIVE, taken.findings), *case.looks(taken)]:
        (message,) = said(tuple(findings), "eventlog.not_checked")
        assert message.startswith(f"event {index} was not checked: ")
        assert (verdict, said(tuple(findings), "eventlog.chain")) == (Verdict.INCONCLUSIVE, [])
    segment = max((case.data / "event-log").iterdir())
    more = made_events(1, previous=events[-1]["current_hash"], first=99)
    segment.write_text(json.dumps([*json.loads(segment.read_text()), *more]))
    assert said(case.take().findings, "eventlog.continues")


def test_what_is_broken_behind_one_that_is_too_large(case: Case) -> None:
    """A later segment that is wrong is told, and so is one that is missing."""
    written(case, 17 * MI)
    segment = case.data / "event-log/segment-000003.json"
    segment.write_bytes(segment.read_bytes().replace(b"TEXTO", b"OUTRO", 1))
    assert said(case.take().findings, "eventlog.hash_mismatch")
    (case.data / "event-log/segment-000002.json").unlink()
    assert said(case.take().findings, "eventlog.segment_missing")


def test_whether_a_segment_continues_that_was_not_read(case: Case) -> None:
    """Appended behind what is too large, nothing can be told, and nothing is called rewritten."""
    written(case, 17 * MI)
    for number in (2, 3, 4, 5):
        (case.data / f"event-log/segment-{number:06}.json").unlink(missing_ok=True)
    case.take()
    segment = case.data / "event-log/segment-000001.json"
    events = json.loads(segment.read_text())
    segment.write_text(json.dumps([*events, *made_events(1, previous=events[-1]["current_hash"], first=50)]))
    findings = case.take().findings
    assert said(findings, "eventlog.rewritten") == said(findings, "eventlog.continues") == []
    assert len(said(findings, "eventlog.not_checked")) == 2
