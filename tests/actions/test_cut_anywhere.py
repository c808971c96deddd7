"""A backup into a store without files here, cut off between any two of its steps: the next run leaves nothing of it."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.verify import VerifyRequest, verify_backup
from ops.config.reading import store_at
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.ports.store import OWN_PREFIX
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.memory import MemoryStore
from tests.conftest import execute
from tests.keys import Keys

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


class Killable(MemoryStore):
    """A store that a process reaches for so many steps, and never again."""

    steps = 1_000_000

    def _step(self) -> None:
        if self.steps == 0:
            raise KilledError
        self.steps -= 1

    def put(self, key: str, file: Path) -> None:
        """Put, before or after the last step."""
        self._step()
        super().put(key, file)
        self._step()

    def delete(self, key: str) -> None:
        """Delete, before or after the last step."""
        self._step()
        super().delete(key)
        self._step()


def encrypted(store: MemoryStore, keys: Keys, scratch: Path) -> Repository:
    """One that encrypts."""
    return Repository(
        store=store,
        encryption=keys.sealing,
        decryptors=(keys.sealing,),
        scratch=scratch,
        plain_store=store_at,
    )


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("steps", range(0, 26, 1))
def test_killed_between_any_two_steps(
    source: SqliteSource, scratch: Path, tmp_path: Path, steps: int, sealed: bool
) -> None:
    """Whatever was there when a run was killed, the next one makes a whole backup and removes the rest."""
    store, keys = Killable(), Keys(tmp_path, "escrow")
    to = encrypted(store, keys, scratch) if sealed else Repository(store=store, scratch=scratch)

    def create(moment: datetime) -> None:
        make(source, to, BackupRequest(), None, Job(clock=lambda: moment))

    create(NOW - timedelta(days=1))
    store.steps = steps
    try:
        create(NOW)
        killed = False
    except KilledError:
        killed = True
    store.steps = 1_000_000
    create(NOW + timedelta(days=1))
    catalogue = read_catalogue(store)
    assert catalogue.findings == ()
    assert len(catalogue.backups) in ({2, 3} if killed else {3})
    for backup in catalogue.backups:
        look = VerifyRequest(Level.QUICK, scratch, keep=False)
        assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
    known = tuple(backup.name for backup in catalogue.backups)
    assert [key for key in store.files if not key.startswith((OWN_PREFIX, *known))] == []
    assert [key for key in store.files if "/writing/" in key or "/leases/" in key] == []


class Unconditional(MemoryStore):
    """A store that overwrites: it knows no condition on what is put."""

    def _put(self, key: str, file: Path) -> None:
        if not file.is_dir() and not key.startswith(OWN_PREFIX):
            self.files.pop(key, None)
        super()._put(key, file)


@pytest.mark.parametrize("kind", [MemoryStore, Unconditional])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_second(tmp_path: Path, kind: type[MemoryStore], seed: int) -> None:
    """Several machines that begin in one second each have a whole backup, also where the store would overwrite."""
    store, chance = kind(), random.Random(seed)
    sources = []
    for number in range(4):
        path = tmp_path / f"{number}" / "data.db"
        path.parent.mkdir()
        execute(path, f"CREATE TABLE who (n); INSERT INTO who VALUES ({number})")
        sources.append(SqliteSource("app", SqliteOptions(path=path)))
    gate = threading.Barrier(len(sources))
    failures: list[BaseException] = []

    def run(source: SqliteSource, pause_s: float) -> None:
        gate.wait()
        threading.Event().wait(pause_s)
        try:
            take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: NOW))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(source, chance.random() / 100)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    catalogue = read_catalogue(store)
    assert catalogue.findings == ()
    assert len({backup.manifest.source.location for backup in catalogue.backups}) == len(sources)
    for backup in catalogue.backups:
        look = VerifyRequest(Level.QUICK, tmp_path, keep=False)
        assert verify_backup(backup, sources[0], look, Job()).verdict is Verdict.PASSED
