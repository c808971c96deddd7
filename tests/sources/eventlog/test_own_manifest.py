"""The manifest that the log's own program reads: beside the archive, byte for byte what is in it, wherever a copy goes."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import PruneRequest, prune
from ops.actions.reencrypt import ReencryptRequest, reencrypt
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.config.reading import store_at
from ops.errors import OpsError, RefusedError, StoreError
from ops.formats.names import checksum_key, manifest_key, own_manifest_key, payload_name, payload_of_record
from ops.formats.own_manifest import own_manifest
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.listing import list_backups
from ops.repository.newest import newest_of
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.repository.transfer import content_of
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import whose
from tests.keys import Keys
from tests.sources.eventlog.writing import made_events, written_log

KEYS = ("version", "created_at", "source_dir", "files", "eventlog_summary", "chain_valid_at_backup")
STAMPS = "[0-9]" * 8 + "-" + "[0-9]" * 6


class Case:
    """A log of 35 events, and a store for its backups."""

    def __init__(self, folder: Path, scratch: Path, name: str = "data") -> None:
        self.data, self.scratch = folder / name, scratch
        self.log = EventLogSource("log", EventLogOptions(path=self.data))
        self.store = LocalStore("local", LocalOptions(path=folder / "backups"))
        self.place = folder / "backups"
        written_log(self.data, made_events(35), 10)

    def take(self, to: Repository | None = None, name: str = "") -> Backup:
        """A backup, looked at."""
        home = to or Repository(store=self.store)
        request = BackupRequest(name=name or None)
        return make(self.log, home, request, VerifyRequest(Level.QUICK, self.scratch), Job()).taken.backup

    def look(self, backup: Backup, level: Level = Level.QUICK) -> tuple[Verdict, set[str]]:
        """What a verify says, and what is wrong."""
        found = verify_backup(backup, self.log, VerifyRequest(level, self.scratch, keep=False), Job())
        return found.verdict, {item.code for item in found.findings if item.severity is not Severity.OK}


@pytest.fixture
def case(tmp_path: Path, scratch: Path) -> Case:
    """One without a backup."""
    return Case(tmp_path, scratch)


def inside(archive: bytes, folder: Path) -> bytes:
    """The member `manifest.json`, as Python's own tarfile reads it."""
    (folder / "archive.tar.gz").write_bytes(archive)
    with tarfile.open(folder / "archive.tar.gz") as opened:
        member = opened.extractfile("manifest.json")
        assert member is not None
        return member.read()


def beside(store: Store, backup: Backup) -> bytes:
    """What lies beside the payload for the log's own program."""
    key = own_manifest_key(backup.name)
    assert key is not None
    return content_of(store, key)


def test_a_backup_lies_as_the_program_names_it(case: Case, tmp_path: Path) -> None:
    """Four files; the second one is the archive's own manifest with its six keys, and every member is as it says."""
    backup = case.take()
    stem = backup.name.removesuffix(".tar.gz")
    assert Path(stem).match(f"backup-eventlog-{STAMPS}")
    files = {path.name for path in case.place.iterdir() if not path.name.startswith(".")}
    assert files - {name for name in files if ".verify-" in name} == {
        backup.name,
        f"{stem}.manifest.json",
        f"{backup.name}.checksum",
        f"{backup.name}.manifest.json",
    }
    content = beside(case.store, backup)
    assert content == inside(content_of(case.store, backup.name), tmp_path)
    document = json.loads(content)
    assert tuple(document) == KEYS
    with tarfile.open(case.place / backup.name) as archive:
        names = {member.name for member in archive if member.isfile()} - {"manifest.json"}
    assert {item["path"] for item in document["files"]} == names
    assert case.look(backup, Level.FULL) == (Verdict.PASSED, set())


@pytest.mark.parametrize("name", ['a"quote\\', os.fsdecode(b"not-utf-8-\xff"), "line\nend", "ação"])
def test_folders_with_odd_names(tmp_path: Path, scratch: Path, name: str) -> None:
    """Made again from our manifest, it is the same byte for byte."""
    case = Case(tmp_path, scratch, name)
    backup = find_backup(case.store, case.take().name)
    away = MemoryStore("away")
    copy_backup(backup, Repository(store=away, scratch=scratch), Job())
    assert beside(away, backup) == inside(content_of(case.store, backup.name), tmp_path)


def test_an_incremental_backup(case: Case, tmp_path: Path) -> None:
    """It says what it needs, in the archive and beside it."""
    case.log = EventLogSource("log", replace(case.log.options, incremental=True))
    case.take()
    backup = case.take()
    content = beside(case.store, backup)
    assert content == inside(content_of(case.store, backup.name), tmp_path)
    assert tuple(json.loads(content)) == (*KEYS, "needs")
    assert case.look(backup, Level.FULL) == (Verdict.PASSED, set())


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (Path.unlink, "backup.own_manifest_missing"),
        (lambda path: path.write_bytes(b"{}"), "backup.own_manifest_mismatch"),
    ],
)
def test_gone_or_another(case: Case, harm: object, code: str, tmp_path: Path) -> None:
    """A verify and a drill fail and say so; a restore goes by our manifest and gives the log back."""
    backup = case.take()
    key = own_manifest_key(backup.name)
    assert key is not None
    harm(case.place / key)  # type: ignore[operator]
    for level in Level:
        assert case.look(backup, level) == (Verdict.FAILED, {code})
    target = tmp_path / "restored"
    request = RestoreRequest(
        scratch=case.scratch,
        safety=Repository(store=case.store),
        sources=[case.log],
        to=str(target),
        yes=True,
    )
    found = restore_backup(backup, case.log, request, Job()).findings
    assert {(item.severity, item.code) for item in found if item.severity is not Severity.OK} == {
        (Severity.WARNING, code)
    }
    for path in (case.data / "event-log").iterdir():
        assert (target / "event-log" / path.name).read_bytes() == path.read_bytes()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (Path.unlink, "backup.checksum_file_missing"),
        (lambda path: path.write_bytes(b"\xff"), "backup.checksum_file_invalid"),
        (lambda path: path.write_text(f"{'0' * 64}  x\n"), "backup.checksum_file_mismatch"),
        (_folder, "store.unreadable"),
    ],
)
@pytest.mark.parametrize("which", [checksum_key, own_manifest_key])
def test_nothing_beside_it_stops_a_restore(
    case: Case, tmp_path: Path, harm: object, code: str, which: object
) -> None:
    """A payload whose digest stands in the manifest is not refused for a file that lies beside it, whatever that is."""
    backup = case.take()
    harm(case.place / which(backup.name))  # type: ignore[operator]
    request = RestoreRequest(
        scratch=case.scratch,
        safety=Repository(store=case.store),
        sources=[case.log],
        to=str(tmp_path / "restored"),
        yes=True,
    )
    found = restore_backup(backup, case.log, request, Job()).findings
    wrong = {(str(item.severity), item.code) for item in found if item.severity is not Severity.OK}
    if which is own_manifest_key and code != "store.unreadable":
        code = f"backup.own_manifest_{'missing' if code.endswith('missing') else 'mismatch'}"
    assert wrong == {("warning", code)}


def test_what_lies_beside_a_needed_one(case: Case, keys: Keys) -> None:
    """A backup that needs another one warns of what is wrong beside that, plain and encrypted, and is whole."""
    case.log = EventLogSource("log", replace(case.log.options, incremental=True))
    first, second = case.take(), case.take()
    sealed = LocalStore("sealed", LocalOptions(path=case.place.with_name("sealed")))
    copy_backup(second, Repository(store=sealed, encryption=keys.sealing, scratch=case.scratch), Job())
    for store in (case.store, sealed):
        copy = find_backup(store, second.name)
        needed = find_backup(store, first.name)
        store.path_of(checksum_key(needed.name)).unlink()
        verdict, wrong = case.look(replace(copy, openers=(keys.opening,)), Level.FULL)
        assert (verdict, wrong) == (Verdict.PASSED, {"backup.checksum_file_missing"})


def test_in_an_encrypted_store(case: Case, keys: Keys, tmp_path: Path) -> None:
    """It is encrypted too; nothing of it is plain, and opened it is what is in the archive."""
    home = Repository(store=case.store, encryption=keys.sealing, scratch=case.scratch, plain_store=store_at)
    backup = replace(find_backup(case.store, case.take(home).name), openers=(keys.opening,))
    assert own_manifest_key(backup.name) == backup.name.replace(".tar.gz.age", ".manifest.json.age")
    assert b"source_dir" not in b"".join(
        path.read_bytes() for path in case.place.rglob("*") if path.is_file()
    )
    identity = pyrage.x25519.Identity.from_str(keys.file.read_text().strip())
    plain = pyrage.decrypt(content_of(case.store, backup.name), [identity])
    assert pyrage.decrypt(beside(case.store, backup), [identity]) == inside(plain, tmp_path)
    for level in Level:
        assert case.look(backup, level) == (Verdict.PASSED, set())


def test_another_encrypted_one(case: Case, keys: Keys, tmp_path: Path) -> None:
    """A verify and a drill say that it is another, damaged or gone, with a key and without."""
    home = Repository(store=case.store, encryption=keys.sealing, scratch=case.scratch, plain_store=store_at)
    backup = find_backup(case.store, case.take(home).name)
    key = own_manifest_key(backup.name)
    assert key is not None
    (tmp_path / "other").write_bytes(b"{}")
    keys.sealing.seal(tmp_path / "other", tmp_path / "other.age")
    with_key, failed = (
        replace(backup, openers=(keys.opening,)),
        (Verdict.FAILED, {"backup.own_manifest_mismatch"}),
    )
    whole = (case.place / key).read_bytes()
    for content in (whole[:-1], b"", (tmp_path / "other.age").read_bytes()):
        (case.place / key).write_bytes(content)
        assert case.look(with_key) == case.look(backup) == failed
        assert (
            run_drill(with_key, case.log, DrillRequest(scratch=case.scratch), Job()).verdict is Verdict.FAILED
        )
    (case.place / key).unlink()
    assert case.look(backup) == (Verdict.FAILED, {"backup.own_manifest_missing"})


def test_copies(case: Case, keys: Keys, tmp_path: Path) -> None:
    """A plain copy has it as it is, also where the first store has lost it; an encrypted one encrypted; sealed anew, too."""
    backup = case.take()
    content, key = beside(case.store, backup), own_manifest_key(backup.name)
    assert key is not None
    (case.place / key).unlink()
    plain, sealed = MemoryStore("plain"), MemoryStore("sealed")
    copy_backup(backup, Repository(store=plain, scratch=case.scratch), Job())
    assert plain.files[key] == content
    to = Repository(store=sealed, encryption=keys.sealing, scratch=case.scratch)
    copy_backup(backup, to, Job())
    new = Keys(tmp_path, "new")
    cipher = AgeCipher("escrow", AgeOptions(recipients=(new.recipient,), identity_file=new.file))
    request = ReencryptRequest(whose=whose(case.log), source_of=lambda _: case.log)
    again = replace(to, encryption=cipher, decryptors=(keys.opening, cipher))
    ((_, name),) = reencrypt(again, request, Job()).renewed
    identity = pyrage.x25519.Identity.from_str(new.file.read_text().strip())
    renewed = f"{key}.2.age"
    assert pyrage.decrypt(sealed.files[renewed], [identity]) == content
    assert {name for name in sealed.files if name.startswith(key)} == {renewed}
    copy = replace(find_backup(sealed, name), openers=(cipher,))
    assert case.look(copy) == (Verdict.PASSED, set())


class Full(MemoryStore):
    """A store that takes so many files and no more."""

    room = 0

    def put(self, key: str, file: Path) -> None:
        """Take it while there is room."""
        if not self.room:
            raise StoreError("the server is away", code="store.unwritable")
        self.room -= 1
        super().put(key, file)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_copy_that_is_cut_off_anywhere(case: Case, keys: Keys, *, encrypted: bool) -> None:
    """It is no backup there, and the next run makes it whole, with all that lies beside it."""
    backup = case.take()
    for room in range(1, 20):
        away = Full("away")
        to = Repository(store=away, scratch=case.scratch, encryption=keys.sealing if encrypted else None)
        away.room = room
        try:
            copy_backup(backup, to, Job())
        except StoreError:
            assert read_catalogue(away).backups == ()
            away.room = 100
            copy_backup(backup, to, Job())
        (copy,) = read_catalogue(away).backups
        assert case.look(replace(copy, openers=(keys.opening,))) == (Verdict.PASSED, set())
        assert beside(away, copy)
        if away.room and away.room < 20:
            break
    assert room > 5


def test_the_form_that_was_released() -> None:
    """Later versions make the same bytes of the same log: what is recorded of them is compared for ever."""
    document = {
        "source_dir": "/srv/app/d\u00e1dos",
        "members": [{"path": "event-log/segment-000001.json", "size": 2, "sha256": "0" * 64}],
        "eventlog_summary": {
            "total_events": 0,
            "total_segments": 1,
            "first_event_id": None,
            "last_event_id": None,
            "last_current_hash": None,
            "snapshot_exists": False,
        },
        "chain_valid_at_backup": True,
    }
    content = own_manifest(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC), document)
    assert (
        hashlib.sha256(content).hexdigest()
        == "c5ae579debac0fe3210f94375859065c44aba2bd0db2a8898dc3c0b3aff8899c"
    )


def test_listings_and_prune(case: Case, tmp_path: Path) -> None:
    """No list takes it for a backup, and it goes with the one that it belongs to."""
    case.take()
    kept = case.take()
    for _ in range(2):
        listing = list_backups(case.store, tmp_path / "cache")
        assert (len(listing.rows.as_list()), listing.findings) == (2, ())
        newest = newest_of(case.store, None, tmp_path / "cache")
        assert (len(list(newest.backups)), newest.findings) == (2, ())
    prune(
        Repository(store=case.store),
        PruneRequest(whose=whose(case.log), policy=Policy(keep_last=1)),
        Job(),
    )
    assert read_catalogue(case.store).findings == ()
    left = {payload_of_record(file.key) or file.key for file in case.store.list()}
    assert {name.removesuffix(".checksum").removesuffix(".manifest.json") for name in left} == {kept.name}


def test_the_programs_own_backup_in_the_same_folder(case: Case) -> None:
    """Its name is not taken, its manifest is not read for ours, and its archive is called what it is: none of ours."""
    first = case.take()
    key = own_manifest_key(first.name)
    assert key is not None
    for name in (first.name, checksum_key(first.name), manifest_key(first.name)):
        (case.place / name).unlink()
    with pytest.raises(RefusedError) as caught:
        case.take(name=first.name)
    assert (caught.value.code, key in caught.value.message) == ("refused.name_taken", True)
    (case.place / first.name).write_bytes(b"of the program")
    listing = list_backups(case.store, None)
    assert [(item.code, item.where) for item in listing.findings] == [("backup.incomplete", first.name)]
    assert listing.rows.as_list() == []


def test_names_that_somebody_chose(case: Case) -> None:
    """A name of another form has none beside it, and is whole without; one whose manifest would be it is refused."""
    backup = case.take(name="journal.tar.gz")
    assert own_manifest_key(backup.name) is None
    assert case.look(backup, Level.FULL) == (Verdict.PASSED, set())
    plain = case.take(name="backup-eventlog-20260101-000001.tar.gz.age")
    assert not (case.place / "backup-eventlog-20260101-000001.manifest.json.age").exists()
    assert case.look(plain, Level.FULL) == (Verdict.PASSED, set())
    chosen = case.take(name="backup-eventlog-20260101-000000.tar.gz")
    assert beside(case.store, chosen)
    with pytest.raises(RefusedError) as caught:
        case.take(name="backup-eventlog-20260101-000000")
    assert caught.value.code == "refused.unsafe_name"


def test_a_failed_write_leaves_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be stored, nothing is published, and nothing is left."""
    put = LocalStore.put

    def refuse(store: LocalStore, key: str, staged: Path) -> None:
        if payload_of_record(key):
            raise StoreError("no more room", code="store.full")
        put(store, key, staged)

    monkeypatch.setattr(LocalStore, "put", refuse)
    with pytest.raises(OpsError, match="no more room"):
        case.take()
    assert list(case.store.list()) == []


@pytest.mark.parametrize(
    ("key", "payload"),
    [
        ("backup-eventlog-20260101-000000.manifest.json", "backup-eventlog-20260101-000000.tar.gz"),
        ("backup-eventlog-20260101-000000.manifest.json.age", "backup-eventlog-20260101-000000.tar.gz.age"),
        (
            "backup-eventlog-20260101-000000.manifest.json.2.gpg",
            "backup-eventlog-20260101-000000.tar.gz.2.gpg",
        ),
        ("backup-eventlog-20260101-000000.manifest.json.checksum", None),
        ("backup-eventlog-20260101-000000.tar.gz.manifest.json", None),
        ("backup-eventlog-20260101T000000Z.manifest.json", None),
        ("my-backup-eventlog-20260101-000000.manifest.json", None),
        ("folder/backup-eventlog-20260101-000000.manifest.json", None),
    ],
)
def test_both_names_lead_to_each_other(key: str, payload: str | None) -> None:
    """What lies beside which payload follows from the names alone."""
    assert payload_of_record(key) == payload
    if payload is not None:
        assert own_manifest_key(payload) == key


def test_the_time_in_a_name() -> None:
    """It is that of UTC, as the program writes it; of all else as before."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert payload_name("backup-eventlog", moment, ".tar.gz") == "backup-eventlog-20260102-030405.tar.gz"
    assert payload_name("backup", moment, ".db") == "backup-20260102T030405Z.db"
