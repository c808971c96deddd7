"""Two machines that begin in the same second: what the other one puts under our name, whenever it comes, is never lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.config.reading import store_at
from ops.errors import RefusedError
from ops.model.findings import Verdict
from ops.ports.store import Store
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.keys import Keys
from tests.sites import BEGIN

OTHER = b"what another machine put"
JOB = Job(clock=lambda: BEGIN)


class Crowded(MemoryStore):
    """A store into which another machine puts its payload just before ours is taken, as a bucket lets it."""

    met = 0

    def put(self, key: str, file: Path) -> None:
        """Refuse the first payloads, whose names are taken meanwhile."""
        if (
            self.met < 2
            and key.startswith("backup-")
            and key.count(".") < 3
            and not key.endswith(".checksum")
        ):
            self.met += 1
            self.files[key] = OTHER
        super().put(key, file)


class CrowdedFolder(LocalStore):
    """The same with files."""

    met: list[str] = []  # noqa: RUF012 - one for each test

    def put(self, key: str, file: Path) -> None:
        """Refuse the first payload."""
        if not self.met and key.startswith("backup-"):
            self.met.append(key)
            self.path_of(key).write_bytes(OTHER)
        super().put(key, file)


@pytest.mark.parametrize("kind", ["memory", "folder"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_the_name_is_taken_while_we_capture(
    source: SqliteSource, scratch: Path, keys: Keys, tmp_path: Path, kind: str, encrypted: bool
) -> None:
    """Ours gets the next free name and drills; what the other machine put stays as it is."""
    folder = CrowdedFolder("local", LocalOptions(path=tmp_path / "crowded"))
    folder.met.clear()
    store: Store = folder if kind == "folder" else Crowded("local")
    to = Repository(
        store=store, scratch=scratch, encryption=keys.sealing if encrypted else None, plain_store=store_at
    )
    made = make(source, to, BackupRequest(), None, JOB)
    suffix = ".db.age" if encrypted else ".db"
    taken = f"backup-20260601T020000Z{suffix}"
    with store.open(taken) as file:
        assert file.read(100) == OTHER
    assert made.taken.backup.name != taken
    found = replace(find_backup(store, made.taken.backup.name), openers=(keys.opening,))
    assert run_drill(found, source, DrillRequest(scratch=scratch), JOB).verdict is Verdict.PASSED


def test_a_name_of_ones_own_is_never_changed(source: SqliteSource, scratch: Path) -> None:
    """What the operator called so is refused, and the other one's stays."""
    store = Crowded("local")
    with pytest.raises(RefusedError) as caught:
        take_backup(
            source, Repository(store=store, scratch=scratch), BackupRequest(name="backup-mine.db"), JOB
        )
    assert caught.value.code == "refused.name_taken"
    assert store.files == {
        "backup-mine.db": OTHER,
        **{key: store.files[key] for key in store.files if key.startswith(".")},
    }
