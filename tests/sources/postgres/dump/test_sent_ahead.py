"""Files of a dump are encrypted and sent while pg_dump still works, and a second attempt leaves nothing of the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import SourceError
from ops.model.evidence import Level
from ops.model.findings import Finding, Verdict
from ops.repository.find import find_backup
from ops.run.job import Job
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump.exported_snapshot import Snapshot
from ops.sources.postgres.dump.pg_dump import Dumping
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from tests.keys import Keys
from tests.repository.test_upload_folders import FolderStore, repository, wait_for
from tests.sources.postgres.conftest import FreshDatabases

pytestmark = pytest.mark.long

TABLES = 4


@pytest.fixture
def source(pg15: RunningServer, fresh_database: FreshDatabases) -> PostgresSource:
    """A database of a few tables and a large object."""
    database = fresh_database(pg15)
    with database.connect() as connection:
        for number in range(TABLES):
            connection.execute(f"CREATE TABLE t{number} AS SELECT generate_series(1, 1000) AS n".encode())
        connection.execute("SELECT lo_from_bytea(0, 'large')")
    dsn = f"host={pg15.socket_dir} port={pg15.port} user={pg15.user} dbname={database.name}"
    return PostgresSource("shop", PostgresOptions(dsn=dsn))


def require_right(store: FolderStore, source: PostgresSource, keys: Keys, scratch: Path) -> None:
    """The backup is whole, without strays, and restores."""
    backup = replace(find_backup(store, "latest"), openers=(keys.opening,))
    look = verify_backup(backup, source, VerifyRequest(Level.FULL, scratch, keep=False), Job())
    assert look.verdict is Verdict.PASSED, look.findings
    stored = {item.key for item in store.list() if item.key.startswith(f"{backup.name}/")}
    assert stored == {entry.path for entry in backup.manifest.files}


@pytest.mark.parametrize("sealing", [False, True])
def test_rows_are_sent_while_it_is_dumped(
    source: PostgresSource, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch, sealing: bool
) -> None:
    """Every file of rows has arrived before pg_dump is said to have ended."""
    really, store = Dumping.dump, FolderStore("far")

    def dump(self: Dumping, session: Session, snapshot: Snapshot) -> Sequence[Finding]:
        said = really(self, session, snapshot)
        wait_for(lambda: store.sent > TABLES)
        return said

    monkeypatch.setattr(Dumping, "dump", dump)
    make(source, repository(store, keys, scratch, sealing=sealing), BackupRequest(), None, Job())
    require_right(store, source, keys, scratch)


@pytest.mark.parametrize("sealing", [False, True])
def test_a_second_attempt(
    source: PostgresSource, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch, sealing: bool
) -> None:
    """A dump that DDL kept from a table begins anew: what was sent of the first is not in the backup."""
    really, store, attempts = Dumping.dump, FolderStore("far"), iter(range(2))

    def dump(self: Dumping, session: Session, snapshot: Snapshot) -> Sequence[Finding]:
        said = really(self, session, snapshot)
        if next(attempts) == 0:
            wait_for(lambda: store.sent > TABLES)
            raise SourceError("DDL came in between", code="source.locked")
        return said

    monkeypatch.setattr(Dumping, "dump", dump)
    make(source, repository(store, keys, scratch, sealing=sealing), BackupRequest(), None, Job())
    require_right(store, source, keys, scratch)
