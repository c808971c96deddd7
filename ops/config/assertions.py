"""Assertions: from their tables in the configuration, and from those that a manifest has kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Final

from ops.config.tables import Place, build
from ops.errors import ConfigError, OpsError
from ops.formats.encrypted_manifest import is_closed
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.model.requests import Advisory, Assertion, Expectations
from ops.units import Fraction

_SUBJECTS: Final = {
    "row_count": {"min", "max", "tolerance"},
    "fresh": {"max_age"},
    "query": {"expect"},
    "command": {"timeout"},
}
"""What an assertion may be about, and what else may be said with it."""
_KEPT_SINCE: Final = 2
"""The first version of manifests that keeps the assertions of its time."""
_ADDED: Final = "it was not configured when the backup was made, so it only warns"
_REMOVED: Final = (
    "it was configured when the backup was made and is not any more, so it is still asked and only warns"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertTable:
    """The keys that a table of an assertion may have."""

    row_count: str | None = None
    fresh: str | None = None
    query: str | None = None
    command: tuple[str, ...] | None = None
    min: int | None = None
    max: int | None = None
    tolerance: Fraction | None = None
    max_age: timedelta | None = None
    expect: str | int | float | bool | None = None
    timeout: timedelta = timedelta(minutes=5)


def read_assertion(values: Mapping[str, object], here: Place) -> Assertion:
    """Return the assertion that a table means; raises ConfigError where it means none."""
    table = build(AssertTable, values, here)
    subjects = [key for key in _SUBJECTS if getattr(table, key) is not None]
    if len(subjects) != 1:
        hint = "each assertion has exactly one of row_count, fresh, query, command"
        raise ConfigError(f"{here}: {' and '.join(subjects) or 'nothing'} to assert", hint=hint)
    for key in values.keys() - {subjects[0]} - _SUBJECTS[subjects[0]]:
        raise ConfigError(f"{here}: {key!r} says nothing about {subjects[0]!r}", code="config.unknown_key")
    if subjects == ["fresh"] and (table.max_age is None or "." not in str(table.fresh)):
        raise ConfigError(f'{here}: write fresh = "table.column" and max_age', code="config.missing_key")
    if subjects == ["command"] and not table.command:
        raise ConfigError(f"{here}: command is empty")
    return Assertion(**{field.name: getattr(table, field.name) for field in fields(table)})


def expectations_of(manifest: Manifest, configured: Sequence[Assertion] | None) -> Expectations:
    """Return what is asked of a restored backup: the assertions of its time, and as warnings those of today.

    `configured`: those of today, None where the source of the backup is not configured here. A manifest of version 1
    keeps none, and one that was not opened does not tell them: the backup is asked what is configured.
    """
    today = tuple(configured or ())
    if manifest.version < _KEPT_SINCE or is_closed(manifest):
        return Expectations(binding=today)
    kept, not_asked = _kept(manifest)
    then, binding, advisory = list[Assertion](), list[Assertion](), list[Advisory]()
    for item in kept:
        same = [other for other in today if _subject(other) == _subject(item)]
        if item.command is not None and not same:
            # Nobody runs a program because a stored file says so.
            not_asked.append(_not_asked(_shown(item), "a program is run only where the configuration has it"))
            continue
        # Nor for as long as a stored file says.
        then.append(same[0] if item.command is not None else item)
        if same or configured is None:
            binding.append(then[-1])
        else:
            advisory.append(Advisory(item, _REMOVED))
    advisory += [Advisory(item, _ADDED) for item in today if item not in then]
    return Expectations(tuple(dict.fromkeys(binding)), tuple(advisory), tuple(not_asked))


def _kept(manifest: Manifest) -> tuple[list[Assertion], list[Finding]]:
    """The assertions that a manifest has kept, and a warning for each that is none to this program."""
    found, unreadable = [], []
    for number, values in enumerate(manifest.assertions, 1):
        name = f"assert #{number} of the manifest"
        try:
            found.append(read_assertion(values, Place(manifest.payload, name, Path())))
        except (OpsError, ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
            why = error.message if isinstance(error, OpsError) else f"{error!r}"
            unreadable.append(_not_asked(name, f"this program does not understand it ({why})"))
    return found, unreadable


def _subject(item: Assertion) -> Assertion:
    """What an assertion is about, whatever it expects of that."""
    return Assertion(row_count=item.row_count, fresh=item.fresh, query=item.query, command=item.command)


def _shown(item: Assertion) -> str:
    return f"command {' '.join(item.command or ())}"


def _not_asked(where: str, why: str) -> Finding:
    message = f"an assertion that the manifest has kept was not asked: {why}"
    return Finding(severity=Severity.WARNING, code="assert.not_asked", message=message, where=where)
