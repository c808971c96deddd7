"""Sealed copies: nobody reads them without the key, and with it they are drilled like any other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.copy import copy_missing
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import PruneRequest, prune
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.driverkit.row_digest import document_seal
from ops.errors import BackupError, CipherError, OpsError, StoreError, ToolError
from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import plain_manifest
from ops.formats.names import checksum_key, checksum_text, manifest_key
from ops.fsio.locks import source_lock
from ops.model.evidence import Evidence, Level
from ops.model.findings import Severity, Verdict
from ops.model.manifest import FileEntry
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.fetch import fetch_payload
from ops.repository.find import find_backup
from ops.repository.identity import ensure_identity
from ops.repository.pins import keep_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.run.progress import silent
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.conftest import ask, execute
from tests.histories import WHOSE, looked_at, put, stored_backup
from tests.keys import Keys

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CANARY = "canary-in-a-coal-mine"


@pytest.fixture
def away(tmp_path: Path) -> LocalStore:
    """The further store, which is to hold nothing that anybody can read."""
    return LocalStore("away", LocalOptions(path=tmp_path / "away"))


@pytest.fixture
def sealed(
    source: SqliteSource, store: LocalStore, away: LocalStore, keys: Keys, scratch: Path, database: Path
) -> Backup:
    """A verified backup of the small database, sealed into the further store, with nobody's key at hand."""
    execute(database, f"INSERT INTO notes (body) VALUES ('{CANARY}')")
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    evidence = verify_backup(backup, source, VerifyRequest(Level.FULL, scratch), Job())
    copy_backup(
        replace(backup, evidence=(evidence,)),
        Repository(store=away, encryption=keys.sealing, scratch=scratch),
        Job(),
    )
    return find_backup(away, f"{backup.name}.age")


def with_key(backup: Backup, keys: Keys) -> Backup:
    """The backup on a machine that has the identity."""
    return replace(backup, openers=(keys.opening,))


def drill(backup: Backup, source: SqliteSource, scratch: Path) -> Evidence:
    """Drill now."""
    return run_drill(backup, source, DrillRequest(scratch=scratch), Job())


def codes(evidence: Evidence) -> set[str]:
    """What was not OK."""
    return {item.code for item in evidence.findings if item.severity is not Severity.OK}


def test_nothing_plain_reaches_the_store(sealed: Backup, away: LocalStore, scratch: Path) -> None:
    """No file of the store holds a word of the data; names, checksum file and both digests are right."""
    for path in away.options.path.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path
    assert list(scratch.iterdir()) == []
    (entry,) = sealed.manifest.files
    stored = away.path_of(sealed.name).read_bytes()
    assert stored.startswith(b"age-encryption.org/v1\n")
    assert (entry.path, entry.sha256) == (sealed.name, hashlib.sha256(stored).hexdigest())
    assert away.path_of(checksum_key(sealed.name)).read_text() == f"{entry.sha256}  {sealed.name}\n"
    assert sealed.plain.payload == sealed.name.removesuffix(".age")


def test_the_escrowed_key_opens_it(sealed: Backup, source: SqliteSource, keys: Keys, scratch: Path) -> None:
    """With the identity it is verified in full and drilled like any other, and proven then."""
    backup = with_key(sealed, keys)
    for level in Level:
        evidence = verify_backup(backup, source, VerifyRequest(level, scratch), Job())
        assert (evidence.verdict, codes(evidence)) == (Verdict.PASSED, set())
        assert "backup.opened" in {item.code for item in evidence.findings}
    assert drill(backup, source, scratch).verdict is Verdict.PASSED
    assert find_backup(sealed.store, sealed.name).proven
    assert list(scratch.iterdir()) == []


def test_without_the_key(sealed: Backup, source: SqliteSource, scratch: Path) -> None:
    """The machine that seals cannot read it: a quick verify says that nobody looked inside, a drill has no verdict."""
    quick = verify_backup(sealed, source, VerifyRequest(Level.QUICK, scratch), Job())
    assert quick.verdict is Verdict.PASSED
    assert "backup.sealed" in {item.code for item in quick.findings}
    evidence = drill(sealed, source, scratch)
    assert (evidence.verdict, codes(evidence)) == (Verdict.INCONCLUSIVE, {"cipher.no_identity"})
    full = verify_backup(sealed, source, VerifyRequest(Level.FULL, scratch), Job())
    assert (full.verdict, "cipher.no_identity" in codes(full)) == (Verdict.INCONCLUSIVE, True)


def test_the_wrong_key(
    sealed: Backup, source: SqliteSource, tmp_path: Path, keys: Keys, scratch: Path
) -> None:
    """Another key says nothing about the backup: inconclusive; beside the right one it does not matter."""
    wrong = Keys(tmp_path, "other").opening
    evidence = drill(replace(sealed, openers=(wrong,)), source, scratch)
    assert (evidence.verdict, codes(evidence)) == (Verdict.INCONCLUSIVE, {"cipher.wrong_key"})
    both = replace(sealed, openers=(wrong, keys.opening))
    assert drill(both, source, scratch).verdict is Verdict.PASSED


def test_a_damaged_file_is_not_tried_with_further_keys(
    sealed: Backup,
    away: LocalStore,
    source: SqliteSource,
    keys: Keys,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That it is damaged is said after the first look at it, in the words of the cipher, and not by the last of the keys."""
    asked: list[AgeCipher] = []

    def damaged(self: AgeCipher, *_: object, **__: object) -> str:
        asked.append(self)
        raise CipherError("it is cut", code="cipher.damaged", hint="")

    monkeypatch.setattr(AgeCipher, "unseal", damaged)
    evidence = drill(replace(sealed, openers=(keys.opening, keys.opening)), source, scratch)
    assert (evidence.verdict, codes(evidence)) == (Verdict.FAILED, {"cipher.damaged"})
    assert len(asked) == 2, "what tells of the content, and the payload: once each"


def reseal(store: LocalStore, name: str, change: object) -> None:
    """Rewrite the manifest by `change(document)`, seal it again, and let the checksum file agree."""
    path = store.path_of(manifest_key(name))
    document = json.loads(path.read_bytes())
    change(document)  # type: ignore[operator] # a function of the test
    document["seal"] = document_seal(document)
    path.write_text(json.dumps(document))
    files = [FileEntry(item["path"], item["size"], item["sha256"]) for item in document["files"]]
    store.path_of(checksum_key(name)).write_text(checksum_text(files))


def test_damage_is_failed_whatever_the_digests_say(
    sealed: Backup, away: LocalStore, source: SqliteSource, keys: Keys, scratch: Path
) -> None:
    """A changed byte is found by the digest, and where somebody adjusted the digests, by the cipher itself."""
    path = away.path_of(sealed.name)
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    evidence = drill(with_key(sealed, keys), source, scratch)
    assert (evidence.verdict, codes(evidence)) == (Verdict.FAILED, {"backup.checksum_mismatch"})
    digest = hashlib.sha256(content).hexdigest()
    reseal(away, sealed.name, lambda document: document["files"][0].update(sha256=digest))
    again = with_key(find_backup(away, sealed.name), keys)
    evidence = drill(again, source, scratch)
    assert evidence.verdict is not Verdict.PASSED
    assert codes(evidence) & {"cipher.damaged", "cipher.wrong_key"}
    assert list(scratch.iterdir()) == []


def test_another_backup_in_its_place(
    sealed: Backup,
    source: SqliteSource,
    store: LocalStore,
    away: LocalStore,
    keys: Keys,
    scratch: Path,
    database: Path,
) -> None:
    """A whole sealed file of another backup, with the digests of what is stored adjusted, is not what was sealed."""
    execute(database, "DELETE FROM notes")
    other = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    copy_backup(other, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    content = away.path_of(f"{other.name}.age").read_bytes()
    away.path_of(sealed.name).write_bytes(content)
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    reseal(away, sealed.name, lambda document: document["files"][0].update(facts))
    evidence = drill(with_key(find_backup(away, sealed.name), keys), source, scratch)
    assert evidence.verdict is Verdict.FAILED
    assert codes(evidence) == {"cipher.damaged"}


def test_restored_from_the_sealed_copy(
    sealed: Backup, source: SqliteSource, store: LocalStore, keys: Keys, scratch: Path, tmp_path: Path
) -> None:
    """A restore opens it into a new file; without the key nothing is made."""
    target = tmp_path / "restored.db"
    request = RestoreRequest(
        scratch=scratch, safety=Repository(store=store), sources=[source], to=str(target)
    )
    with pytest.raises(ToolError):
        restore_backup(sealed, source, request, Job())
    assert not target.exists()
    restore_backup(with_key(sealed, keys), source, request, Job())
    assert ask(target, f"SELECT count(*) FROM notes WHERE body = '{CANARY}'") == 1


def test_folders_are_sealed_file_by_file(keys: Keys, scratch: Path, tmp_path: Path) -> None:
    """Each file of a folder is sealed under its own name and comes back as it was."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW, files=3, content=CANARY.encode() * 1000)
    copy_backup(
        backup, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job(clock=lambda: NOW)
    )
    sealed = find_backup(away, f"{backup.name}.age")
    assert [entry.path for entry in sealed.manifest.files] == [f"{backup.name}.age/{n}.age" for n in range(3)]
    assert sealed.plain == backup.manifest
    payload, findings = fetch_payload(with_key(sealed, keys), tmp_path / "opened", silent)
    assert {item.severity for item in findings} == {Severity.OK}
    assert sorted(path.read_bytes() for path in payload.iterdir()) == [CANARY.encode() * 1000] * 3
    assert [path.name for path in (tmp_path / "opened" / sealed.name).iterdir()] == []


class FailingStore(MemoryStore):
    """A store that takes so many files and no more."""

    room = 1_000_000

    def put(self, key: str, file: Path) -> None:
        """Take it while there is room."""
        if self.room == 0:
            raise StoreError("the server is away", code="store.unwritable")
        self.room -= 1
        super().put(key, file)


@pytest.mark.parametrize("room", range(6))
def test_cut_off_anywhere_and_finished_later(keys: Keys, scratch: Path, room: int) -> None:
    """A sealed copy that was cut off is no backup there, and the next run makes it whole; one copy, not two."""
    home, away = MemoryStore("home"), FailingStore("away")
    ensure_identity(away)
    backup = looked_at(stored_backup(home, NOW, files=2))
    tier, job = Repository(store=away, encryption=keys.sealing, scratch=scratch), Job(clock=lambda: NOW)
    away.room = room
    copy_missing(WHOSE, Repository(store=home), [tier], job)
    assert len(read_catalogue(away).backups) == (room >= 5)
    away.room = 1_000_000
    copy_missing(WHOSE, Repository(store=home), [tier], job)
    assert copy_missing(WHOSE, Repository(store=home), [tier], job) == []
    (sealed,) = read_catalogue(away).backups
    assert sealed.name == f"{backup.name}.age"
    payload, findings = fetch_payload(with_key(sealed, keys), scratch / "opened", silent)
    assert {item.severity for item in findings} == {Severity.OK}
    assert payload.is_dir()


def test_retention_knows_what_the_plain_one_was(keys: Keys, scratch: Path) -> None:
    """A sealed copy of a verified backup counts as good, one of an unverified as unverified, pins hold; it is pruned."""
    home, away = MemoryStore("home"), MemoryStore("away")
    job = Job(clock=lambda: NOW)
    names = []
    for days in range(4, 0, -1):
        backup = looked_at(stored_backup(home, NOW - timedelta(days=days)))
        names.append(f"{backup.name}.age")
        if days == 4:
            keep_backup(backup, "why", None, job)
    tier = Repository(store=away, encryption=keys.sealing)
    copy_missing(WHOSE, Repository(store=home), [tier], job)
    looked_at(find_backup(away, "latest"), after=timedelta(hours=2))
    done = prune(Repository(store=away), PruneRequest(whose=WHOSE, policy=Policy(keep_last=1)), job)
    assert list(done.deleted) == names[1:3]
    assert find_backup(away, names[0]).held_by(NOW) == ("pinned until released: why",)
    stored_backup(home, NOW)
    copy_missing(WHOSE, Repository(store=home), [tier], job)
    assert (
        prune(Repository(store=away), PruneRequest(whose=WHOSE, policy=Policy(keep_last=1)), job).deleted
        == ()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda sealed: sealed.pop("files"),
        lambda sealed: sealed.update(files=[]),
        lambda sealed: sealed["files"][0].update(path="../../etc/passwd"),
        lambda sealed: sealed["files"][0].update(path="other.db"),
        lambda sealed: sealed.update(suffix=""),
        lambda sealed: sealed.update(suffix=".gpg"),
        lambda sealed: sealed["files"][0].update(size="many"),
        lambda sealed: sealed.update(files=7),
    ],
)
def test_a_manifest_that_contradicts_itself(keys: Keys, scratch: Path, change: object) -> None:
    """Nothing that a manifest says of its sealing leads out of the payload, or is believed against what is stored."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW)
    copy_backup(backup, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    document = json.loads(away.files[manifest_key(f"{backup.name}.age")])
    change(document["sealed"])  # type: ignore[operator] # one of the functions above
    document["seal"] = document_seal(document)
    manifest = manifest_files.from_json(json.dumps(document).encode(), "x")
    with pytest.raises(BackupError) as caught:
        plain_manifest(manifest)
    assert caught.value.code == "backup.manifest_invalid"
    away.files[manifest_key(f"{backup.name}.age")] = json.dumps(document).encode()
    catalogue = read_catalogue(away)
    assert (catalogue.backups, [item.code for item in catalogue.findings]) == (
        (),
        ["backup.manifest_invalid"],
    )


def test_a_sealed_one_stays_sealed_when_it_is_copied(sealed: Backup, keys: Keys, scratch: Path) -> None:
    """It can be brought anywhere without a key, byte for byte, also into a store that seals."""
    for cipher in (None, keys.sealing):
        to = MemoryStore("third")
        copy_backup(sealed, Repository(store=to, encryption=cipher, scratch=scratch), Job())
        with sealed.store.open(sealed.name) as file:
            assert to.files[sealed.name] == file.read()


def test_what_is_taken_is_not_replaced(keys: Keys, scratch: Path) -> None:
    """A whole sealed backup of that name that is another one's is a conflict, and stays."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW)
    copy_backup(backup, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    before = dict(away.files)
    other = replace(backup, manifest=replace(backup.manifest, job_id="another"))
    with pytest.raises(OpsError) as caught:
        copy_backup(other, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    assert caught.value.code == "store.conflict"
    assert away.files == before


def test_no_way_to_seal(tmp_path: Path, scratch: Path) -> None:
    """A cipher that cannot seal leaves nothing in the store: the copy is missing, with the reason."""
    home, away = MemoryStore("home"), MemoryStore("away")
    stored_backup(home, NOW)
    broken = AgeCipher("escrow", AgeOptions(recipients=("age1nonsense",)))
    (finding,) = copy_missing(
        WHOSE,
        Repository(store=home),
        [Repository(store=away, encryption=broken, scratch=scratch)],
        Job(clock=lambda: NOW),
    )
    assert (finding.code, finding.where) == ("copy.failed", "cipher.bad_recipient")
    assert list(away.list()) == []
    assert list(scratch.iterdir()) == []


def test_strangers_of_that_name(keys: Keys, scratch: Path) -> None:
    """Nothing outside of a backup's own names is touched by sealing."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW)
    put(away, f"{backup.name}.age.txt", b"mine")
    copy_backup(backup, Repository(store=away, encryption=keys.sealing, scratch=scratch), Job())
    assert away.files[f"{backup.name}.age.txt"] == b"mine"


def test_one_seals_at_a_time(keys: Keys, scratch: Path, store: LocalStore) -> None:
    """While another run seals copies of the source, nothing of it is touched: a warning, and the next run's work."""
    away = MemoryStore("away")
    stored_backup(store, NOW)
    tier, job = Repository(store=away, encryption=keys.sealing, scratch=scratch), Job(clock=lambda: NOW)
    with source_lock(store.lock_path("prices.copies"), job_id="other", now=NOW):
        (finding,) = copy_missing(WHOSE, Repository(store=store), [tier], job)
    assert (finding.code, finding.where, list(away.list())) == ("copy.failed", "lock.held", [])
    (finding,) = copy_missing(WHOSE, Repository(store=store), [tier], job)
    assert finding.code == "copy.made"


def test_what_is_said_later_reaches_encrypted_copies(keys: Keys, scratch: Path) -> None:
    """A pin, and that a backup is bad, follow to the copy; that it is good does not, which says nothing of those bytes."""
    home, away = MemoryStore("home"), MemoryStore("away")
    tier = Repository(store=away, encryption=keys.sealing, scratch=scratch)
    job = Job(clock=lambda: NOW)
    old = stored_backup(home, NOW - timedelta(days=2))
    new = stored_backup(home, NOW - timedelta(days=1))
    copy_missing(WHOSE, Repository(store=home), [tier], job)
    keep_backup(find_backup(home, old.name), "an audit", None, job)
    looked_at(new, Verdict.FAILED, action="drill")
    looked_at(old, action="drill")
    for _ in range(2):
        copy_missing(WHOSE, Repository(store=home), [tier], job)
    copies = {name: find_backup(away, f"{name}.age") for name in (old.name, new.name)}
    assert copies[old.name].held_by(NOW) == ("pinned until released: an audit",)
    assert (copies[new.name].good, copies[old.name].good, copies[old.name].proven) == (False, None, False)
    assert len(copies[new.name].evidence) == 1
    assert looked_at(copies[new.name], level="quick", after=timedelta(days=3)).good is False
