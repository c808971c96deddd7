"""Folders full of small backups with a past, byte for byte as tasks leave them, only written faster."""

import hashlib
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.formats import evidence as evidence_files
from ops.formats import manifest as manifest_files
from ops.formats.names import checksum_key, checksum_text, evidence_key, manifest_key, payload_name
from ops.model.evidence import Evidence
from ops.model.findings import Verdict
from ops.model.manifest import SEQUENCE_KEY, FileEntry, Manifest, Measures
from ops.model.moment import microseconds

BETWEEN = timedelta(minutes=57)


def fill_store(folder: Path, count: int, real: Path) -> None:
    """`count` backups, the last one made now: payload, checksum, manifest, one verify each.

    They are of the source, the series and the machine of one that a task made, whose manifest is `real`.
    """
    folder.mkdir(mode=0o700)
    like = manifest_files.from_json(real.read_bytes(), real.name)
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    for number in range(count):
        moment = newest - BETWEEN * (count - 1 - number)
        for name, content in _backup(like, number, moment).items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, content)
            os.close(descriptor)


def _backup(like: Manifest, number: int, moment: datetime) -> dict[str, bytes]:
    name = payload_name("backup", moment, ".db")
    content = hashlib.sha256(number.to_bytes(8, "little")).digest()
    digest = hashlib.sha256(content).hexdigest()
    manifest = replace(
        like,
        job_id=str(uuid.UUID(bytes=content[:16], version=4)),
        created_at=moment,
        payload=name,
        files=(FileEntry(name, len(content), digest),),
        measures=Measures(
            tables=like.measures.tables,
            facts={"schema": digest, "page_size": 4096},
            engine={"sqlite": "3.45.0"},
        ),
        data_as_of=moment,
        started_at=moment,
        finished_at=moment,
        duration_ms=1,
        extra={**like.extra, SEQUENCE_KEY: microseconds(moment)},
    )
    evidence = Evidence(
        action="verify",
        level="full",
        job_id=str(uuid.UUID(bytes=content[16:], version=4)),
        backup=name,
        source=like.source,
        payload_sha256=digest,
        started_at=moment,
        finished_at=moment,
        duration_ms=1,
        verdict=Verdict.PASSED,
        findings=(),
        tool={"name": "drillbook", "version": "0"},
        host="bench",
    )
    return {
        name: content,
        checksum_key(name): checksum_text(manifest.files).encode(),
        manifest_key(name): manifest_files.to_json(manifest),
        evidence_key(name, "verify", moment, evidence.job_id): evidence_files.to_json(evidence),
    }
