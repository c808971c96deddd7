"""Tables that have names, and the kinds that they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ops.config.tables import Place
from ops.errors import ConfigError
from ops.model.close_names import close_or_all

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def named_tables(document: dict[str, Any], group: str, place: Place) -> list[tuple[str, dict[str, Any]]]:
    """Return the tables below `[group.NAME]` with their names; raises ConfigError for what is none, or has no usable name."""
    tables = document.get(group, {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{place}: [{group}] must hold tables, like [{group}.NAME]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{place}: {group}.{name} must be a table, [{group}.{name}]")
        if not NAME.match(name):
            hint = "letters, digits, '_', '-' and '.', beginning with a letter or digit, 64 at most"
            raise ConfigError(f"{place}: {name!r} is no name for a {group}", hint=hint)
    return list(tables.items())


def kind_of(table: dict[str, Any], known: Mapping[str, object], place: Place) -> str:
    """Return the kind that a table says; raises ConfigError where it says none, or one that is not known."""
    if "kind" not in table:
        raise ConfigError(
            f"{place}: key 'kind' is needed", code="config.missing_key", hint=f"one of: {', '.join(known)}"
        )
    kind = table["kind"]
    if kind not in known:
        hint = close_or_all(kind, known, "this installation has")
        raise ConfigError(
            f"{place.near('kind')}: unknown kind {kind!r}", code="config.unknown_kind", hint=hint
        )
    return str(kind)


def require_name(key: str, value: str, form: re.Pattern[str], place: Place) -> None:
    """Return when a value has the form of a name, or is empty; raises ConfigError."""
    if value and not form.match(value):
        hint = "letters, digits, '_', '-' and '.', beginning with a letter or digit"
        raise ConfigError(f"{place.at(key)}: {value!r} is not such a name", hint=hint)
