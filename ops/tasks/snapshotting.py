"""What `snapshot.create`, `snapshot.verify` and `snapshot.restore-verify` do with their flags."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ops.errors import ConfigError
from ops.model import Finding
from ops.report.outcome import CRITICAL, OK, WARNING, exit_code_of
from ops.report.snapshots import (
    compared_document,
    compared_text,
    proof_document,
    proof_text,
    verified_document,
    verified_text,
    written_document,
    written_text,
)
from ops.snapshots.checksums import FILE_NAME
from ops.snapshots.create import CreateRequest, create_snapshot
from ops.snapshots.definition import Definition
from ops.snapshots.folders import update_folder, verify_folder
from ops.snapshots.restore import RestoreRequest, prove_snapshot
from ops.snapshots.table import Live
from ops.snapshots.update import Changes, former_manifest, update_snapshots
from ops.snapshots.verify import Verified, verify_snapshots
from ops.sources.sqlite.source import SqliteSource
from ops.tasks.session import Session
from ops.tasks.values import seconds

_WORDS = {OK: "passed", WARNING: "WARNING", CRITICAL: "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCreate:
    """The flags of `snapshot.create`."""

    ticker: str | None
    source: str
    name: str
    form: str
    out: str
    replace: bool
    wait: str


def create(session: Session, wanted: WantedCreate) -> None:
    """Write one snapshot."""
    definition = session.config.snapshots.definition(wanted.name)
    name, live = _live(session, wanted.source, definition)
    request = CreateRequest(
        folder=session.config.snapshots.folder,
        ticker=wanted.ticker,
        form=wanted.form,
        out=Path(wanted.out).absolute() if wanted.out else None,
        replace=wanted.replace,
        wait_s=seconds("--wait", wanted.wait),
    )
    job = session.job.of_source(name)
    started = time.monotonic()
    written = create_snapshot(live, definition, request, job)
    elapsed_s = time.monotonic() - started
    document = written_document(written, job.job_id, elapsed_s)
    session.outcome.add(document, written_text(written, job.job_id, elapsed_s))
    session.outcome.answer = {key: document[key] for key in ("job_id", "elapsed_sec", "snapshot", "rows")}


def _live(session: Session, source: str, definition: Definition) -> tuple[str, Live]:
    """The SQLite source to read: the one that is named, or configured, or called like the snapshot, or the only one."""
    named = source or definition.source
    sources = session.config.sources
    fitting = [name for name, item in sources.items() if isinstance(item.source, SqliteSource)]
    if not named:
        named = fitting[0] if len(fitting) == 1 else definition.name
    if not source and named not in sources:
        hint = f"say which with --source: {', '.join(fitting) or 'there is none'}"
        raise ConfigError("a snapshot of which source?", code="usage.bad_value", hint=hint)
    driver = session.config.source(named).source
    if not isinstance(driver, SqliteSource):
        hint = f"SQLite sources: {', '.join(fitting) or 'none'}"
        message = f"source {named!r} is no SQLite database"
        raise ConfigError(message, code="usage.bad_value", hint=hint)
    timeout_s = driver.options.busy_timeout.total_seconds()
    return named, Live(path=driver.options.path, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedVerify:
    """The flags of `snapshot.verify`."""

    manifest: str
    path: str
    update: bool


def verify(session: Session, wanted: WantedVerify) -> None:
    """Compare the folder of snapshots, or any folder, with what is recorded; or record it."""
    manifest = Path(wanted.manifest).absolute() if wanted.manifest else None
    if wanted.path:
        folder = Path(wanted.path).absolute()
        _verify_folder(session, folder, manifest or folder / FILE_NAME, update=wanted.update)
        return
    folder = manifest.parent if manifest else session.config.snapshots.folder.absolute()
    job = session.job.of_source("")
    known = manifest or folder / FILE_NAME
    if wanted.update:
        former, warnings = former_manifest(known)
        verified = verify_snapshots(folder, known if former else None, job)
        changes = update_snapshots(verified, known, job)
        # Looked at again, with the manifest that is there now: what it says is what was just written.
        _tell(session, verify_snapshots(folder, known, job), changes, warnings)
        return
    _tell(session, verify_snapshots(folder, known if manifest or known.exists() else None, job), None, [])


def _tell(session: Session, verified: Verified, changes: Changes | None, warnings: list[Finding]) -> None:
    session.outcome.notice([*warnings, *verified.findings])
    findings = [finding for item in verified.looked for finding in item.findings]
    text = verified_text(verified, changes)
    session.outcome.add(verified_document(verified, changes), text, exit_code_of(findings))


def _verify_folder(session: Session, folder: Path, manifest: Path, *, update: bool) -> None:
    job = session.job.of_source("")
    compared = (update_folder if update else verify_folder)(folder, manifest, job)
    text = compared_text(compared, update=update)
    session.outcome.add(compared_document(compared), text, exit_code_of(compared.findings))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedProof:
    """The flags of `snapshot.restore-verify`."""

    path: str
    name: str
    source: str


def prove(session: Session, wanted: WantedProof) -> None:
    """Prove that one snapshot can be restored."""
    path = Path(wanted.path).absolute()
    if path.suffix == ".json":
        hint = "the CSV form is the one that is restored; compare JSON with snapshot.verify"
        raise ConfigError(f"{path.name} is no CSV", code="usage.bad_value", hint=hint)
    settings = session.config.snapshots
    definition = settings.definition(wanted.name) if wanted.name else settings.definition_of_file(path.name)
    against = _live(session, wanted.source, definition)[1] if wanted.source else None
    request = RestoreRequest(
        path=path, scratch=session.config.scratch, definition=definition, against=against
    )
    job = session.job.of_source(wanted.source)
    proof = prove_snapshot(request, job)
    code = exit_code_of(proof.findings)
    session.outcome.add(proof_document(proof, job.job_id), proof_text(proof, _WORDS[code], job.job_id), code)
