"""Sources with something wrong, their backups, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import Restored, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.formats.manifest import to_json
from ops.formats.names import manifest_key
from ops.model.complaints import KEY, Known
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding
from ops.repository.backup import Backup
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore

ORPHANS = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (1), (2);"
)
MISMATCH = "CREATE TABLE p (a, b); CREATE TABLE c (p REFERENCES p (a)); INSERT INTO c VALUES (1);"
REDEFINE = "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = '{}' WHERE name = '{}';"
NULLS = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 1), (NULL, 2), (NULL, 3);" + REDEFINE.format(
    "CREATE TABLE t (a NOT NULL, b)", "t"
)
STRICT = "CREATE TABLE t (a INT, b); INSERT INTO t VALUES ('x', 1);" + REDEFINE.format(
    "CREATE TABLE t (a INT, b INT) STRICT", "t"
)
INDEX = (
    "CREATE TABLE t (a, b); CREATE INDEX i ON t (a); CREATE INDEX j ON t (a);"
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50) INSERT INTO t SELECT x, -x FROM n;"
    + REDEFINE.format("CREATE INDEX i ON t (b)", "i")
)
SICK = {
    "orphans": (ORPHANS, "sqlite.foreign_key", "c"),
    "no unique parent": (MISMATCH, "sqlite.foreign_key_mismatch", "c"),
    "NULL in NOT NULL": (NULLS, "sqlite.constraint", "t.a"),
    "text in a STRICT table": (STRICT, "sqlite.constraint", "t.a"),
    "damaged index": (INDEX, "sqlite.damaged", "i"),
}
SICK_ONES = pytest.mark.parametrize("sick", SICK)


@dataclass
class Case:
    """A database, its source, its store, and a place to look at copies."""

    source: SqliteSource
    store: LocalStore
    scratch: Path

    @property
    def path(self) -> Path:
        """The live file."""
        return self.source.options.path

    def create(self, known: tuple[Known, ...] = ()) -> Backup:
        """One more backup."""
        return take_backup(
            self.source, Repository(store=self.store), BackupRequest(known=known), Job()
        ).backup

    def drill(self, backup: Backup, *known: Known) -> Evidence:
        """A drill of it."""
        return run_drill(backup, self.source, DrillRequest(scratch=self.scratch, known=known), Job())

    def verify(self, backup: Backup, level: Level, *known: Known) -> Evidence:
        """A verify of it."""
        return verify_backup(backup, self.source, VerifyRequest(level, self.scratch, known=known), Job())

    def restore(
        self, backup: Backup, to: Path | None, *accept: str, yes: bool = False, known: tuple[Known, ...] = ()
    ) -> Restored:
        """Restored there."""
        request = RestoreRequest(
            scratch=self.scratch,
            safety=Repository(store=self.store),
            sources=[self.source],
            to=None if to is None else str(to),
            accept=accept,
            yes=yes,
            known=known,
        )
        return restore_backup(backup, self.source, request, Job())

    def rewrite(self, backup: Backup, **changes: object) -> Backup:
        """The backup with a manifest that was changed and sealed again."""
        manifest = replace(backup.manifest, **changes)  # type: ignore[arg-type]
        self.store.path_of(manifest_key(backup.name)).write_bytes(to_json(manifest))
        return replace(backup, manifest=manifest)

    def again(self, backup: Backup) -> Backup:
        """The backup as the store tells of it now."""
        return find_backup(self.store, backup.name)


Make = Callable[..., Case]


def of(findings: tuple[Finding, ...], code: str) -> Finding:
    """The one finding with this code."""
    (found,) = (item for item in findings if item.code == code)
    return found


def unrecorded(case: Case, backup: Backup) -> Backup:
    """The backup as if nobody had looked at the source."""
    extra = {key: value for key, value in backup.manifest.extra.items() if key != KEY}
    return case.rewrite(backup, extra=extra)


def damage(case: Case, backup: Backup) -> bytes:
    """One byte of the payload is another; what is left of it."""
    path = case.store.path_of(backup.name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return bytes(content)
