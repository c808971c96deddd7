"""Several machines and one bucket: the same second, SIGKILL at any moment, readers while another deletes."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.prune import PruneRequest, prune
from ops.actions.verify import VerifyRequest, verify_backup
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.locks import being_read
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.s3.store import S3Store
from ops.units import Size
from tests.conftest import execute
from tests.histories import whose
from tests.keys import Keys
from tests.killing import run_and_kill
from tests.stores.conftest import NewStore
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def source_of(folder: Path, rows: int = 10) -> SqliteSource:
    """A database of its own."""
    folder.mkdir()
    execute(
        folder / "data.db",
        f"""
        CREATE TABLE t (id INTEGER PRIMARY KEY, filler BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
        INSERT INTO t SELECT i, randomblob(1000) FROM n;
        """,
    )
    return SqliteSource("app", SqliteOptions(path=folder / "data.db"))


def require_whole(store: S3Store, source: SqliteSource, scratch: Path) -> list[str]:
    """All that is in the store are whole backups; their names."""
    catalogue = read_catalogue(store)
    assert catalogue.findings == ()
    for backup in catalogue.backups:
        look = VerifyRequest(Level.QUICK, scratch, keep=False)
        assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
    return [backup.name for backup in catalogue.backups]


@pytest.mark.parametrize("rows", [10, 11_000])
def test_the_same_second(new_store: NewStore, tmp_path: Path, rows: int) -> None:
    """Of machines that begin in one second each has its own whole backup, of one part or of several, time and again."""
    sources = [source_of(tmp_path / f"{number}", rows) for number in range(2)]
    rounds, failures = (5, 2)[rows > 10], list[BaseException]()
    for turn in range(rounds):
        gate, moment = threading.Barrier(2), NOW + timedelta(minutes=turn)

        def run(source: SqliteSource, gate: threading.Barrier = gate, moment: datetime = moment) -> None:
            store = new_store(part_size=Size(5 << 20))
            gate.wait()
            try:
                take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: moment))
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=run, args=(source,)) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
    assert len(require_whole(new_store(), sources[0], tmp_path)) == 2 * rounds


@pytest.mark.parametrize("sealed", [False, True])
def test_killed_at_any_moment(
    weed: Weed, shared_bucket: str, new_store: NewStore, tmp_path: Path, scratch: Path, sealed: bool
) -> None:
    """SIGKILL at random moments of a backup into a bucket: what is there is whole, and the next run removes the rest."""
    store = new_store(part_size=Size(5 << 20))
    source, keys = source_of(tmp_path / "app", 11_000), Keys(tmp_path, "escrow")
    options = store.options
    assert options.access_key_file is not None
    script = Path(__file__).with_name("creating.py")
    arguments: list[str | Path] = [
        weed.url, shared_bucket, options.prefix, options.access_key_file.parent,
        tmp_path / "app" / "data.db", scratch, *([keys.recipient] if sealed else []),
    ]  # fmt: skip
    chance = random.Random(random.randrange(10**6))
    usual_s = run_and_kill(script, *arguments, after_s=None)
    for _ in range(5):
        run_and_kill(script, *arguments, after_s=chance.uniform(0, usual_s))
    to = Repository(store=store, scratch=scratch)
    last = make(source, to, BackupRequest(), None, Job()).taken.backup.name
    names = require_whole(new_store(), source, scratch)
    assert last in names
    found = (
        weed.client().list_objects_v2(Bucket=shared_bucket, Prefix=f"{options.prefix}/").get("Contents", [])
    )
    keys_left = [item["Key"].removeprefix(f"{options.prefix}/") for item in found]
    markers = tuple(f".folders/{name}" for name in names)
    assert [key for key in keys_left if not key.startswith((*names, *markers, ".drillbook/store.json"))] == []
    uploads = weed.client().list_multipart_uploads(Bucket=shared_bucket, Prefix=f"{options.prefix}/")
    assert uploads.get("Uploads", []) == []


def test_a_prune_leaves_what_another_machine_reads(new_store: NewStore, tmp_path: Path) -> None:
    """While one machine reads a backup, another one's prune deletes the others and leaves that one."""
    source = source_of(tmp_path / "app")
    names = []
    for day in range(4):
        moment = NOW + timedelta(days=day)

        def clock(moment: datetime = moment) -> datetime:
            return moment

        taken = take_backup(source, Repository(store=new_store()), BackupRequest(), Job(clock=clock))
        names.append(taken.backup.name)
    for name in names:
        verify_backup(find_backup(new_store(), name), source, VerifyRequest(Level.FULL, tmp_path), Job())
    request = PruneRequest(whose=whose(source), policy=Policy(keep_last=1))
    job = Job(clock=lambda: NOW + timedelta(days=4))
    with being_read(find_backup(new_store(), names[1]), "restore", Job()):
        done = prune(Repository(store=new_store()), request, job)
        assert set(done.deleted) == {names[0], names[2]}
        assert "prune.in_use" in {item.code for item in done.findings}
        assert set(require_whole(new_store(), source, tmp_path)) == {names[1], names[3]}
    assert prune(Repository(store=new_store()), request, job).deleted == (names[1],)
    assert require_whole(new_store(), source, tmp_path) == [names[3]]
