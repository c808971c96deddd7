"""Keeping what a restore is about to replace: as a verified safety backup, or as the damaged files that it is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make_under_lock, passed
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import OpsError, SourceError, SourceLockedError
from ops.formats.names import SAFETY_TAG
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import KeptTarget, RestoreOptions
from ops.model.series import Whose
from ops.ports.source import Source, Target
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.units import format_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of the old data: under which name, how to go back, and what the kind must know of it."""

    name: str | None = None
    undo: str | None = None
    target: KeptTarget = field(default_factory=KeptTarget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is at `target`, which `backup` will replace; it is kept in `safety`, and looked at as `look` says.

    `options`: what of it is replaced; `command`, `flags`: see `RestoreRequest`.
    """

    target: Target
    backup: Backup
    safety: Repository
    look: VerifyRequest
    whose: Whose
    options: RestoreOptions
    command: str
    flags: str

    def keep(self, job: Job) -> tuple[Kept, list[Finding]]:
        """Keep it; how, and what is to be said of that. Raises SourceError when it is locked."""
        self.target.settle()
        mark = self.target.change_mark()
        source = self.target.source()
        request = BackupRequest(tags=(SAFETY_TAG,), whose=self.whose)
        try:
            made = make_under_lock(source, self.safety, request, self.look, job)
        except SourceLockedError:
            raise
        except SourceError as error:
            return self._keep_damaged(error.message, job)
        if not passed(made.looked):
            return self._keep_damaged("its safety backup does not verify", job)
        name, place = made.taken.backup.name, shlex.quote(self.target.location)
        tables = self._tables_of()
        command = f"{self.command} backup.restore --from {shlex.quote(name)} --to {place}{tables} --yes"
        message = f"what was there is kept as safety backup {name}"
        if self.options.tables and not tables:
            message += ", whole: going back by it brings all tables back as they are now, not these alone"
        finding = Finding(severity=Severity.OK, code="restore.safety", message=message, where=name)
        safety = made.taken.backup

        def doubt() -> str:
            return self._doubt(source, safety, job)

        target = KeptTarget(safety=safety.manifest, mark=mark, doubt=doubt)
        said = [finding, *self._undone_elsewhere(name)]
        return Kept(name=name, undo=f"{command}{self.flags}", target=target), said

    def _doubt(self, source: Source, safety: Backup, job: Job) -> str:
        """Why the safety backup is not proven, from restoring it into a temporary place; empty when it is."""
        try:
            # With the keys that opened what is restored: it is sealed as that is.
            safety = replace(safety, openers=self.backup.openers)
            look = verify_backup(safety, source, replace(self.look, level=Level.FULL), job)
        except OpsError as error:
            return error.message
        if look.verdict is Verdict.PASSED:
            return ""
        bad = [item for item in look.findings if item.severity is Severity.CRITICAL or item.blocking]
        return bad[0].message if bad else f"its verify was {look.verdict}"

    def _tables_of(self) -> str:
        """The flags that put back only the tables that are replaced; none where the old data does not have them all."""
        if not self.options.tables or not self.target.has_tables(self.options.tables):
            return ""
        tables = "".join(f" --table {shlex.quote(name)}" for name in self.options.tables)
        return f"{tables} --truncate" if self.options.truncate else tables

    def _undone_elsewhere(self, name: str) -> list[Finding]:
        """A warning when the safety backup is sealed and nothing here opens it."""
        cipher = self.safety.encryption
        if cipher is None or any(item.can_open and item.kind == cipher.kind for item in self.backup.openers):
            return []
        message = (
            f"safety backup {name} is sealed, and no key is here: going back needs a machine that has it"
        )
        return [Finding(severity=Severity.WARNING, code="restore.safety_sealed", message=message, where=name)]

    def _keep_damaged(self, why: str, job: Job) -> tuple[Kept, list[Finding]]:
        kept, undo = self.target.keep_damaged(format_stamp(job.clock()))
        message = f"what was there could not be backed up ({why}); its files are kept as {kept}"
        finding = Finding(severity=Severity.WARNING, code="restore.damaged_kept", message=message, where=kept)
        return Kept(name=kept, undo=undo, target=KeptTarget(damaged=kept)), [finding]
