"""What a restore is told, and whether its kind can do that."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import ConfigError
from ops.model.complaints import Known
from ops.model.requests import Assertion, RestoreOptions
from ops.ports.source import Source
from ops.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """Where to restore to. `to` None means the source's own place (with `yes`) or a scratch place.

    `command` is how this program is called, and `flags` what to add, for the undo command; `safety` is where
    the safety backup of what is overwritten goes; `sources` are all configured sources, which a restore without
    `yes` may never touch, and `stores` all configured stores, into which nothing is restored. `series`: the operator's word for the source's; `in_full`: whether the backup was named, and not
    found as the latest; `from_other`: a backup of another series may replace the source's live data. `assertions` are asked of the built copy before it is put in place: one that does
    not hold is a warning, because an old backup may be all that there is. Commands are left to drills. `known`: what is
    known to be wrong with the source; `accept`: codes of what is put up with. `member`: only this one of a
    backup of several sources; the source is that member then.
    """

    scratch: Path
    safety: Repository
    sources: Sequence[Source] = ()
    stores: Sequence[Repository] = ()
    series: str = ""
    in_full: bool = True
    from_other: bool = False
    assertions: Sequence[Assertion] = ()
    known: tuple[Known, ...] = ()
    accept: tuple[str, ...] = ()
    to: str | None = None
    member: str = ""
    options: RestoreOptions = field(default_factory=RestoreOptions)
    yes: bool = False
    command: str = "invoke"
    flags: str = ""
    wait_s: float = 0


_FLAGS: Final = {
    "tables": "--table",
    "truncate": "--truncate",
    "schema_only": "--schema-only",
    "no_owner": "--no-owner",
    "no_acl": "--no-acl",
}


def flags_of(options: RestoreOptions) -> list[str]:
    """Return the options as they are typed."""
    tables = [f"--table {shlex.quote(name)}" for name in options.tables]
    return tables + [flag for name, flag in _FLAGS.items() if name != "tables" and getattr(options, name)]


def require_supported(source: Source, options: RestoreOptions) -> None:
    """Return when the source's kind declares all that is asked of a restore; raises ConfigError that names the rest."""
    asked = [
        flag
        for name, flag in _FLAGS.items()
        if getattr(options, name) and name not in source.supports.restore
    ]
    if source.supports.one_table and len(options.tables) > 1:
        asked.append("more than one --table")
    if asked:
        message = f"kind {source.info.kind!r} has no {' and no '.join(asked)}"
        raise ConfigError(message, code="usage.bad_value", hint="leave it away")
