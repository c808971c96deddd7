"""What a listing tells is what the files say now, whatever was remembered of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.formats.manifest import to_json
from ops.formats.names import MANIFEST_SUFFIX, SAFETY_TAG, checksum_key, manifest_key
from ops.fsio import file_stamps as stamps
from ops.fsio.remove import remove_tree
from ops.model.findings import Finding, Severity
from ops.model.manifest import SEQUENCE_KEY
from ops.ports.stamps import Stamps
from ops.ports.store import OWN_PREFIX, Store
from ops.repository import listing_cache as remembered
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.freshness import known_backups
from ops.repository.integrity import check_sizes
from ops.repository.listing import Listing, list_backups
from ops.repository.listing_cache import Memory
from ops.repository.listing_row import Listed, listed
from ops.repository.own import of_source
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local import store as local
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.conftest import execute, run_drillbook
from tests.histories import WHOSE, looked_at, put, stored_backup, whose
from tests.listings import day, put_all_kinds


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where listings are remembered."""
    return tmp_path / "cache" / "drillbook"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled as soon as they are written."""
    monkeypatch.setattr(stamps, "_SETTLED_AFTER_NS", -(10**12))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of all files of backups that are opened in a local store from now on."""
    keys: list[str] = []
    really = LocalStore.open

    def counting(store: LocalStore, key: str) -> BinaryIO:
        if not key.startswith(OWN_PREFIX):
            keys.append(key)
        return really(store, key)

    monkeypatch.setattr(LocalStore, "open", counting)
    return keys


def told(listing: Listing) -> tuple[list[Listed], tuple[Finding, ...]]:
    """All that a listing says."""
    return list(listing.rows.as_list()), listing.findings


def read_anew(store: Store) -> tuple[list[Listed], tuple[Finding, ...]]:
    """What the files say, without any of the ways of a listing."""
    catalogue = read_catalogue(store)
    rows, amiss = [], []
    for backup in catalogue.backups:
        wrong = check_sizes(backup) if len(backup.manifest.files) == 1 else []
        amiss += wrong
        row = listed(backup)
        rows.append(row._replace(verified="not whole", drilled="not whole") if wrong else row)
    return rows, tuple(dict.fromkeys((*catalogue.findings, *amiss)))


def agree(store: LocalStore, cache: Path) -> None:
    """Fail when a listing with the cache says anything else than the files."""
    assert told(list_backups(store, cache)) == read_anew(store)


def test_the_same_with_and_without(store: LocalStore, cache: Path, at_once: None) -> None:
    """Of everything that can lie in a store the first, second and third listing, and one without a cache, say the same."""
    put_all_kinds(store)
    (store.options.path / "folder.db.manifest.json").mkdir()
    (store.options.path / "link.db.manifest.json").symlink_to("README")
    expected = read_anew(store)
    assert len(expected[0]) > 15
    assert len(expected[1]) == 10
    for folder in (cache, cache, None, cache):
        assert told(list_backups(store, folder)) == expected


def test_a_store_without_stamps() -> None:
    """A store that cannot tell what changed is read as before."""
    store = MemoryStore()
    put_all_kinds(store)
    assert told(list_backups(store, None)) == read_anew(store)


def test_nothing_is_read_twice(store: LocalStore, cache: Path, at_once: None, opened: list[str]) -> None:
    """What did not change is not opened again; of a backup with something new, only its own files are."""
    backups = [looked_at(stored_backup(store, day(number))) for number in range(5)]
    list_backups(store, cache)
    assert len(opened) == 10
    opened.clear()
    list_backups(store, cache)
    assert opened == []
    looked_at(backups[3], action="drill")
    new = stored_backup(store, day(9)).name
    list_backups(store, cache)
    assert {key.split(".db")[0] for key in opened} == {backups[3].name[:-3], new[:-3]}
    opened.clear()
    list_backups(store, cache)
    assert opened == []


def test_altered_in_place(store: LocalStore, cache: Path, at_once: None) -> None:
    """A manifest and evidence with another content, the same size and the time put back are seen: their change time tells."""
    backup = looked_at(stored_backup(store, day(0)))
    agree(store, cache)
    (evidence,) = (path for path in store.options.path.glob("*.verify-*"))
    for path, old, new in (
        (store.path_of(manifest_key(backup.name)), b'"scope": "full"', b'"scope": "fulL"'),
        (evidence, b'"verdict": "passed"', b'"verdict": "passeD"'),
    ):
        before, content = path.stat(), path.read_bytes()
        assert old in content
        time.sleep(0.05)
        with path.open("r+b") as file:
            file.write(content.replace(old, new))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        agree(store, cache)
        assert len(list_backups(store, cache).findings) == 1
        path.write_bytes(content)
        agree(store, cache)


def test_young_files_are_not_remembered(store: LocalStore, cache: Path, opened: list[str]) -> None:
    """What was written a moment ago is read again next time: it could change once more within one tick of the clock."""
    stored_backup(store, day(0))
    for _ in range(2):
        list_backups(store, cache)
    assert len(opened) == 2
    time.sleep(2.1)
    for _ in range(2):
        list_backups(store, cache)
    assert len(opened) == 3


def test_deleted_and_added(store: LocalStore, cache: Path, at_once: None) -> None:
    """What is gone is not told and not remembered any more; what is new is."""
    backups = [looked_at(stored_backup(store, day(number))) for number in range(6)]
    agree(store, cache)
    size = sum(path.stat().st_size for path in cache.iterdir())
    for key in (manifest_key(backups[0].name), manifest_key(backups[1].name), checksum_key(backups[1].name)):
        store.delete(key)
    agree(store, cache)
    for path in store.options.path.glob(f"{backups[2].name}*"):
        path.unlink()
    agree(store, cache)
    known = Memory(cache, store.location).recall()
    assert not any(key.startswith(backups[2].name) for key in known.keys)
    assert len(known.rows.as_list()) == 3
    assert sum(path.stat().st_size for path in cache.iterdir()) < size
    stored_backup(store, day(9))
    agree(store, cache)
    for path in store.options.path.iterdir():
        path.unlink()
    agree(store, cache)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _random(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_numbers_beyond_64_bits(
    store: LocalStore, cache: Path, at_once: None, opened: list[str], tmp_path: Path
) -> None:
    """A manifest whose sequence does not fit among the numbers is read each time, and told as it is."""
    stored_backup(store, day(0))
    odd = stored_backup(MemoryStore(), day(1)).manifest
    put(store, odd.payload, b"content")
    put(store, checksum_key(odd.payload), b"")
    put(store, manifest_key(odd.payload), to_json(replace(odd, extra={SEQUENCE_KEY: 1 << 63})))
    for _ in range(2):
        agree(store, cache)
        opened.clear()
        assert list_backups(store, cache).rows.column("sequence")[0] == 1 << 63
        assert manifest_key(odd.payload) in opened


def test_many_different_texts(store: LocalStore, cache: Path, at_once: None) -> None:
    """Whether one source is in all rows, or another one in each of three hundred, the answer is that of the files."""
    for number in range(300):
        stored_backup(store, day(number), source=f"source-{number}", tags=(f"t{number}", "x"))
    agree(store, cache)
    agree(store, cache)


@pytest.mark.parametrize("damage", [_cut, _flip, _empty, _random, _folder])
def test_a_broken_cache(
    store: LocalStore, cache: Path, at_once: None, damage: Callable[[Path], None]
) -> None:
    """A cache that was damaged in any way is thrown away without a word, and the answer is that of the files."""
    put_all_kinds(store)
    agree(store, cache)
    (path,) = cache.iterdir()
    damage(path)
    agree(store, cache)
    agree(store, cache)


def test_of_another_program_or_store(
    store: LocalStore, cache: Path, at_once: None, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another version wrote, or what is of another store, is not believed."""
    stored_backup(store, day(0))
    with monkeypatch.context() as patched:
        patched.setattr(remembered, "_FORMAT", 99)
        list_backups(store, cache)
    (path,) = cache.iterdir()
    opened.clear()
    agree(store, cache)
    assert len(opened) == 2
    elsewhere = Memory(cache, "/somewhere/else")
    path.replace(cache / Path(str(elsewhere._path)).name)
    assert elsewhere.recall() is remembered.NOTHING


def test_cut_off(store: LocalStore, cache: Path, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first listing that is interrupted keeps what it had read, and the next one goes on from there."""
    for number in range(6):
        stored_backup(store, day(number))
    really, patience = LocalStore.open, iter(range(5))  # what the store says of itself, and four manifests

    def impatient(store: LocalStore, key: str) -> BinaryIO:
        if next(patience, None) is None:
            raise KeyboardInterrupt
        return really(store, key)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "open", impatient)
        with pytest.raises(KeyboardInterrupt):
            list_backups(store, cache)
    assert len(Memory(cache, store.location).recall().keys) == 4
    agree(store, cache)


def test_many_files(
    store: LocalStore, cache: Path, at_once: None, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at by several processes, files have the stamps that one process finds, and are read again as rightly."""
    monkeypatch.setattr(local, "_SHARE_LEAST", 4)
    put_all_kinds(store)
    agree(store, cache)
    time.sleep(0.05)
    new = stored_backup(store, day(99)).name
    agree(store, cache)
    monkeypatch.setattr(local, "_SHARE_LEAST", 10**6)
    opened.clear()
    list_backups(store, cache)
    assert manifest_key(new) not in opened


def test_what_is_half_deleted_is_told_each_time(store: LocalStore, cache: Path, at_once: None) -> None:
    """A note that something is being deleted is a finding as long as it lies there, also when nothing else does."""
    put(store, "gone.db.pruned.json", b"{}")
    for _ in range(3):
        agree(store, cache)
    assert [item.code for item in list_backups(store, cache).findings] == ["prune.unfinished"]
    stored_backup(store, day(0))
    for key in [file.key for file in store.list() if not file.key.endswith(".json")]:
        store.delete(key)
    for _ in range(3):
        agree(store, cache)


def test_a_payload_alone_is_told(store: LocalStore, cache: Path, at_once: None) -> None:
    """A file or folder with the name of a payload and nothing beside it is a finding; other things are none."""
    put(store, "notes.txt", b"to do")
    put(store, "backup-20260101.db", b"by hand")
    for _ in range(3):
        agree(store, cache)
        assert list_backups(store, cache).findings == ()
    stored_backup(store, day(0))
    put(store, "backup-20250101T000000Z.db", b"cut off")
    with store.stage("backup-20250101T000001Z", folder=True) as staged:
        (staged / "toc.dat").write_bytes(b"cut off")
        store.put("backup-20250101T000001Z", staged)
    for _ in range(3):
        agree(store, cache)
        found = list_backups(store, cache).findings
        assert [(item.code, item.where) for item in found] == [
            ("backup.incomplete", name) for name in ("backup-20250101T000000Z.db", "backup-20250101T000001Z")
        ]


def test_a_manifest_whose_payload_is_gone_is_told(store: LocalStore, cache: Path, at_once: None) -> None:
    """Of one file and of a folder, with the cache and without: a row of what is no backup any more is not all that is said."""
    for files, days in ((1, 0), (3, 1)):
        backup = stored_backup(store, day(days), files=files)
        assert list_backups(store, cache).findings == ()
        remove_tree(store.options.path / backup.name)
        for folder in (cache, None, cache):
            (finding,) = list_backups(store, folder).findings
            assert (finding.code, finding.where) == ("backup.payload_missing", backup.name)
            assert finding.severity is Severity.CRITICAL
        for path in store.options.path.glob(f"{backup.name}*"):
            path.unlink()


@dataclass(frozen=True, slots=True)
class Unchanging(LocalStore):
    """A store that says that nothing changed, as a disk does that loses bits, and a listing that is stale."""

    first: dict[str, Stamps] = field(default_factory=dict)

    def stamps(self, suffix: str, known: Callable[[], Sequence[str]]) -> Stamps:
        """What was there at the first look."""
        for each in {".json", MANIFEST_SUFFIX, suffix} - self.first.keys():
            found = LocalStore.stamps(self, each, known)
            numbers = found.numbers()
            self.first[each] = Stamps(found.keys, found.others, lambda numbers=numbers: numbers, found.sizes)  # type: ignore[misc]
        return self.first[suffix]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [("bytes", ["backup.manifest_invalid"]), ("manifest", ["backup.incomplete"]), ("all", [])],
)
def test_what_the_cache_could_not_see(
    source: SqliteSource, cache: Path, tmp_path: Path, damage: str, expected: list[str], at_once: None
) -> None:
    """A newest manifest that rotted, or went, behind the stamps: the next older one is found, and backups go on."""
    store = Unchanging("local", LocalOptions(path=tmp_path / "unchanging"))
    place = source.info.location
    older, newest = (stored_backup(store, day(days), location=place) for days in (1, 0))
    names = sorted((older.name, newest.name))
    list_backups(store, cache)
    path = store.options.path / manifest_key(names[1])
    path.chmod(0o600)
    if damage == "bytes":
        path.write_bytes(b"{}" + path.read_bytes()[2:])
    for gone in (
        store.options.path.glob(f"{names[1]}*") if damage == "all" else [path] * (damage == "manifest")
    ):
        gone.unlink()
    assert find_backup(store, "latest", cache=cache).name == names[0]
    mine, problems = known_backups(
        of_source(list_backups(store, cache), store, whose(source), day(30)).rows, store
    )
    assert mine[0].name == names[0]
    assert [item.code for item in problems] == expected
    taken = take_backup(source, Repository(store=store, cache=cache), BackupRequest(), Job())
    assert [item.code for item in taken.findings if item.severity is Severity.WARNING] == expected


def test_what_a_restore_made_is_not_among_the_rows_of_a_source(store: LocalStore, cache: Path) -> None:
    """A safety backup is younger than the newest backup, and says nothing of how old that is."""
    usual = stored_backup(store, day(0))
    stored_backup(store, day(1), tags=(SAFETY_TAG,))
    found = of_source(list_backups(store, cache), store, WHOSE, day(2))
    assert [row.name for row in found.rows] == [usual.name]


class TestTruth:
    """A listing calls nothing verified or proven that is not there as it was."""

    @pytest.mark.parametrize("remembered", [True, False])
    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda path: path.unlink(), "backup.payload_missing"),
            (lambda path: path.write_bytes(b""), "backup.size_mismatch"),
            (lambda path: path.write_bytes(b"longer than before"), "backup.size_mismatch"),
        ],
    )
    def test_a_payload_that_is_not_as_it_was(
        self,
        store: LocalStore,
        cache: Path,
        at_once: None,
        damage: Callable[[Path], object],
        code: str,
        remembered: bool,
    ) -> None:
        """Gone, empty or longer: also where nothing changed that is remembered."""
        backup = looked_at(looked_at(stored_backup(store, day(0))), action="drill")
        other = looked_at(stored_backup(store, day(1)), action="drill")
        if remembered:
            list_backups(store, cache)
        path = store.path_of(backup.name)
        path.chmod(0o600)
        damage(path)
        for _ in range(2):
            listing = list_backups(store, cache)
            rows = {row.name: row for row in listing.rows.as_list()}
            assert (rows[backup.name].verified, rows[backup.name].drilled) == ("not whole", "not whole")
            assert rows[other.name].drilled == "passed"
            assert [(item.code, item.where) for item in listing.findings] == [(code, backup.name)]

    def test_in_a_store_without_stamps(self) -> None:
        """The same in a store that is read whole."""
        store = MemoryStore()
        backup = looked_at(stored_backup(store, day(0)), action="drill")
        store.files[backup.name] = b""
        (row,) = list_backups(store, None).rows.as_list()
        assert row.drilled == "not whole"

    def test_a_folder_that_is_there(self, store: LocalStore, cache: Path, at_once: None) -> None:
        """Of a payload that is a folder a listing asks only whether it is there; show and doctor ask for each file."""
        backup = looked_at(stored_backup(store, day(0), files=3), action="drill")
        assert list_backups(store, cache).rows.as_list()[0].drilled == "passed"
        remove_tree(store.path_of(backup.name))
        listing = list_backups(store, cache)
        assert listing.rows.as_list()[0].drilled == "not whole"
        assert [item.code for item in listing.findings] == ["backup.payload_missing"]


def test_what_people_see(tmp_path: Path) -> None:
    """list, show, doctor, metrics and latest of a proven backup whose payload was emptied, and whose manifest was."""
    execute(tmp_path / "a.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    (tmp_path / "ops.toml").write_text(
        '[source.a]\nkind = "sqlite"\npath = "a.db"\nevery = "1d"\ndrill_every = "1d"\n'
    )
    for task in ("backup.create", "backup.drill"):
        assert run_drillbook(task, cwd=tmp_path).returncode == 0
    assert "yes, " in run_drillbook("backup.list", cwd=tmp_path).stdout
    (payload,) = (tmp_path / "backups").glob("*.db")
    payload.chmod(0o600)
    payload.write_bytes(b"")
    for arguments in (("backup.list",), ("backup.show", "latest"), ("doctor",), ("metrics",)):
        done = run_drillbook(*arguments, cwd=tmp_path)
        assert (done.returncode, "backup.size_mismatch" in done.stdout) == (2, True), done.stdout
        assert "db is proven" not in done.stdout
        assert "yes, " not in done.stdout
    (found,) = json.loads(run_drillbook("backup.list", "-f", "json", cwd=tmp_path).stdout)["results"]
    assert (found["proven"], found["whole"], found["verified"], found["drilled"]) == (
        False,
        False,
        None,
        None,
    )
    manifest = payload.with_name(f"{payload.name}.manifest.json")
    manifest.chmod(0o600)
    manifest.write_bytes(b"{}")
    for arguments in (
        ("backup.list",),
        ("backup.show", "latest"),
        ("backup.drill",),
        ("doctor",),
        ("metrics",),
    ):
        done = run_drillbook(*arguments, cwd=tmp_path)
        assert (done.returncode, "backup.manifest_invalid" in done.stdout) == (2, True), done.stdout
        assert "no backup yet" not in done.stdout
        assert "there is no backup of source" not in done.stdout
