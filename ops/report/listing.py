"""What `backup.list` shows and tells: of each backup a row, and of each copy where it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Final

from ops.model.findings import Verdict
from ops.model.moment import microseconds
from ops.report.screen import screen
from ops.report.text import table_of
from ops.repository.listing_row import NOT_MEASURED, NOT_WHOLE, UNKNOWN_ROWS, Listed, Rows
from ops.repository.series import SHOWN_DIGITS
from ops.units import format_duration, format_size, format_time

_SEALED: Final = {"": "", "yes": " (sealed)", "no": " (sealed, never opened)"}
_OPENED: Final = {"": None, "yes": True, "no": False}
NONE: Final = "There is no backup yet: take one with backup.create --verify"
NONE_OF_OURS: Final = "There is no backup of this series yet: take one with backup.create --verify"
UNLISTED: Final = "No backup is in what could be listed; a store that could not be is told, too"
UNREAD: Final = "No backup that is there can be read; a copy in another store may be whole"
_WHOLE: Final = "full"
_PER_SECOND: Final = 1_000_000
_FIRST: Final = ("Backup", "Source", "Verdict", "Scope", "Age", "RTO", "RPO")
"""The columns that a terminal of 80 columns shows: the scope, where there is one, for a part must not look like a whole."""


def listed_text(
    rows: Rows,
    now: datetime,
    places: Sequence[str] | None = None,
    *,
    empty: str = NONE,
    hosts: bool = False,
) -> str:
    """The list of backups, newest first; with `places`, which say for each where it lies, as a column more.

    `empty`: what is said where there is none; `hosts`: with the host and the series of each.
    """
    names, column, moment = rows.column("name"), rows.column, microseconds(now)
    if not names:
        return empty
    scopes = column("scope")
    columns: dict[str, Sequence[str]] = {
        "Backup": names,
        "Source": column("source"),
        # What is only a part is not to look like a whole that lost its rows.
        **({"Scope": scopes} if set(scopes) != {_WHOLE} else {}),
        "Age": [format_duration(max(0, moment - made) / _PER_SECOND) for made in column("created")],
        "Size": list(map(format_size, column("size"))),
        "Rows": [str(count) if count >= 0 else "?" for count in column("rows")],
        "Verified": list(map(cache(_looked_at), column("verified"), column("verified_level"))),
        "Proven": list(map(cache(_proven), column("drilled"), column("drilled_on"))),
        "Tags": list(map(cache(",".join), column("tags"))),
    }
    if hosts:
        columns["Host"] = column("host")
        columns["Series"] = [series[:SHOWN_DIGITS] for series in column("series")]
    if places is not None:
        columns["In"] = places
    return table_of(_for_people(columns, rows) if screen().is_terminal else columns, _FIRST)


def _for_people(columns: dict[str, Sequence[str]], rows: Rows) -> dict[str, Sequence[str]]:
    """The columns with the verdict of all looks in a word, and what the last drill measured; the most telling first."""
    column = rows.column
    verdicts = map(cache(_verdict_of), column("good"), column("verified"), column("drilled"))
    measured = {
        "Verdict": list(verdicts),
        "Age": list(map(cache(_in_short), columns["Age"])),
        "RTO": list(map(cache(_measured), column("rto_ms"))),
        "RPO": list(map(cache(_measured), column("rpo_ms"))),
    }
    every = {**columns, **measured}
    return {name: every[name] for name in (*_FIRST, *columns) if name in every}


def _verdict_of(good: str, verified: str, drilled: str) -> str:
    """The worst that a look said, then the best."""
    if verified == NOT_WHOLE:
        return "NOT WHOLE"
    said = {verified, drilled}
    if good == "no" or Verdict.FAILED in said:
        return "FAILED"
    if Verdict.INCONCLUSIVE in said:
        return "INCONCLUSIVE"
    if drilled == Verdict.PASSED:
        return "proven"
    return "verified" if verified else "UNVERIFIED"


def _measured(taken_ms: int) -> str:
    return "-" if taken_ms == NOT_MEASURED else _in_short(format_duration(taken_ms / 1000))


def _in_short(duration: str) -> str:
    """A duration without its smaller unit: `6h` of `6h 00m`; seconds as they are."""
    return duration if duration.endswith(" s") else duration.partition(" ")[0]


def _looked_at(verdict: str, level: str) -> str:
    if verdict == NOT_WHOLE:
        return "NO: NOT WHOLE"
    return f"{_shown(verdict)} ({level})" if verdict else "never"


def _proven(verdict: str, day: str) -> str:
    if not verdict:
        return "never drilled"
    return f"yes, {day}" if verdict == Verdict.PASSED else f"NO: {_shown(verdict)}"


def _shown(verdict: str) -> str:
    return verdict if verdict == Verdict.PASSED else verdict.upper()


def copy_text(store: str, row: Listed) -> str:
    """The store of one copy, whether it is whole there, and whether a sealed one was ever opened."""
    return f"{store}{' (not whole)' if row.verified == NOT_WHOLE else _SEALED[row.opened]}"


def listed_document(store: str, row: Listed) -> dict[str, object]:
    """One backup as `backup.list` and `backup.create` tell it."""
    return {
        "name": row.name,
        "source": row.source,
        "kind": row.kind,
        "scope": row.scope,
        "store": store,
        "job_id": row.job_id,
        "created_at": format_time(row.created_at),
        "data_as_of": row.data_as_of,
        "size": row.size,
        "rows": None if row.rows == UNKNOWN_ROWS else row.rows,
        "sha256": row.sha256,
        "tags": list(row.tags),
        "verified": _verdict(row.verified),
        "drilled": _verdict(row.drilled),
        "proven": row.drilled == Verdict.PASSED,
        "whole": row.verified != NOT_WHOLE,
        "host": row.host or None,
        "series": row.series,
    }


def _verdict(word: str) -> str | None:
    return None if word in {"", NOT_WHOLE} else word


def copy_document(store: str, row: Listed) -> dict[str, object]:
    """One copy of a backup: where, under which name, of which series, whether a sealed one was ever opened (null: not sealed)."""
    return {"store": store, "name": row.name, "series": row.series, "opened": _OPENED[row.opened]}
