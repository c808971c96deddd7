"""Stores full of small backups with a past: payload, checksum, manifest and evidence as the actions write them."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta

from ops.formats import evidence as evidence_files
from ops.formats import manifest as manifest_files
from ops.formats.manifest import payload_sha256
from ops.formats.names import checksum_key, checksum_text, evidence_key, manifest_key, payload_name
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import FileEntry, Manifest, Measures, SourceInfo, TableMeasure
from ops.model.series import Machine, Whose
from ops.ports.source import Source
from ops.ports.store import Store
from ops.repository.backup import Backup

WHOSE = Whose(name="prices", kind="sqlite", location="/srv/data.db")
"""Whose the stored backups of one file are."""
READ = Finding(severity=Severity.OK, code="backup.checksum", message="SHA-256 as recorded")
"""What a look says that read every stored byte."""


def whose(source: Source) -> Whose:
    """Whose the backups of a real source are on a machine without a name."""
    return Whose.of(source, Machine())


def put(store: Store, key: str, content: bytes) -> None:
    """Store `content` the way actions do."""
    with store.stage(key) as staged:
        staged.write_bytes(content)
        store.put(key, staged)


def stored_backup(
    store: Store,
    moment: datetime,
    *,
    source: str = "prices",
    tags: tuple[str, ...] = (),
    content: bytes = b"content",
    files: int = 1,
    kind: str = "sqlite",
    scope: str = "full",
    location: str = "/srv/data.db",
    needs: tuple[Backup, ...] = (),
) -> Backup:
    """A backup made at `moment`; with more than one file its payload is a folder."""
    name = payload_name("backup", moment, ".db" if files == 1 else ".pg")
    digest = hashlib.sha256(content).hexdigest()
    paths = [name] if files == 1 else [f"{name}/{number}" for number in range(files)]
    manifest = Manifest(
        version=manifest_files.FIRST_VERSION,
        job_id=str(uuid.uuid4()),
        created_at=moment,
        source=SourceInfo(source, kind, location),
        payload=name,
        files=tuple(FileEntry(path, len(content), digest) for path in paths),
        measures=Measures(tables={"t": TableMeasure(3)}),
        tool={"name": "drillbook", "version": "0"},
        scope=scope,
        tags=tags,
        data_as_of=moment,
        started_at=moment,
        finished_at=moment,
        duration_ms=1,
        extra={"needs": [_need(item) for item in needs]} if needs else {},
    )
    with store.stage(name, folder=files > 1) as staged:
        if files == 1:
            staged.write_bytes(content)
        else:
            for number in range(files):
                (staged / str(number)).write_bytes(content)
        store.put(name, staged)
    put(store, checksum_key(name), checksum_text(manifest.files).encode())
    put(store, manifest_key(name), manifest_files.to_json(manifest))
    return Backup(store=store, manifest=manifest)


def _need(backup: Backup) -> dict[str, object]:
    return {"backup": backup.name, "job_id": backup.manifest.job_id, "size": backup.manifest.size}


def looked_at(
    backup: Backup,
    verdict: Verdict = Verdict.PASSED,
    *,
    action: str = "verify",
    after: timedelta = timedelta(hours=1),
    host: str = "",
    level: str = "full",
    job_id: str = "",
) -> Backup:
    """The same backup with evidence of a verify or drill beside it."""
    manifest = backup.manifest
    moment = manifest.created_at + after
    evidence = Evidence(
        action=action,
        level=level,
        job_id=job_id or str(uuid.uuid4()),
        host=host,
        backup=backup.name,
        source=manifest.source,
        payload_sha256=payload_sha256(manifest),
        started_at=moment,
        finished_at=moment,
        duration_ms=1,
        verdict=verdict,
        findings=(READ,) if verdict is Verdict.PASSED else (),
    )
    key = evidence_key(backup.name, action, moment, evidence.job_id)
    put(backup.store, key, evidence_files.to_json(evidence))
    return Backup(store=backup.store, manifest=manifest, evidence=(*backup.evidence, evidence))
