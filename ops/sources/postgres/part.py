"""A part of a database that was asked for on the command line, as options."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast, get_args

from ops.errors import ConfigError
from ops.model.requests import Part
from ops.sources.postgres.catalog.identifiers import parse_shown
from ops.sources.postgres.options import PostgresOptions, Scope

_NAMED_BY: Final = {"tables": "--table", "schemas": "--schema", "tenant": "--tenant"}


def options_of_part(options: PostgresOptions, part: Part) -> PostgresOptions:
    """Return the options of a source of which only `part` is taken.

    Raises ConfigError for a scope that is not known, for more than one kind of part, and for a part without its name.
    """
    named = [scope for scope in _NAMED_BY if getattr(part, scope)]
    scope = part.scope or (named[0] if named else "full")
    if scope not in get_args(Scope):
        hint = f"one of: {', '.join(get_args(Scope))}"
        raise ConfigError(f"--scope {scope!r} is not known", code="usage.bad_value", hint=hint)
    if other := [_NAMED_BY[item] for item in named if item != scope]:
        message = f"{' and '.join(other)} cannot be combined with {_NAMED_BY.get(scope, f'--scope {scope}')}"
        raise ConfigError(message, code="usage.bad_value", hint="make a backup of each")
    if scope in _NAMED_BY and scope not in named:
        message = f"--scope {scope} needs {_NAMED_BY[scope]}"
        raise ConfigError(message, code="usage.bad_value", hint=f"{_NAMED_BY[scope]} alone is enough")
    for name in part.tables:
        _require_name(name)
    return replace(
        options,
        scope=cast("Scope", scope),
        tables=part.tables,
        schemas=part.schemas,
        tenant=_value(part.tenant) if part.tenant else None,
    )


def _require_name(name: str) -> None:
    try:
        parse_shown(name)
    except ValueError as error:
        raise ConfigError(f"--table {name!r}: {error}", code="usage.bad_value") from error


def _value(text: str) -> str | int:
    """A number where a configuration would have one: the two are one series then."""
    return int(text) if text.isascii() and text.isdecimal() and str(int(text)) == text else text
