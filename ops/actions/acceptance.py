"""What a restore puts up with: what the operator knows of, and what it was told to accept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from ops.errors import BackupError, ConfigError, RefusedError, StoreError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import is_sealed
from ops.model.complaints import (
    ACCEPTABLE,
    ACCEPTED,
    REMAINS,
    Known,
    accept,
    accepted,
    may_be_accepted,
    settled,
)
from ops.model.findings import Finding, Severity
from ops.model.manifest import Fetched
from ops.ports.source import Restorable, Source
from ops.repository.backup import Backup

_OF_REMAINS: Final = frozenset(("postgres.index_invalid", "postgres.restore_error", "source.corrupt"))
"""What is said of what is left of a damaged payload, beside what may be accepted of a whole one."""


def require_acceptable(codes: Sequence[str], to: str | None) -> None:
    """Return when all of these codes may be accepted by a restore to `to`; raises ConfigError, for a code with the list."""
    known = sorted({*ACCEPTABLE, REMAINS})
    for code in codes:
        if code not in known:
            message = f"--accept {code!r}: that cannot be accepted"
            raise ConfigError(message, code="usage.bad_value", hint=f"one of: {', '.join(known)}")
    if REMAINS in codes and to is None:
        hint = "add --to and a file or database that does not exist"
        message = f"--accept {REMAINS} takes out what is left of a damaged backup, only into a new place"
        raise ConfigError(message, code="usage.bad_value", hint=hint)


def require_new_place(codes: Sequence[str], live: Restorable, target: str, sources: Sequence[Source]) -> None:
    """Return unless what is left of a damaged backup would come into a place where something is, or belongs.

    Raises RefusedError.
    """
    if REMAINS not in codes:
        return
    hint = "name a file or database that does not exist with --to; put it in its place by hand when you have looked at it"
    if live.is_there(target):
        message = f"{target} exists, and --accept {REMAINS} takes out only into a new place"
        raise RefusedError(message, hint=hint)
    for source in sources:
        if isinstance(source, Restorable) and source.same_place(target):
            message = f"{target} is the place of source {source.info.name!r}, and --accept {REMAINS} takes out only into a new one"
            raise RefusedError(message, code="refused.target_is_source", hint=hint)


def can_be_taken_out(backup: Backup) -> bool:
    """Return whether something can be left of it: not of a sealed one, which nobody could open, nor of one that needs others."""
    return not is_sealed(backup.manifest) and not needs_of(backup.manifest)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The same for one restore: `codes` of --accept, and what is `known` of the source on the day of `today`."""

    backup: Backup
    codes: Sequence[str]
    known: Sequence[Known]
    today: date

    def of_bytes(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return what was found of the stored files; that they are damaged as a warning where that was accepted."""
        if REMAINS not in self.codes or not can_be_taken_out(self.backup):
            return [*findings]
        return [
            accept(item) if item.severity is Severity.CRITICAL and item.code == REMAINS else item
            for item in findings
        ]

    def of_copy(self, findings: Sequence[Finding], *, damaged: bool) -> list[Finding]:
        """Return what was found of a loaded copy; `damaged`: it is what is left of a damaged payload."""
        manifest = self.backup.manifest
        found = accepted(settled(findings, manifest, self.known, self.today), manifest, self.codes)
        if not damaged:
            return found
        return [
            accept(item)
            if item.severity is Severity.CRITICAL
            and (may_be_accepted(item, manifest) or item.code in _OF_REMAINS)
            else item
            for item in found
        ]

    def remains(self, folder: Path) -> Fetched:
        """Return what arrived of a damaged payload."""
        return Fetched(folder / self.backup.plain.payload, folder, self.backup.plain)

    def require_right(self, findings: Sequence[Finding]) -> None:
        """Raise BackupError when something is wrong that nobody has accepted."""
        bad = [item for item in findings if item.severity is Severity.CRITICAL and not item.inherited]
        if bad:
            told = [f"{item.message} ({item.where})" if item.where else item.message for item in bad]
            what = told[0] if len(bad) == 1 else f"{len(bad)} things are wrong, the first: {told[0]}"
            message = f"{self.backup.name} cannot be restored as it was recorded: {what}"
            hint = "nothing was touched; choose another backup (backup.list), newest proven first"
            if all(may_be_accepted(item, self.backup.manifest) for item in bad):
                codes = sorted({item.code for item in bad})
                hint += f"; where these bytes are wanted as they are: --accept {' --accept '.join(codes)}"
            elif bad[0].code == REMAINS and can_be_taken_out(self.backup):
                hint += f"; where it is the only copy, what is left of it: --to NEW --accept {REMAINS}"
            raise BackupError(
                message, code="backup.not_restorable", hint=hint, details=told if len(told) > 1 else ()
            )

    def require_read(self, findings: Sequence[Finding]) -> None:
        """Raise StoreError when the stored bytes could not be read, or not twice in the same way."""
        unread = [item for item in findings if item.blocking]
        if unread:
            message = f"{self.backup.name} cannot be read as it should: {unread[0].message}"
            hint = "nothing was touched; run it again, or restore a copy from another store"
            raise StoreError(message, code=unread[0].code, hint=hint)


def accepted_codes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the codes of what was accepted, sorted."""
    return tuple(sorted({item.code for item in findings if item.message.startswith(ACCEPTED)}))


def told(codes: Sequence[str]) -> list[Finding]:
    """Return the warning that stands above all others, where something was accepted."""
    if not codes:
        return []
    message = f"{ACCEPTED}this is not as it should be, and was restored because --accept said so: {', '.join(codes)}"
    if REMAINS in codes:
        message = (
            f"{ACCEPTED}this is what is left of a DAMAGED backup: its bytes are not those that were captured, and nothing"
            " proves any of it"
        )
    return [Finding(severity=Severity.WARNING, code="restore.accepted", message=message)]
