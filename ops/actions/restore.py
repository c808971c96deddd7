"""Restoring a backup so that it can not hurt.

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
from ops.actions.live_target import require_own
from ops.actions.rehearsal import check_restored, with_needed
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.driverkit.spoken_names import spoken_findings, spoken_names
from ops.errors import OpsError, RefusedError, StoreError
from ops.formats.manifest import payload_sha256
from ops.fsio.scratch import scratch_folder
from ops.model.complaints import REMAINS, accepted
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity, Verdict, verdict_of
from ops.model.manifest import Fetched
from ops.model.series import Whose
from ops.ports.source import Continuing, Copy, Restorable, Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened
from ops.repository.fetch import can_be_opened, fetch_whole
from ops.repository.locks import being_read, held_lock
from ops.repository.own import is_own, own_backups
from ops.repository.own_folder import require_outside
from ops.repository.restores import recorded_restore
from ops.repository.second_look import judged, look_to_restore
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: where the data is now (None: it was a rehearsal), what was found, how to go back.

    `accepted`: codes of what is not as it should be, and was accepted.
    """

    target: str | None
    findings: tuple[Finding, ...]
    safety: str | None = None
    undo: str | None = None
    next_command: str | None = None
    accepted: tuple[str, ...] = ()


def plan_restore(backup: Backup, source: Source, request: RestoreRequest) -> list[str]:
    """What `restore_backup` would do, step by step, in words. Touches nothing; raises RefusedError where it would."""
    target = chosen_target(source, request)
    if target is not None and request.yes:
        whose = Whose.of(source, request.safety.machine, request.series)
        require_own(backup, source, _restorable(source), target, whose, request)
    if target is None:
        return [
            f"restore {backup.name} into a scratch place under {request.scratch}, verify it there, and remove it"
        ]
    return list(_restorable(source).plan(target, backup.manifest, request.options, request.safety.location))


def restore_backup(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    """Do it; see the module's text for the order.

    Raises RefusedError when it could hurt something, BackupError when the backup can not be restored as it
    was recorded; then the target is as it was before.
    """
    require_acceptable(request.accept, request.to)
    target = chosen_target(source, request)
    backup = opened(backup, request.scratch) if can_be_opened(backup) else backup
    with job.step("restore") as facts, being_read(backup, "restore", job) as unleased:
        facts.rows, facts.bytes = backup.manifest.measures.rows, backup.manifest.size
        facts.checksum = payload_sha256(backup.manifest)
        if target is None:
            rehearsed = _rehearse(backup, source, request, job)
            return replace(rehearsed, findings=(*unleased, *rehearsed.findings))
        live = _restorable(source)
        require_new_place(request.accept, live, target, request.sources)
        _guard(live, target, request)
        whose = Whose.of(source, request.safety.machine, request.series)
        require_own(backup, source, live, target, whose, request)
        with _kept_off(whose, live, target, request, job) as noticed, spoken_names(backup.name):
            restored = _Restore(backup, source, live, target, request, job, whose).run()
        return replace(
            restored, findings=(*unleased, *noticed, *spoken_findings(restored.findings, backup.name))
        )


@contextlib.contextmanager
def _kept_off(
    whose: Whose, live: Restorable, target: str, request: RestoreRequest, job: Job
) -> Iterator[list[Finding]]:
    """Keep other runs on the source off; where its store cannot be used, that hinders no restore into a new place.

    Raises what `held_lock` raises where data would be replaced: its safety backup goes to that store.
    """
    with contextlib.ExitStack() as stack:
        try:
            noticed = stack.enter_context(held_lock(whose, request.safety, request.wait_s, job))
        except StoreError as error:
            if live.is_there(target):
                message = f"{error.message}; the safety backup of what is at {target} would go there"
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


def chosen_target(source: Source, request: RestoreRequest) -> str | None:
    """Return the target that the request means; None for a scratch place. Raises RefusedError for one inside of a store."""
    if request.to is None and not request.yes:
        return None
    target = _restorable(source).target_of(request.to)
    require_outside(target, request.stores)
    return target


def _restorable(source: Source) -> Restorable:
    if not isinstance(source, Restorable):
        raise RefusedError(f"kind {source.info.kind!r} has no data that a restore could replace")
    return source


def _guard(live: Restorable, target: str, request: RestoreRequest) -> None:
    """Raise RefusedError unless `target` may be written: only `--yes` may touch what exists or is a source."""
    if request.yes:
        return
    for source in request.sources:
        if isinstance(source, Restorable) and source.same_place(target):
            message = f"{target} is the live data of source {source.info.name!r}"
            hint = "add --yes if it is really to be replaced; what is there is kept as a safety backup"
            raise RefusedError(message, code="refused.target_is_source", hint=hint)
    if live.is_there(target):
        hint = "name a new place, or add --yes to replace it (what is there is kept as a safety backup)"
        raise RefusedError(f"{target} exists", hint=hint)


def _rehearse(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    look = VerifyRequest(Level.FULL, request.scratch, known=request.known)
    evidence = verify_backup(backup, source, look, job)
    findings = accepted(evidence.findings, backup.manifest, request.accept)
    codes = accepted_codes(findings)
    return Restored(
        target=None,
        findings=(*told(codes), *findings),
        next_command=_for_real(backup, source, request, codes)
        if verdict_of(findings) is Verdict.PASSED
        else None,
        accepted=codes,
    )


def _for_real(backup: Backup, source: Source, request: RestoreRequest, codes: Sequence[str]) -> str:
    """The command that does what was rehearsed, with all that it will be asked for."""
    whose = Whose.of(source, request.safety.machine, request.series)
    own = is_own(backup, own_backups(whose, request.safety.store))
    flags = "".join(f" --accept {code}" for code in codes) + ("" if own else " --from-other-source")
    return f"{request.command} backup.restore --from {shlex.quote(backup.name)}{flags} --yes{request.flags}"


@dataclass(frozen=True, slots=True)
class _Restore:
    """One restore into `target`, whose source's lock is held."""

    backup: Backup
    source: Source
    live: Restorable
    target: str
    request: RestoreRequest
    job: Job
    whose: Whose

    @property
    def acceptance(self) -> Acceptance:
        """What is put up with."""
        today = self.job.clock().date()
        return Acceptance(self.backup, self.request.accept, self.request.known, today)

    def run(self) -> Restored:
        """The steps in their order; the target is the old or the new data after each."""
        live, target, options = self.live, self.target, self.request.options
        findings = list(live.prepare(target, self.backup.plain, options))
        with scratch_folder(live.build_folder(target, self.request.scratch)) as beside:
            (fetched, *needed), arrived = self._fetch(beside)
            damaged = REMAINS in accepted_codes(arrived)
            with self._built(fetched, needed, damaged=damaged) as (built, checked):
                require_new_place(self.request.accept, live, target, ())
                kept, said = self._keep_old() if live.is_there(target) else (Kept(), [])
                if options.tables:
                    done = live.replace_tables(built, target, options)
                else:
                    with self._recorded() as unrecorded:
                        done = live.promote(built, target, kept.target)
                    said = [*said, *unrecorded]
        findings += [*arrived, *checked, *done, *said]
        codes = accepted_codes(findings)
        return Restored(
            target=target,
            findings=(*told(codes), *findings),
            safety=kept.name,
            undo=kept.undo,
            accepted=codes,
        )

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[list[Finding]]:
        """Record that the source's live data is replaced, where its next backup must continue what is there."""
        if not isinstance(self.source, Continuing) or not self.live.same_place(self.target):
            yield []
            return
        series = self.whose.origin(self.source.identify()).series
        manifest = self.backup.manifest
        with recorded_restore(self.request.safety, self.whose, series, manifest, self.job) as said:
            yield said

    def _fetch(self, folder: Path) -> tuple[list[Fetched], list[Finding]]:
        findings = self.acceptance.of_bytes(look_to_restore(self.backup, self.job.progress))
        self.acceptance.require_right(findings)
        self.acceptance.require_read(findings)
        fetched, arrived = fetch_whole(self.backup, folder, self.job.progress)
        arrived = self.acceptance.of_bytes(arrived)
        self.acceptance.require_right(arrived)
        self.acceptance.require_read(arrived)
        return fetched or [self.acceptance.remains(folder)], [*findings, *arrived]

    @contextlib.contextmanager
    def _built(
        self, fetched: Fetched, needed: Sequence[Fetched], *, damaged: bool
    ) -> Iterator[tuple[Copy, list[Finding]]]:
        """The copy beside the target, checked and measured; raises BackupError when it is not right."""
        options, manifest = self.request.options, self.backup.manifest
        live = with_needed(self.live, needed)
        building = live.build(fetched, self.target, options, self.job.progress)
        with contextlib.ExitStack() as stack:
            try:
                built = stack.enter_context(building)
                checked = check_restored(built, manifest.measures, self.job.progress)
            except OpsError as error:
                said = judged(error, "load")
                if not said.blocking:
                    self.acceptance.require_right([said])
                raise
            checked = self.acceptance.of_copy(checked, damaged=damaged)
            self.acceptance.require_right(checked)
            yield built, [*checked, *self._asserted(built, fetched.folder)]

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
            live=self.live,
            target=self.target,
            backup=self.backup,
            safety=request.safety,
            look=VerifyRequest(Level.QUICK, request.scratch, known=request.known),
            whose=self.whose,
            options=request.options,
            command=request.command,
            flags=request.flags,
        ).keep(self.job)
