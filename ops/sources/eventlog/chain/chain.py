"""The whole chain: what its segments say of themselves, put together in order. Pure; the snapshot file is never asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ops.sources.eventlog.chain.segment import ABSENT, Broken, SegmentFacts

_LINK: Final = "eventlog.link_broken"


class Neighbours(NamedTuple):
    """Where events have some text as their `current_hash`: the last such position before another one, and the first behind.

    `begins`: the event at that other position begins a segment; `overtaken`: and the one in front of it was written later.
    """

    before: int | None
    behind: int | None
    begins: bool
    overtaken: bool


Find = Callable[[str, int], Neighbours]
"""Find such neighbours of a position."""


@dataclass(frozen=True, slots=True)
class Position:
    """One event of the log: its position from 0 on, the segment that it lies in, what is wrong with it."""

    index: int
    segment: str
    broken: Broken


@dataclass(frozen=True, slots=True)
class Chain:
    """What a log is as a whole.

    `verified`: events up to the first wrong one whose hash and link are right. `starts`: whether its first event says that nothing came
    before; None where there is no event. `broken`: the first event that is wrong, if one is. `unclear`: the first
    whose hash only the program itself can compute, or that is too large to be read, and `unverified` how many such. `cut`: what
    follows such a large one was not read. `gaps`: numbers of segments that are not there between others.
    """

    events: int = 0
    verified: int = 0
    segments: int = 0
    first_id: str | None = None
    last_id: str | None = None
    last_hash: str | None = None
    starts: bool | None = None
    broken: Position | None = None
    unclear: Position | None = None
    unverified: int = 0
    cut: bool = False
    gaps: tuple[int, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether every event was verified, and nothing is wrong. That it may begin in the middle is another question."""
        return self.broken is None and not self.unverified


def walk(segments: Mapping[int, SegmentFacts]) -> Chain:
    """The chain of the segments with these numbers."""
    chain, before, former, cut = Chain(segments=len(segments)), None, None, False
    for number in sorted(segments):
        facts = segments[number]
        skipped = tuple(range(former + 1, number)) if former is not None else ()
        chain = replace(chain, gaps=(*chain.gaps, *skipped))
        if (cut or facts.first_unread) and not skipped:
            before = facts.first_previous  # one of the two is not known
        position = _broken_in(facts, chain, before, skipped, is_first_file=number == 1)
        if chain.broken is None:
            unverified = chain.unverified + facts.unverified
            seen = chain.events + facts.events if position is None else position.index
            chain = replace(
                chain,
                broken=position,
                unverified=unverified,
                verified=seen - unverified,
                unclear=chain.unclear or _at(facts, chain.events, facts.unclear),
            )
        if facts.events:
            chain = _longer(chain, facts)
            before, cut = facts.last_hash, facts.cut
        former = number
    return chain


def _longer(chain: Chain, facts: SegmentFacts) -> Chain:
    is_first = chain.first_id is None
    return replace(
        chain,
        events=chain.events + facts.events,
        first_id=facts.first_id if is_first else chain.first_id,
        starts=_starts(facts) if is_first else chain.starts,
        cut=chain.cut or facts.cut,
        last_id=facts.last_id,
        last_hash=facts.last_hash,
    )


def _starts(facts: SegmentFacts) -> bool | None:
    return None if facts.first_unread else facts.first_previous is None


def _broken_in(
    facts: SegmentFacts, chain: Chain, before: str | None, skipped: Sequence[int], *, is_first_file: bool
) -> Position | None:
    """The first thing that is wrong in a segment, or in what it says about the one before it."""
    start = chain.events
    if facts.unreadable is not None:
        return Position(start, facts.name, Broken(0, "", "eventlog.segment_unreadable", facts.unreadable))
    if facts.events == 0:
        return None
    if chain.events == 0 and not facts.first_unread:
        if facts.first_previous == ABSENT:
            reason = "it does not say what came before it"
            return Position(start, facts.name, Broken(0, facts.first_id or "", _LINK, reason, ABSENT))
        if is_first_file and facts.first_previous is not None:
            # Pruning removes whole segments and numbers none anew.
            reason = "it says that something came before it, and it stands first in the first segment"
            return Position(
                start, facts.name, Broken(0, facts.first_id or "", _LINK, reason, facts.first_previous)
            )
    elif facts.first_previous != before:
        first_id, said = facts.first_id or "", facts.first_previous
        reason = "its previous_hash is not the current_hash of the event before it, in the segment before"
        broken = Broken(0, first_id, _LINK, reason, said)
        if skipped:
            reason = f"segment {skipped[0]:06} is not there"
            broken = Broken(0, first_id, "eventlog.segment_missing", reason, said)
        return Position(start, facts.name, broken)
    return _at(facts, start, facts.broken)


def _at(facts: SegmentFacts, start: int, broken: Broken | None) -> Position | None:
    return None if broken is None else Position(start + broken.index, facts.name, broken)


def explained(position: Position, find: Find) -> Position:
    """The same with a closer look at a broken link: was something taken out, put in, or moved?"""
    broken = position.broken
    if broken.code != _LINK or broken.previous == ABSENT:
        return position
    if broken.previous is None:
        reason = "it says that nothing came before it: events were put in front of it, or another log begins"
        return _named(position, "eventlog.event_inserted", reason)
    before, behind, begins, overtaken = find(broken.previous, position.index)
    if before is None and behind is None:
        reason = "the event that it follows is not in the log any more"
        if overtaken:
            reason += (
                ", and the one in front of it, in the segment before, was written later: two programs wrote to the log at"
                " once, and each wrote over events of the other"
            )
            return _named(position, "eventlog.forked", reason)
        if begins:
            reason += (
                ": it was removed, or a second program that writes to the log wrote over the segment before"
            )
        return _named(position, "eventlog.event_removed", reason)
    if before is None:
        reason = f"the event that it follows stands behind it, at {behind}"
        return _named(position, "eventlog.event_reordered", reason)
    reason = (
        f"{_events(position.index - 1 - before)} between it and the one that it follows do not belong there"
    )
    return _named(position, "eventlog.event_inserted", reason)


def _named(position: Position, code: str, reason: str) -> Position:
    return replace(position, broken=replace(position.broken, code=code, reason=reason))


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
