"""Backups made in a store that seals: nothing plain is stored, and the machine that makes them needs no key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.copy import copy_missing
from ops.actions.create_backup import Made, make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.config.reading import store_at
from ops.errors import CipherError, OpsError, RefusedError, SourceError, SpaceError
from ops.formats.encrypted_manifest import is_sealed
from ops.formats.names import SAFETY_TAG
from ops.fsio.locks import source_lock
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.ports.source import Source
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.conftest import ask, execute
from tests.histories import whose
from tests.keys import Keys

CANARY = "canary-in-a-coal-mine"


@pytest.fixture
def home(store: LocalStore, keys: Keys, scratch: Path) -> Repository:
    """A local store that seals, on a machine that has no key."""
    return Repository(store=store, encryption=keys.sealing, scratch=scratch, plain_store=store_at)


def made(source: Source, home: Repository, scratch: Path, **request: object) -> Made:
    """A backup that was looked at in full."""
    look = VerifyRequest(Level.FULL, scratch)
    return make(source, home, BackupRequest(**request), look, Job())  # type: ignore[arg-type]


def everything_in(folder: Path) -> bytes:
    """All bytes of all files below."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_plain_is_stored_and_nothing_is_left(
    source: SqliteSource, home: Repository, store: LocalStore, scratch: Path, database: Path
) -> None:
    """The plain copy was verified in full, then only sealed bytes reached the store, and the scratch place is empty."""
    execute(database, f"INSERT INTO notes (body) VALUES ('{CANARY}')")
    done = made(source, home, scratch)
    assert done.looked is not None
    assert (done.looked.level, done.looked.verdict) == ("full", Verdict.PASSED)
    assert CANARY.encode() not in everything_in(store.options.path)
    assert list(scratch.iterdir()) == []
    backup = find_backup(store, "latest")
    assert backup.name == done.taken.backup.name
    assert (backup.name[-7:], is_sealed(backup.manifest), backup.good, backup.opened) == (
        ".db.age",
        True,
        True,
        False,
    )
    assert read_catalogue(store).findings == ()


def test_the_key_proves_it(
    source: SqliteSource, home: Repository, store: LocalStore, keys: Keys, scratch: Path
) -> None:
    """Where the identity is, the backup is drilled like any other."""
    made(source, home, scratch)
    backup = replace(find_backup(store, "latest"), openers=(keys.opening,))
    drill = run_drill(backup, source, DrillRequest(scratch=scratch), Job())
    assert drill.verdict is Verdict.PASSED
    assert find_backup(store, "latest").proven


def test_unverified_stays_unverified(
    source: SqliteSource, home: Repository, store: LocalStore, scratch: Path
) -> None:
    """Without a look nothing is said about it; with a look at what is stored no key is needed."""
    backup = make(source, home, BackupRequest(), None, Job()).taken.backup
    assert find_backup(store, "latest").good is None
    look = VerifyRequest(Level.QUICK, scratch)
    assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
    assert find_backup(store, "latest").good is True


def test_a_failed_look_is_kept_with_the_backup(
    source: SqliteSource,
    home: Repository,
    store: LocalStore,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What fails its look before it is sealed is stored all the same, and never counts as good."""
    monkeypatch.setattr(SqliteSource, "load", refuse)
    done = made(source, home, scratch)
    assert done.looked is not None
    assert done.looked.verdict is Verdict.FAILED
    backup = find_backup(store, "latest")
    assert backup.good is False
    far = MemoryStore("far")
    assert (
        copy_missing(whose(source), Repository(store=store), [Repository(store=far, scratch=scratch)], Job())
        == []
    )


def refuse(*_arguments: object) -> object:
    """A copy that cannot be loaded."""
    raise SourceError("it cannot be loaded", code="source.corrupt")


def test_names_are_taken_sealed_or_plain(
    source: SqliteSource, home: Repository, store: LocalStore, scratch: Path
) -> None:
    """A second one in the same second gets another name, and a name of one's own is refused when it is taken."""
    moment = Job().clock()
    job = Job(clock=lambda: moment)
    plain = make(source, Repository(store=store), BackupRequest(), None, job).taken.backup
    sealed = make(source, home, BackupRequest(), None, job).taken.backup
    assert sealed.name != f"{plain.name}.age"
    made(source, home, scratch, name="mine.db")
    with pytest.raises(RefusedError) as caught:
        made(source, home, scratch, name="mine.db")
    assert caught.value.code == "refused.name_taken"


def test_a_cipher_that_fails_publishes_nothing(
    source: SqliteSource, store: LocalStore, scratch: Path
) -> None:
    """A recipient that is none: no backup, no plain text, no lock left."""
    cipher = AgeCipher("escrow", AgeOptions(recipients=("age1nonsense",)))
    home = Repository(store=store, encryption=cipher, scratch=scratch, plain_store=store_at)
    with pytest.raises(CipherError) as caught:
        made(source, home, scratch)
    assert caught.value.code == "cipher.bad_recipient"
    assert list(store.list()) == []
    assert list(scratch.iterdir()) == []
    with source_lock(store.lock_path(source.info.name), job_id="x", now=Job().clock(), wait_s=0):
        pass


def test_the_limit_of_the_store_counts(source: SqliteSource, home: Repository, scratch: Path) -> None:
    """A store that may not hold so much refuses before anything is copied."""
    with pytest.raises(SpaceError) as caught:
        made(source, replace(home, limit=1000), scratch)
    assert caught.value.code == "space.limit"


def test_into_a_store_without_files_here(
    source: SqliteSource, keys: Keys, scratch: Path, database: Path
) -> None:
    """A bucket gets the same: only what is sealed, its manifest last."""
    execute(database, f"INSERT INTO notes (body) VALUES ('{CANARY}')")
    bucket = MemoryStore("bucket")
    made(
        source,
        Repository(store=bucket, encryption=keys.sealing, scratch=scratch, plain_store=store_at),
        scratch,
    )
    assert CANARY.encode() not in b"".join(bucket.files.values())
    assert list(scratch.iterdir()) == []
    backup = replace(find_backup(bucket, "latest"), openers=(keys.opening,))
    look = VerifyRequest(Level.FULL, scratch)
    assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED


def test_its_copies_are_the_same_bytes(
    source: SqliteSource, home: Repository, store: LocalStore, scratch: Path, tmp_path: Path
) -> None:
    """Further stores, sealing or not, get what is in the first, as it is; each is missing only once."""
    made(source, home, scratch)
    other = Keys(tmp_path, "other")
    for cipher in (None, other.sealing):
        far = MemoryStore("far")
        tier = Repository(store=far, encryption=cipher)
        codes = [
            [item.code for item in copy_missing(whose(source), Repository(store=store), [tier], Job())]
            for _ in range(2)
        ]
        assert codes == [["copy.made"], []]
        (backup,) = read_catalogue(far).backups
        assert far.files[backup.name] == store.path_of(backup.name).read_bytes()


def restored(
    backup: Backup, source: SqliteSource, home: Repository, scratch: Path, database: Path
) -> list[str]:
    """Restore over the live data; the codes of what needs a look."""
    request = RestoreRequest(
        scratch=scratch, safety=home, sources=[source], to=str(database), yes=True, command="drillbook"
    )
    done = restore_backup(backup, source, request, Job())
    assert done.undo is not None
    return [item.code for item in done.findings if item.severity.value != "ok"]


def test_the_safety_backup_is_sealed_too(
    source: SqliteSource, home: Repository, store: LocalStore, keys: Keys, scratch: Path, database: Path
) -> None:
    """What a restore replaces is kept sealed; the way back works with the key, and its lack is said beforehand."""
    backup = replace(made(source, home, scratch).taken.backup, openers=(keys.opening,))
    execute(database, f"INSERT INTO notes (body) VALUES ('{CANARY}')")
    assert restored(backup, source, home, scratch, database) == []
    count = f"SELECT count(*) FROM notes WHERE body = '{CANARY}'"
    assert ask(database, count) == 0
    safety = next(item for item in read_catalogue(store).backups if SAFETY_TAG in item.manifest.tags)
    assert is_sealed(safety.manifest)
    assert CANARY.encode() not in everything_in(store.options.path)
    back = replace(find_backup(store, safety.name), openers=(keys.opening,))
    restored(back, source, home, scratch, database)
    assert ask(database, count) == 1
    plain = make(source, Repository(store=store), BackupRequest(), None, Job()).taken.backup
    assert restored(plain, source, home, scratch, database) == ["restore.safety_sealed"]


def test_what_changed_before_it_was_sealed_is_noticed(
    source: SqliteSource, home: Repository, store: LocalStore, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that are sealed are compared with those that were captured, in the same pass."""
    seal = AgeCipher.seal

    def meddle(self: AgeCipher, plain: Path, *rest: object) -> object:
        content = bytearray(plain.read_bytes())
        content[-1] ^= 1
        other = plain.with_name("other")
        other.write_bytes(content)
        return seal(self, other, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(AgeCipher, "seal", meddle)
    with pytest.raises(OpsError) as caught:
        made(source, home, scratch)
    assert caught.value.code == "backup.checksum_mismatch"
    assert list(store.list()) == []
