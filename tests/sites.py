"""Machines in one process: the same source and store, seen by programs that run on different machines, at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import Made, make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import Pruned, PruneRequest, prune
from ops.actions.verify import VerifyRequest
from ops.model.evidence import Evidence, Level
from ops.model.series import Machine, Whose
from ops.ports.store import Store
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.own import OwnBackups, own_backups
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from tests.conftest import execute

BEGIN = datetime(2026, 6, 1, 2, tzinfo=UTC)
LAST_TWO = Policy(keep_last=2)


@dataclass
class Site:
    """One machine that backs up the database of `source`, whose content is then its own."""

    source: SqliteSource
    store: Store
    scratch: Path
    host: str
    boot: str = "boot"
    declared: str = ""
    rows: int = 200
    policy: Policy = field(default_factory=lambda: LAST_TWO)

    @property
    def repository(self) -> Repository:
        """The store as this machine knows it."""
        return Repository(store=self.store, scratch=self.scratch, machine=self.machine)

    @property
    def machine(self) -> Machine:
        """This machine."""
        return Machine(host=self.host, also=(self.host,) if self.host else (), boot=self.boot)

    @property
    def whose(self) -> Whose:
        """Whose its backups are."""
        return Whose.of(self.source, self.machine, self.declared)

    def take(self, moment: datetime) -> Made:
        """A backup that is made then, looked at whole."""
        path = self.source.options.path
        execute(path, f"DELETE FROM notes WHERE id >= 1000; INSERT INTO notes VALUES (1000, '{self.host}')")
        job = Job(clock=lambda: moment)
        request = BackupRequest(whose=self.whose)
        return make(self.source, self.repository, request, VerifyRequest(Level.FULL, self.scratch), job)

    def drill(self, moment: datetime) -> Evidence:
        """A drill of the latest, then."""
        latest = find_backup(self.store, "latest", whose=self.whose)
        return run_drill(latest, self.source, DrillRequest(scratch=self.scratch), Job(clock=lambda: moment))

    def prune(self, moment: datetime) -> Pruned:
        """What pruning did, then."""
        return prune(
            self.repository,
            PruneRequest(whose=self.whose, policy=self.policy, many=True),
            Job(clock=lambda: moment),
        )

    @property
    def own(self) -> OwnBackups:
        """What is in the store, and which of it is its own."""
        return own_backups(self.whose, self.store)

    def names(self) -> list[str]:
        """Its own backups, newest first."""
        return [item.name for item in self.own.mine]


def everything(store: Store) -> set[str]:
    """The names of all backups in the store."""
    return {item.name for item in read_catalogue(store).backups}
