"""What can be seen in a stored payload without restoring it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.errors import OpsError, ToolError
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.sources.postgres.catalog.requirements import Needs, needs_of
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.route import DirectRoute
from ops.sources.postgres.dump.archive import all_archives, list_entries
from ops.sources.postgres.dump.payload import read_objects
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.archive_reader import archive_reader
from ops.sources.postgres.programs.discover import Programs
from ops.units import format_size


def inspect_payload(
    payload: Path, manifest: Manifest, options: PostgresOptions, installed: Sequence[Programs]
) -> list[Finding]:
    """Size, table of contents as recorded, and every byte of data read back through pg_restore.

    The listing alone proves nothing about the data, so pg_restore also writes the whole archive as a script
    to /dev/null: it must decompress everything for that.
    """
    findings = [*_check_size(manifest, options)]
    try:
        needs = needs_of(manifest.extra)
        read_objects(payload)
    except OpsError as error:
        return [*findings, _critical(error)]
    try:
        programs = archive_reader(installed, needs)
    except ToolError as error:
        return [*findings, _undecided(error.code, error.message)]
    try:
        return findings + _check_archives(DirectRoute(Address(), programs), all_archives(payload), needs)
    except OpsError as error:
        return [*findings, _critical(error)]


def _check_size(manifest: Manifest, options: PostgresOptions) -> list[Finding]:
    if manifest.size >= options.min_size:
        return []
    message = f"the backup is smaller than min_size ({format_size(options.min_size)}): is that all there is?"
    return [
        Finding(
            severity=Severity.WARNING,
            code="postgres.small",
            message=message,
            expected=f"at least {options.min_size} bytes",
            found=f"{manifest.size} bytes",
        )
    ]


def _check_archives(route: DirectRoute, archives: Sequence[Path], needs: Needs) -> list[Finding]:
    entries = sum(len(list_entries(route, archive)) for archive in archives)
    if not archives or entries != needs.toc_entries:
        return [
            Finding(
                severity=Severity.CRITICAL,
                code="postgres.toc_differs",
                message="the archive's table of contents has another number of entries than recorded",
                expected=str(needs.toc_entries),
                found=str(entries),
            )
        ]
    for archive in archives:
        ran = route.run_offline("pg_restore", "--file=/dev/null", str(archive))
        if ran.exit_code or ran.messages:
            message = f"pg_restore cannot read {archive.name} through: {' / '.join(ran.messages[-4:])}"
            return [Finding(severity=Severity.CRITICAL, code="backup.archive_unreadable", message=message)]
    message = f"pg_restore read the archive through: {entries} entries, as recorded"
    return [Finding(severity=Severity.OK, code="postgres.toc", message=message)]


def _critical(error: OpsError) -> Finding:
    return Finding(severity=Severity.CRITICAL, code=error.code, message=error.message)


def _undecided(code: str, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, blocking=True)
