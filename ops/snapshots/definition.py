"""What a snapshot is of, and the names of its files. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final

from ops.errors import ConfigError

FORMS: Final = ("csv", "json")
PRICES: Final = "prices"
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")
_NAME: Final = re.compile(r"(?P<series>[A-Za-z0-9_][A-Za-z0-9_-]*)-(?P<day>[0-9]{8})\.(?:csv|json)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The rows and columns that snapshots under one name hold.

    `key`: the column that `--ticker` selects by; None where a snapshot is always of the whole table. `suffix` is cut
    from what is given there when the table has no such rows with it. `order`: the columns that rows are sorted by, or
    the primary key if empty. `columns`: what is exported in this order, or all by name if empty. `needed`: columns
    without which a file cannot be restored.
    """

    name: str
    table: str
    source: str | None = None
    key: str | None = None
    suffix: str = ""
    order: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


BUILT_IN: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        PRICES: Definition(
            name=PRICES,
            table="prices",
            key="ticker",
            suffix=".SA",
            order=("ticker", "date"),
            needed=("ticker", "date", "open", "high", "low", "close", "volume"),
        )
    }
)
"""What is known without a configuration; `[snapshot.prices]` takes its place."""


def key_values(definition: Definition, given: str) -> tuple[str, ...]:
    """The values of the key column that `given` may mean, the likelier first."""
    bare = given.removesuffix(definition.suffix) if definition.suffix else given
    return tuple(dict.fromkeys(filter(None, (bare, given))))


def series_of(definition: Definition, given: str | None) -> str:
    """What stands before the day in the name of a file: `PETR4`, `returns-PETR4`, or `returns` for a whole table.

    Characters other than letters, digits, `_` and `-` become `_`. Raises ConfigError when nothing is left.
    """
    if given is None:
        return definition.name.replace(".", "_")
    bare = key_values(definition, given)[:1]
    if not bare:
        hint = "like --ticker PETR4.SA; leave it away for the whole table"
        raise ConfigError("--ticker is empty", code="usage.bad_value", hint=hint)
    safe = _ODD.sub("_", bare[0])
    safe = f"_{safe[1:]}" if safe.startswith("-") else safe
    return safe if definition.name == PRICES else f"{definition.name.replace('.', '_')}-{safe}"


def file_name(series: str, moment: datetime, form: str) -> str:
    """`<series>-<YYYYMMDD>.<form>`, the day in UTC."""
    return f"{series}-{moment.astimezone(UTC):%Y%m%d}.{form}"


def parse_name(name: str) -> tuple[str, date] | None:
    """Series and day of a snapshot's file, None when `name` is not one that `file_name` makes."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return match["series"], datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def require_form(form: str) -> None:
    """Return when `form` is one that snapshots have; raises ConfigError."""
    if form not in FORMS:
        hint = f"one of: {', '.join(FORMS)}"
        raise ConfigError(f"--as {form!r} is not known", code="usage.bad_value", hint=hint)
