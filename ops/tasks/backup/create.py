"""What `backup.create` does with its flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.verify import VerifyRequest, verify_opened
from ops.config.model import ConfiguredSource
from ops.config.reading import source_of_kind, store_at
from ops.errors import ConfigError, OpsError
from ops.model.evidence import Level
from ops.model.findings import Severity
from ops.model.requests import Objectives, Part
from ops.model.series import Whose
from ops.ports.source import Divisible, Source
from ops.ports.store import Store
from ops.report.results.backups import BackupCreated, BackupPlanned, Stored
from ops.repository.backup import Backup
from ops.repository.identity import read_identity
from ops.repository.origin import SWAPPED
from ops.run.job import Job
from ops.tasks.backup.commands import Create
from ops.tasks.session import Session
from ops.tasks.store.copy import bring_up_to_date


def run(session: Session, wanted: Create) -> None:
    """Back up each chosen source; one that fails does not stop the others."""
    if wanted.policy and wanted.policy not in session.config.policies:
        hint = f"configured: {', '.join(sorted(session.config.policies))}"
        raise ConfigError(f"no policy {wanted.policy!r}", code="config.unknown_policy", hint=hint)
    if unknown := sorted(set(wanted.accept) - {SWAPPED}):
        message = f"--accept {unknown[0]!r} is nothing that a backup can accept"
        raise ConfigError(message, code="usage.bad_value", hint=f"one of: {SWAPPED}")
    chosen = _chosen(session, wanted)
    if wanted.out and len(chosen) > 1 and not Path(wanted.out).is_dir():
        hint = f"add --source, one of: {', '.join(item.name for item in chosen)}"
        raise ConfigError(
            "--out names one file, and there are several sources", code="usage.bad_value", hint=hint
        )
    for configured in chosen:
        try:
            if wanted.dry_run:
                _say(session, configured, wanted)
            else:
                _take(session, configured, wanted)
        except OpsError as error:
            session.outcome.fail(error, configured.name)


def _chosen(session: Session, wanted: Create) -> list[ConfiguredSource]:
    if not wanted.from_:
        return session.chosen(wanted.source)
    if len(wanted.source) > 1:
        raise ConfigError(
            "--from names one file, and --source several sources",
            code="usage.bad_value",
            hint="give one --source: the name that the file's backups get",
        )
    path = Path(wanted.from_).absolute()
    for configured in session.config.sources.values():
        if configured.source.info.location == str(path):
            return [configured]
    adhoc = source_of_kind("sqlite", wanted.source[0] if wanted.source else "file", str(path))
    return [
        ConfiguredSource(
            source=adhoc,
            stores=(next(iter(session.config.stores)),),
            objectives=Objectives(),
            assertions=(),
            tags=(),
            min_free=None,
            owner="",
            description="",
        )
    ]


def _place(session: Session, configured: ConfiguredSource, out: str) -> tuple[Store, str | None]:
    """Store and payload name (None: a fresh one) that `--out` means."""
    if not out:
        return session.config.home_of(configured), None
    path = Path(out).absolute()
    if path.is_dir() or out.endswith("/"):
        return store_at(path), None
    return store_at(path.parent), path.name


def _say(session: Session, configured: ConfiguredSource, wanted: Create) -> None:
    source, (store, name) = configured.source, _place(session, configured, wanted.out)
    part = _part(wanted)
    source = _part_of(source, part) if part.is_asked else source
    read_identity(store)
    found = source.probe()
    planned = BackupPlanned(
        source=source.info,
        scope=source.scope,
        store=store.name,
        location=store.location,
        name=name,
        estimate=found.estimate,
        content=found.text,
    )
    session.outcome.add(planned)


def _part(wanted: Create) -> Part:
    return Part(scope=wanted.scope, tables=wanted.table, schemas=wanted.schema, tenant=wanted.tenant)


def _part_of(source: Source, part: Part) -> Source:
    """The source, of which only a part is taken; raises ConfigError where its kind has no parts."""
    if not isinstance(source, Divisible):
        message = (
            f"source {source.info.name!r} is of kind {source.info.kind}, of which a backup always takes all"
        )
        raise ConfigError(message, code="usage.bad_value", hint="leave the part away")
    return source.take_part(part)


def _take(session: Session, configured: ConfiguredSource, wanted: Create) -> None:
    source, whose, assertions = configured.source, session.whose(configured), configured.asserted
    if (part := _part(wanted)).is_asked:
        source, whole = _part_of(source, part), whose.place
        whose = Whose.of(source, session.machine, configured.series)
        if whose.place != whole:
            # Assertions are about the whole.
            whose, assertions = replace(whose, whole=whole), ()
    store, name = _place(session, configured, wanted.out)
    job = session.job.of_source(configured.name)
    request = BackupRequest(
        name=name,
        tags=(*configured.tags, *wanted.tag),
        min_free=configured.min_free,
        wait_s=wanted.wait,
        policy=wanted.policy,
        whose=whose,
        assertions=assertions,
        accept=wanted.accept,
        known=configured.known,
    )
    look = (
        VerifyRequest(Level.FULL, session.config.scratch, known=configured.known) if wanted.verify else None
    )
    to = session.repository(store)
    made = make(source, to, request, look, job)
    watched = whose.watched
    named = [
        replace(item, severity=Severity.OK) if item.code == "host.generated" else item
        for item in session.naming[1]
        if item.code == "host.cloned" or (item.code == "host.generated" and watched)
    ]
    made = replace(made, taken=replace(made.taken, findings=(*named, *made.taken.findings)))
    backup, stored, copies = made.taken.backup, None, None
    if look is not None and to.encryption is not None:
        stored = _look_at_stored(session.with_openers(backup), source, look, job)
    if further := [] if wanted.out else session.config.further_stores(configured):
        copies = tuple(bring_up_to_date(session, configured, further))
    session.outcome.add(BackupCreated(made.taken, made.looked, stored, copies))


def _look_at_stored(backup: Backup, source: Source, look: VerifyRequest, job: Job) -> Stored:
    """Look at what was stored, opened where a key is here; a key that does not fit is a warning."""
    evidence, noticed = verify_opened(backup, source, replace(look, level=Level.QUICK), job)
    return Stored(backup, evidence, tuple(noticed))
