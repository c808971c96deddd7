"""Whose a backup is, in a bucket: the same as in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.config.reading import store_at
from ops.fsio.growing_file import GrowingFile
from ops.model.findings import Verdict
from ops.ports.store import Store
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.s3.store import S3Store
from tests.actions.test_series import (
    TestVersionOne,
    site,
    test_a_declared_series_is_one_on_all_machines,
    test_thirty_nights_of_two_machines,
)
from tests.keys import Keys
from tests.stores.conftest import NewStore

pytestmark = pytest.mark.long

__all__ = [
    "TestVersionOne",
    "site",
    "test_a_declared_series_is_one_on_all_machines",
    "test_thirty_nights_of_two_machines",
]


@pytest.fixture
def store(new_store: NewStore) -> Store:
    """A bucket of a real server, in the place of the stores that those tests have."""
    return new_store()


class CrowdedBucket(S3Store):
    """A bucket into which another machine puts its payload while ours is sent."""

    def put_growing(self, key: str, file: GrowingFile) -> str:
        """Find the first names taken at the end of the upload."""
        if len(OTHERS) < 2:
            OTHERS.append(key)
            with self.stage(key) as staged:
                staged.write_bytes(b"another")
                self.put(key, staged)
        return super().put_growing(key, file)


OTHERS: list[str] = []


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_same_second(
    source: SqliteSource, scratch: Path, keys: Keys, new_store: NewStore, encrypted: bool
) -> None:
    """The payload that was sent while it was measured gets the next free name, and what the other machine put stays."""
    OTHERS.clear()
    plain = new_store()
    store = CrowdedBucket(plain.name, plain.options)
    to = Repository(
        store=store, scratch=scratch, encryption=keys.sealing if encrypted else None, plain_store=store_at
    )
    made = make(source, to, BackupRequest(), None, Job())
    for name in OTHERS:
        with store.open(name) as file:
            assert file.read(100) == b"another"
    assert OTHERS
    assert made.taken.backup.name not in OTHERS
    found = replace(find_backup(store, made.taken.backup.name), openers=(keys.opening,))
    assert run_drill(found, source, DrillRequest(scratch=scratch), Job()).verdict is Verdict.PASSED
