"""Which backups of a name in a store are the own ones, and whose the others are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ops.formats.adoption import AdoptionRecord
from ops.model.findings import Finding, Severity, Verdict
from ops.model.series import DECLARED, Whose
from ops.repository.listing_row import Listed

SHOWN_DIGITS: Final = 8
"""So many digits of a series people see, and write."""
_WINDOW: Final = timedelta(days=14)
_USUAL: Final = 10
_TOLD_ONE_BY_ONE: Final = 3


class Mark(NamedTuple):
    """What tells whose a backup is, as a row of a listing has it; many rows have the same."""

    source: str
    series: str
    place: str
    kind: str
    scope: str
    location: str
    host: str
    by: str
    system: str
    whole: str

    @classmethod
    def of(cls, row: Listed) -> Mark:
        """Return that of a row."""
        return cls(*(getattr(row, name) for name in cls._fields))


@dataclass(frozen=True, slots=True)
class Own:
    """The series that belong to one source, as it is configured here.

    `current`: the one that was recorded last with this configuration, or that the source says it is (None: no backup has
    one); `ids`: all of them, with those of before and those that were adopted; `rivals`: others that were recorded with
    the same configuration, another cluster at the same address for instance. `parts`: those of backups that hold a part of
    this source (a schema, some tables): never its latest, and its own all the same.
    """

    current: str | None
    ids: frozenset[str]
    rivals: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()


def own_series(
    whose: Whose,
    marks: Iterable[Mark],
    adoptions: Iterable[AdoptionRecord] = (),
    identified: str | None = None,
) -> Own:
    """Return which series are the own ones.

    `marks`: those of the store's backups, newest first. `identified`: the series that the source, which was asked, is.
    """
    mine = [mark for mark in dict.fromkeys(marks) if mark.source == whose.name]
    placed = [mark.series for mark in mine if mark.place == whose.place or mark.series == whose.real_series]
    current = identified or next(iter(placed), None)
    first = {mark.series for mark in mine if _is_own_of_first_version(mark, whose, mine)}
    ids, places = _with_adopted({*filter(None, [current]), *first}, whose.place, mine, adoptions)
    parts = frozenset(mark.series for mark in mine if mark.whole in places) - ids
    return Own(current, frozenset(ids), frozenset(placed) - ids, parts)


def _is_own_of_first_version(mark: Mark, whose: Whose, mine: Sequence[Mark]) -> bool:
    """Whether a backup of version 1 is one of ours: of this name, kind and location, and not of another host.

    Where nobody said on which host it was made, and another one than this has backups of that location, it is nobody's.
    """
    if mark.by or (mark.kind, mark.location) != (whose.kind, whose.location):
        return False
    if not whose.whereabouts.local:
        return True
    if mark.host:
        return mark.host in whose.machine.names
    others = {
        other.host
        for other in mine
        if (other.kind, other.location) == (mark.kind, mark.location) and other.host
    }
    return others <= whose.machine.names


def _with_adopted(
    ids: set[str], place: str, mine: Sequence[Mark], adoptions: Iterable[AdoptionRecord]
) -> tuple[set[str], set[str]]:
    """The series with all that this configuration adopted, and all that those had adopted before; and the places of all."""
    active = list(adoptions)
    place_of = {mark.series: mark.place for mark in mine if mark.place}
    found, places = set(ids), {place}
    while True:
        more = {item.adopted for item in active if item.by in places}
        wider = places | {place_of[series] for series in more if series in place_of}
        wider |= {item.adopted_place for item in active if item.by in places and item.adopted_place}
        if more <= found and wider <= places:
            return found, places
        found, places = found | more, wider


def marks_of(column: Callable[[str], Sequence[Any]]) -> dict[Mark, None]:
    """Return the different marks of a listing's rows, in the order of the rows."""
    different = dict.fromkeys(zip(*map(column, Mark._fields), strict=True))
    return dict.fromkeys(map(Mark._make, different))


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Another series of the same name: its rows, newest first, and whether it is likely this source before a move."""

    series: str
    rows: Sequence[Listed]
    likely: bool
    lives: bool

    @property
    def shown(self) -> str:
        """The digits that people see."""
        return self.series[:SHOWN_DIGITS]

    @property
    def where(self) -> str:
        """Host and place of the newest, for people."""
        row = self.rows[0]
        host = row.host or ("a container" if row.by else "an unrecorded host")
        scope = "" if row.scope == "full" else f", scope {row.scope}"
        return f"{host}, {row.location or 'place encrypted'}{scope}"

    @property
    def proven(self) -> Listed | None:
        """The newest that a drill proves."""
        return next((row for row in self.rows if row.drilled == Verdict.PASSED), None)


def foreign_series(whose: Whose, own: Own, rows: Iterable[Listed], now: datetime) -> list[Foreign]:
    """Return the other series of the source's name among the rows, which are newest first."""
    by_series: dict[str, list[Listed]] = {}
    mine: list[Listed] = []
    for row in rows:
        if row.source != whose.name or row.is_safety or row.series in own.parts:
            continue
        (mine if row.series in own.ids else by_series.setdefault(row.series, [])).append(row)
    began = mine[-1].sequence if mine else None
    return [
        Foreign(
            series=series,
            rows=found,
            likely=_is_likely(whose, found[0], mine) and (began is None or found[0].sequence < began),
            lives=_lives(found, now),
        )
        for series, found in by_series.items()
    ]


def _is_likely(whose: Whose, other: Listed, mine: Sequence[Listed]) -> bool:
    """Whether another series, if it has stopped, is likely this source before it was moved or renamed."""
    if other.by == DECLARED and not whose.declared:
        return False
    if whose.whereabouts.local and other.host and other.host in whose.machine.names:
        return True
    if not whose.whereabouts.local and other.location and other.location == whose.location:
        return True
    return bool(other.system) and any(row.system == other.system for row in mine[:1])


def _lives(rows: Sequence[Listed], now: datetime) -> bool:
    """Whether the newest backup is younger than twice the usual distance; of several at once the longest pause counts."""
    times = [row.created_at for row in rows[:_USUAL]]
    longest = max((newer - older for newer, older in pairwise(times)), default=timedelta(days=1))
    return now - times[0] < 2 * max(longest, timedelta(minutes=1))


def said_of_others(whose: Whose, others: Sequence[Foreign], *, has_own: bool) -> list[Finding]:
    """Return what `list`, `doctor` and `metrics` say of other series of a name: a warning only where one may be meant.

    Many machines with one configuration and one store are normal: those are counted, not told one by one.
    """
    meant = [item for item in others if not has_own or item.likely]
    rest = [item for item in others if has_own and not item.likely]
    found = [_finding(Severity.WARNING, _told(whose, item, has_own=has_own), item.shown) for item in meant]
    if len(rest) <= _TOLD_ONE_BY_ONE:
        return found + [_finding(Severity.OK, _told(whose, item, has_own=True), item.shown) for item in rest]
    hosts = sorted({item.rows[0].host or "not recorded" for item in rest})
    shown = ", ".join(hosts[:_TOLD_ONE_BY_ONE]) + (", …" if len(hosts) > _TOLD_ONE_BY_ONE else "")
    count = sum(len(item.rows) for item in rest)
    message = (
        f"also in this store: {count} backups of {whose.name!r} in {len(rest)} other series (hosts: {shown}), never"
        " counted, pruned or used as ours; backup.list --all shows them"
    )
    return [*found, _finding(Severity.OK, message, whose.name)]


def _finding(severity: Severity, message: str, where: str) -> Finding:
    return Finding(severity=severity, code="backup.other_series", message=message, where=where)


def _told(whose: Whose, item: Foreign, *, has_own: bool) -> str:
    count = len(item.rows)
    message = (
        f"also in this store: {count} backup{'s' if count > 1 else ''} of {whose.name!r} from {item.where}"
        f" (series {item.shown}), never counted, pruned or used as ours"
    )
    if item.lives:
        return message
    if item.likely or not has_own:
        return (
            f"{message}; where it is this source before it was moved or renamed: {adopt_command(whose, item)}"
        )
    return message


def adopt_command(whose: Whose, item: Foreign) -> str:
    """Return the command that makes another series a part of the own one."""
    return f"backup.adopt {item.shown} --source {whose.name}"


def two_machines(rows: Sequence[Listed], now: datetime) -> bool:
    """Return whether one boot came back lately after another one: two machines write under one name.

    `rows`: of one series, newest first. Lately: in the last 14 days, or in ten times the usual distance.
    """
    window = watched_for(rows)
    recent = [row.boot for row in reversed(rows) if row.boot and now - row.created_at < window]
    return bool(_returns(recent))


def watched_for(rows: Sequence[Listed]) -> timedelta:
    """Return how long a boot that came back is told: what was pruned meanwhile makes that neither longer nor shorter."""
    return max(_WINDOW, _USUAL * _usual_distance(rows))


def _usual_distance(rows: Sequence[Listed]) -> timedelta:
    """The median of the distances between the last ten; a day where there is only one."""
    times = [row.created_at for row in rows[:_USUAL]]
    gaps = sorted(newer - older for newer, older in pairwise(times))
    return max(gaps[len(gaps) // 2], timedelta(minutes=1)) if gaps else timedelta(days=1)


def _returns(boots: Sequence[str]) -> list[int]:
    """The places at which a boot comes back after another one."""
    seen: set[str] = set()
    found = []
    for place, boot in enumerate(boots):
        if boot in seen and boots[place - 1] != boot:
            found.append(place)
        seen.add(boot)
    return found


def written_in_mixed_time(rows: Sequence[Listed]) -> set[str]:
    """Return the names of backups from the first to the last return of a boot, with those between which it returned."""
    oldest_first = [row for row in reversed(rows) if row.boot]
    places = _returns([row.boot for row in oldest_first])
    if not places:
        return set()
    boots = [row.boot for row in oldest_first]
    begin = min(boots.index(boots[place]) for place in places)
    return {row.name for row in oldest_first[begin : places[-1] + 1]}


def is_meant(source: str, series: str, scope: str, whose: Whose, own: Own) -> bool:
    """Return whether a backup can be the latest of a source, or prove it; `scope` is empty for one that a restore made.

    In version 1 a series has every scope: a backup of a part proves nothing of the whole.
    """
    return source == whose.name and series in own.ids and scope in {whose.scope, ""}


def own_rows(rows: Iterable[Listed], whose: Whose, own: Own) -> list[Listed]:
    """Return the rows that are meant, newest first as they were, without those that a restore made."""
    return [
        row for row in rows if not row.is_safety and is_meant(row.source, row.series, row.scope, whose, own)
    ]
