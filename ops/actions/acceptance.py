"""What a restore puts up with: what the operator knows of, and what it was told to accept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, NoReturn

from ops.errors import BackupError, ConfigError, OpsError, RefusedError, StoreError
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
from ops.model.manifest import Payload
from ops.ports.source import Restorable, Source, Target
from ops.repository.backup import Backup
from ops.repository.second_look import judged, look_to_restore
from ops.run.progress import Progress

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


def require_new_place(codes: Sequence[str], target: Target, sources: Sequence[Source]) -> None:
    """Return unless what is left of a damaged backup would come into a place where something is, or belongs.

    Raises RefusedError.
    """
    if REMAINS not in codes:
        return
    hint = "name a file or database that does not exist with --to; put it in its place by hand when you have looked at it"
    if target.exists():
        message = f"{target.location} exists, and --accept {REMAINS} takes out only into a new place"
        raise RefusedError(message, hint=hint)
    for source in sources:
        if isinstance(source, Restorable) and source.same_place(target.location):
            message = (
                f"{target.location} is the place of source {source.info.name!r}, and --accept {REMAINS} takes out only into a"
                " new one"
            )
            raise RefusedError(message, code="refused.target_is_source", hint=hint)


def can_be_taken_out(backup: Backup) -> bool:
    """Return whether something can be left of it: not of a sealed one, which nobody could open, nor of one that needs others."""
    return not is_sealed(backup.manifest) and not needs_of(backup.manifest)


@dataclass(slots=True)
class Acceptance:
    """The judge of one restore: `codes` of --accept, and what is `known` of the source on the day of `today`.

    What nobody has accepted ends the restore. `damaged`: the copy is what is left of a damaged payload, which was accepted.
    """

    backup: Backup
    codes: Sequence[str]
    known: Sequence[Known]
    today: date
    damaged: bool = field(default=False, init=False)

    def look(self, backup: Backup, progress: Progress) -> list[Finding]:
        """Return what is seen beside the payload; only its own files stop a restore."""
        return look_to_restore(backup, progress)

    def of_bytes(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return what was found of the stored files; that they are damaged as a warning where that was accepted.

        Raises BackupError, and StoreError where they could not be read.
        """
        found = [*findings]
        if REMAINS in self.codes and can_be_taken_out(self.backup):
            found = [
                accept(item) if item.severity is Severity.CRITICAL and item.code == REMAINS else item
                for item in findings
            ]
        self.require_right(found)
        self.require_read(found)
        self.damaged = self.damaged or REMAINS in accepted_codes(found)
        return found

    def of_copy(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return what was found of a loaded copy; raises BackupError for what nobody has accepted."""
        manifest = self.backup.manifest
        found = accepted(settled(findings, manifest, self.known, self.today), manifest, self.codes)
        if self.damaged:
            found = [
                accept(item)
                if item.severity is Severity.CRITICAL
                and (may_be_accepted(item, manifest) or item.code in _OF_REMAINS)
                else item
                for item in found
            ]
        self.require_right(found)
        return found

    def of_error(self, error: OpsError, phase: str) -> NoReturn:
        """Raise it, as BackupError where it says something about the backup."""
        said = judged(error, phase)
        if not said.blocking:
            self.require_right([said])
        raise error

    def remains(self, folder: Path) -> Payload:
        """Return what arrived of a damaged payload."""
        return Payload(folder / self.backup.plain.payload, folder, self.backup.plain)

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
