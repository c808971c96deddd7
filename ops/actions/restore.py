"""Restoring a backup so that it cannot hurt.

Into a scratch place unless told otherwise. Into a place of its own with `--to`. Over something that is there
only with `--yes`, and then in this order: nobody has the target open; the new data is built beside it and
verified; what is there now is kept (a verified safety backup, or the damaged files themselves); nobody has
written meanwhile; one atomic swap. At every moment the target is the old data or the new, whole.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ops.actions.acceptance import (
    Acceptance,
    accepted_codes,
    require_acceptable,
    require_new_place,
    told,
)
from ops.actions.assertions import check_assertions
from ops.actions.keep_target import Keeping, Kept
from ops.actions.live_target import is_own_member, is_place_of, require_own
from ops.actions.member_locks import held_locks
from ops.actions.rehearsal import Rehearsal
from ops.actions.restore_request import RestoreRequest, flags_of, require_supported
from ops.actions.verify import VerifyRequest, verify_backup
from ops.driverkit.spoken_names import spoken_findings, spoken_names
from ops.errors import RefusedError, StoreError
from ops.formats.manifest import payload_sha256
from ops.fsio.scratch import scratch_folder
from ops.model.complaints import accepted
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity, Verdict, verdict_of
from ops.model.manifest import Manifest
from ops.model.series import Whose
from ops.ports.source import Composite, Copy, Restorable, Source, Target
from ops.repository.backup import Backup
from ops.repository.encrypt import opened
from ops.repository.fetch import can_be_opened
from ops.repository.locks import being_read
from ops.repository.own import is_own, own_backups
from ops.repository.own_folder import require_outside
from ops.repository.restores import recorded_restore
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: where the data is now (None: it was a rehearsal), what was found, how to go back.

    `accepted`: codes of what is not as it should be, and was accepted. `rows`: how many came back; None where that is not
    known, or where only a part was asked for. `verdict`: of a rehearsal (None: it was none).
    """

    target: str | None
    findings: tuple[Finding, ...]
    rows: int | None = None
    verdict: Verdict | None = None
    safety: str | None = None
    undo: str | None = None
    next_command: str | None = None
    accepted: tuple[str, ...] = ()


def plan_restore(backup: Backup, source: Source, request: RestoreRequest) -> list[str]:
    """What `restore_backup` would do, step by step, in words. Touches nothing; raises RefusedError where it would."""
    with chosen_target(source, request) as target:
        if target is None:
            return [
                f"restore {backup.name} into a scratch place under {request.scratch}, verify it there, and remove it"
            ]
        if request.yes:
            whose = Whose.of(source, request.safety.machine, request.series)
            require_own(backup, source, target, whose, request)
        manifest = _restored_of(opened(backup, request.scratch).plain, request)
        return list(target.plan(manifest, request.options, request.safety.location))


def restore_backup(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    """Do it; see the module's text for the order.

    Raises RefusedError when it could hurt something, BackupError when the backup cannot be restored as it
    was recorded; then the target is as it was before.
    """
    require_acceptable(request.accept, request.to)
    with chosen_target(source, request) as target:
        if target is not None or can_be_opened(backup):
            backup = opened(backup, request.scratch)
        with job.step("restore") as facts, being_read(backup, "restore", job) as unleased:
            facts.rows, facts.bytes = backup.manifest.rows, backup.manifest.size
            facts.checksum = payload_sha256(backup.manifest)
            if target is None:
                restored = _rehearse(backup, source, request, job)
            else:
                restored = _restore(backup, source, target, request, job)
            return replace(restored, findings=(*unleased, *restored.findings))


def _restore(backup: Backup, source: Source, target: Target, request: RestoreRequest, job: Job) -> Restored:
    require_new_place(request.accept, target, request.sources)
    _guard(target, request)
    whose = Whose.of(source, request.safety.machine, request.series)
    require_own(backup, source, target, whose, request)
    with _kept_off(source, whose, target, request, job) as noticed, spoken_names(backup.name):
        restored = _Restore(backup, source, target, request, job, whose).run()
    return replace(restored, findings=(*noticed, *spoken_findings(restored.findings, backup.name)))


@contextlib.contextmanager
def _kept_off(
    source: Source, whose: Whose, target: Target, request: RestoreRequest, job: Job
) -> Iterator[list[Finding]]:
    """Keep other runs on the source off; where its store cannot be used, that hinders no restore into a new place.

    Raises what `held_locks` raises where data would be replaced: its safety backup goes to that store.
    """
    with contextlib.ExitStack() as stack:
        try:
            noticed = stack.enter_context(held_locks(source, whose, request.safety, request.wait_s, job))
        except StoreError as error:
            if target.exists():
                message = f"{error.message}; the safety backup of what is at {target.location} would go there"
                hint = (
                    f"{error.hint}; or restore to a new place (--to), and put that in its place by hand"
                    if error.hint
                    else "restore to a new place (--to), and put that in its place by hand"
                )
                raise StoreError(message, code=error.code, hint=hint) from error
            message = f"no other run was kept off: {error.message}"
            noticed = [
                Finding(
                    severity=Severity.WARNING, code=error.code, message=message, where=request.safety.name
                )
            ]
        yield noticed


@contextlib.contextmanager
def chosen_target(source: Source, request: RestoreRequest) -> Iterator[Target | None]:
    """Yield the target that the request means; None for a temporary place.

    Raises RefusedError for one inside of a store, ConfigError for what the kind cannot do.
    """
    require_supported(source, request.options)
    if request.to is None and not request.yes:
        yield None
        return
    if not isinstance(source, Restorable):
        raise RefusedError(f"kind {source.info.kind!r} has no data that a restore could replace")
    with source.target(request.to) as target:
        require_outside(target.location, request.stores)
        yield target


def _guard(target: Target, request: RestoreRequest) -> None:
    """Raise RefusedError unless the target may be written: only `--yes` may touch what exists or is a source."""
    if request.yes:
        return
    place = target.location
    for source in request.sources:
        if isinstance(source, Restorable) and source.same_place(place):
            message = f"{place} is the live data of source {source.info.name!r}"
            hint = "add --yes if it is really to be replaced; what is there is kept as a safety backup"
            raise RefusedError(message, code="refused.target_is_source", hint=hint)
    if target.exists():
        hint = "name a new place, or add --yes to replace it (what is there is kept as a safety backup)"
        raise RefusedError(f"{place} exists", hint=hint)


def _rehearse(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    look = VerifyRequest(Level.FULL, request.scratch, known=request.known, member=request.member)
    evidence = verify_backup(backup, source, look, job)
    findings = accepted(evidence.findings, backup.manifest, request.accept)
    codes, verdict = accepted_codes(findings), verdict_of(findings)
    manifest = _restored_of(backup.plain, request)
    passed = verdict is Verdict.PASSED
    return Restored(
        target=None,
        findings=(*told(codes), *findings),
        rows=manifest.rows if passed else None,
        verdict=verdict,
        next_command=_for_real(backup, source, request, codes) if passed else None,
        accepted=codes,
    )


def _restored_of(plain: Manifest, request: RestoreRequest) -> Manifest:
    """The manifest of what is restored: of the backup, or of the one member."""
    return plain.member(request.member) if request.member else plain


def _for_real(backup: Backup, source: Source, request: RestoreRequest, codes: Sequence[str]) -> str:
    """The command that does what was rehearsed, with all that it will be asked for."""
    whose = Whose.of(source, request.safety.machine, request.series)
    own = is_own_member(backup, source, request.member) or is_own(
        backup, own_backups(whose, request.safety.store)
    )
    name = f"{backup.name}/{request.member}" if request.member else backup.name
    flags = "".join(f" {flag}" for flag in flags_of(request.options))
    flags += "".join(f" --accept {code}" for code in codes) + ("" if own else " --from-other-source")
    return f"{request.command} backup.restore --from {shlex.quote(name)}{flags} --yes{request.flags}"


@dataclass(frozen=True, slots=True)
class _Restore:
    """One restore into `target`, whose source's lock is held."""

    backup: Backup
    source: Source
    target: Target
    request: RestoreRequest
    job: Job
    whose: Whose

    def run(self) -> Restored:
        """The steps in their order; the target is the old or the new data after each."""
        target, options, backup = self.target, self.request.options, self.backup
        judge = Acceptance(backup, self.request.accept, self.request.known, self.job.clock().date())
        found = list(target.check(self._plain, options))
        rehearsal = Rehearsal(backup, self.job, judge, member=self.request.member, found=found)
        build = partial(target.build, options=options, progress=self.job.progress)
        with (
            scratch_folder(target.build_folder(self.request.scratch)) as beside,
            rehearsal.copy(beside, build) as built,
        ):
            if built is None:
                raise TypeError(rehearsal.found)  # the judge has raised by then
            asked = self._asserted(built, beside)
            require_new_place(self.request.accept, target, ())
            kept, said = self._keep_old() if target.exists() else (Kept(), [])
            if options.tables:
                done = target.replace_tables(built, options)
            else:
                with self._recorded() as unrecorded:
                    done = target.swap(built, kept.target)
                said = [*said, *unrecorded]
        findings = [*rehearsal.found, *asked, *done, *said]
        codes = accepted_codes(findings)
        return Restored(
            target=target.location,
            findings=(*told(codes), *findings),
            rows=None if options.schema_only or options.tables else self._plain.rows,
            safety=kept.name,
            undo=kept.undo,
            accepted=codes,
        )

    @property
    def _plain(self) -> Manifest:
        """The manifest of what is restored: of the backup, or of the one member."""
        return _restored_of(self.backup.plain, self.request)

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[list[Finding]]:
        """Record that the source's live data is replaced, where its next backup must continue what is there."""
        said: list[Finding] = []
        with contextlib.ExitStack() as stack:
            for source, whose in self._continuing() if is_place_of(self.source, self.target) else ():
                series, to = whose.origin(source.identify()).series, self.request.safety
                said += stack.enter_context(
                    recorded_restore(to, whose, series, self.backup.manifest, self.job)
                )
            yield said

    def _continuing(self) -> Iterator[tuple[Source, Whose]]:
        """The source, and where it is made of others those, whose next backup must continue what is restored."""
        if self.source.supports.continues:
            yield self.source, self.whose
        for member in self.source.members.values() if isinstance(self.source, Composite) else ():
            if member.supports.continues:
                yield member, Whose.of(member, self.whose.machine)

    def _asserted(self, built: Copy, folder: Path) -> list[Finding]:
        if self.request.options.schema_only or self.request.options.tables:
            return []
        # A command may change the copy, and this one is about to be the live data.
        asked = [item for item in self.request.assertions if item.command is None]
        findings = check_assertions(asked, built, folder, self.backup.manifest)
        return [
            replace(item, severity=Severity.WARNING) if item.severity is Severity.CRITICAL else item
            for item in findings
        ]

    def _keep_old(self) -> tuple[Kept, list[Finding]]:
        request = self.request
        return Keeping(
            target=self.target,
            backup=self.backup,
            safety=request.safety,
            look=VerifyRequest(Level.QUICK, request.scratch, known=request.known),
            whose=self.whose,
            options=request.options,
            command=request.command,
            flags=request.flags,
        ).keep(self.job)
