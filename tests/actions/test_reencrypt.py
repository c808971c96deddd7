"""Sealing backups anew: for the keys of today, without ever being without one that somebody can open."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.reencrypt import Reencrypted, ReencryptRequest, reencrypt
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.errors import ConfigError, LockHeldError, StoreError
from ops.fsio.locks import source_lock
from ops.model.findings import Finding, Severity
from ops.model.manifest import Payload
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.fetch import fetch_payload
from ops.repository.find import find_backup
from ops.repository.pins import keep_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import silent
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, stored_backup
from tests.keys import Keys

pytestmark = pytest.mark.long

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CONTENT = b"canary-in-a-coal-mine" * 100


class Inert(SqliteSource):
    """A source whose payloads are looked at by nobody but the actions."""

    def inspect(self, payload: Payload) -> list[Finding]:
        """Nothing to see."""
        return []


def source_of(_backup: Backup) -> Source:
    """The source of every backup here."""
    return Inert("prices", SqliteOptions(path=Path("/srv/data.db")))


@pytest.fixture
def old(tmp_path: Path) -> Keys:
    """The key of yesterday."""
    return Keys(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> Keys:
    """The key of today."""
    return Keys(tmp_path, "new")


def today(new: Keys, *, opens: bool = True) -> AgeCipher:
    """What the configuration says since the rotation."""
    identity = new.file if opens else None
    return AgeCipher("escrow", AgeOptions(recipients=(new.recipient,), identity_file=identity))


def sealed_in(store: Store, keys: Keys, scratch: Path, count: int = 2, files: int = 1) -> list[Backup]:
    """Backups of former days, sealed for `keys` alone; newest last."""
    home = MemoryStore("home")
    for days in range(count, 0, -1):
        moment = NOW - timedelta(days=days)
        backup = looked_at(stored_backup(home, moment, content=CONTENT, files=files))
        copy_backup(
            backup, Repository(store=store, encryption=keys.sealing, scratch=scratch), Job(clock=lambda: NOW)
        )
    return list(reversed(read_catalogue(store).backups))


def run(
    store: Store, cipher: Cipher, openers: Iterable[Cipher], scratch: Path, **other: object
) -> Reencrypted:
    """`store.reencrypt` on that store."""
    repository = Repository(store=store, encryption=cipher, decryptors=tuple(openers), scratch=scratch)
    request = ReencryptRequest(whose=WHOSE, source_of=source_of, **other)  # type: ignore[arg-type]
    clock = itertools.count()
    return reencrypt(repository, request, Job(clock=lambda: NOW + timedelta(seconds=next(clock))))


def opens(backup: Backup, keys: Keys, folder: Path) -> bool:
    """Whether that key alone brings the very content back."""
    found = replace(backup, openers=(keys.opening,))
    try:
        payload, findings = fetch_payload(found, folder, silent)
    except Exception:  # noqa: BLE001 - whatever it is, it does not open
        return False
    content = (
        payload.read_bytes() if payload.is_file() else b"".join(p.read_bytes() for p in payload.iterdir())
    )
    assert {item.severity for item in findings} == {Severity.OK}
    return content in {CONTENT, CONTENT * 3}


@pytest.mark.parametrize("files", [1, 3])
def test_the_old_key_opens_nothing_any_more(
    old: Keys, new: Keys, scratch: Path, tmp_path: Path, files: int
) -> None:
    """Afterwards each is there once, for the new key alone, as good as before, with its pins and history."""
    store = MemoryStore("away")
    before = sealed_in(store, old, scratch, files=files)
    keep_backup(before[0], "why", None, Job(clock=lambda: NOW))
    cipher = today(new)
    done = run(store, cipher, [cipher, old.opening], scratch)
    assert (len(done.renewed), done.current, done.findings) == (2, 0, ())
    after = list(reversed(read_catalogue(store).backups))
    assert [item.manifest.job_id for item in after] == [item.manifest.job_id for item in before]
    assert [item.name.endswith(".2.age") for item in after] == [True, True]
    for number, backup in enumerate(after):
        assert opens(backup, new, tmp_path / f"new-{number}")
        assert not opens(backup, old, tmp_path / f"old-{number}")
        assert (backup.good, backup.opened, backup.plain) == (True, True, before[number].plain)
    assert after[0].held_by(NOW) == ("pinned until released: why",)
    assert {item.job_id for item in before[0].evidence} <= {item.job_id for item in after[0].evidence}
    assert not [key for key in store.files if before[0].name in key and after[0].name not in key]
    assert read_catalogue(store).findings == ()
    assert list(scratch.iterdir()) == []


def test_what_is_right_is_left_alone(old: Keys, new: Keys, scratch: Path) -> None:
    """A second run has nothing to do and changes no byte; recipients in another order are the same."""
    store = MemoryStore("away")
    sealed_in(store, old, scratch)
    both = AgeCipher("e", AgeOptions(recipients=(old.recipient, new.recipient), identity_file=new.file))
    turned = AgeCipher("e", AgeOptions(recipients=(new.recipient, old.recipient), identity_file=new.file))
    run(store, both, [both, old.opening], scratch)
    before = dict(store.files)
    done = run(store, turned, [turned], scratch)
    assert (done.renewed, done.current, done.findings) == ((), 2, ())
    assert store.files == before


def test_a_dry_run_touches_nothing(old: Keys, new: Keys, scratch: Path) -> None:
    """It names what would be sealed anew, and needs no key for that."""
    store = MemoryStore("away")
    sealed_in(store, old, scratch)
    before = dict(store.files)
    done = run(store, today(new), [], scratch, dry_run=True)
    assert len(done.renewed) == 2
    assert store.files == before


def test_nothing_goes_until_the_new_one_was_opened(
    old: Keys, new: Keys, scratch: Path, tmp_path: Path
) -> None:
    """Where the new key is not, both stay, with a warning; the run that has it finishes, without sealing again."""
    store = MemoryStore("away")
    before = sealed_in(store, old, scratch)
    blind = today(new, opens=False)
    for _ in range(2):
        done = run(store, blind, [old.opening], scratch)
        assert {item.code for item in done.findings} == {"seal.unopened"}
        assert len(read_catalogue(store).backups) == 4
    assert all(opens(find_backup(store, item.name), old, tmp_path / f"{n}") for n, item in enumerate(before))
    made = {key: content for key, content in store.files.items() if key.endswith(".2.age")}
    done = run(store, today(new), [today(new)], scratch)
    assert (done.findings, len(read_catalogue(store).backups)) == ((), 2)
    assert {key: store.files[key] for key in made} == made


def test_no_key_for_the_old_ones(old: Keys, new: Keys, scratch: Path) -> None:
    """What cannot be opened here stays as it is, and is named."""
    store = MemoryStore("away")
    sealed_in(store, old, scratch)
    before = dict(store.files)
    done = run(store, today(new), [today(new)], scratch)
    assert {item.code for item in done.findings} == {"cipher.wrong_key"}
    assert done.renewed == ()
    assert store.files == before


def test_damage_is_not_sealed_anew(old: Keys, new: Keys, scratch: Path) -> None:
    """A damaged one stays and is named; the others are sealed anew."""
    store = MemoryStore("away")
    bad, _ = sealed_in(store, old, scratch)
    content = bytearray(store.files[bad.name])
    content[-20] ^= 1
    store.files[bad.name] = bytes(content)
    done = run(store, today(new), [today(new), old.opening], scratch)
    assert [(item.code, item.where) for item in done.findings] == [("backup.checksum_mismatch", bad.name)]
    assert len(done.renewed) == 1
    assert bad.name in store.files


class FailingStore(MemoryStore):
    """A store that takes and deletes so many files and no more."""

    room = 1_000_000

    def _spend(self) -> None:
        if self.room == 0:
            raise StoreError("the server is away", code="store.unwritable")
        self.room -= 1

    def put(self, key: str, file: Path) -> None:
        """Take it while there is room."""
        self._spend()
        super().put(key, file)

    def delete(self, key: str) -> None:
        """Delete it while there is room."""
        self._spend()
        super().delete(key)


@pytest.mark.parametrize("room", range(14))
def test_cut_off_anywhere(old: Keys, new: Keys, scratch: Path, tmp_path: Path, room: int) -> None:
    """Wherever it is cut off, one of the two keys opens a whole backup, and the next run finishes."""
    store = FailingStore("away")
    sealed_in(store, old, scratch, count=1)
    cipher = today(new)
    store.room = room
    run(store, cipher, [cipher, old.opening], scratch)
    found = read_catalogue(store).backups
    assert any(
        opens(item, key, tmp_path / f"{n}-{key.file.stem}")
        for n, item in enumerate(found)
        for key in (old, new)
    )
    store.room = 1_000_000
    done = run(store, cipher, [cipher, old.opening], scratch)
    assert [item for item in done.findings if item.severity is Severity.CRITICAL] == []
    (backup,) = read_catalogue(store).backups
    assert opens(backup, new, tmp_path / "at-last")
    assert read_catalogue(store).findings == ()


def test_a_plain_one_is_sealed(new: Keys, scratch: Path, tmp_path: Path) -> None:
    """Backups from before the store sealed are sealed by it, and the plain ones are gone."""
    store = LocalStore("home", LocalOptions(path=tmp_path / "home"))
    looked_at(stored_backup(store, NOW - timedelta(days=1), content=CONTENT))
    cipher = today(new)
    done = run(store, cipher, [cipher], scratch)
    assert (len(done.renewed), done.findings) == (1, ())
    assert all(CONTENT not in path.read_bytes() for path in store.options.path.iterdir() if path.is_file())
    (backup,) = read_catalogue(store).backups
    assert (backup.good, opens(backup, new, tmp_path / "opened")) == (True, True)


def test_copies_follow_their_home(old: Keys, new: Keys, scratch: Path) -> None:
    """A store whose copies come from a sealing one gets what was sealed there, the same bytes."""
    home, far = MemoryStore("first"), MemoryStore("far")
    for backup in sealed_in(home, old, scratch):
        copy_backup(backup, Repository(store=far, scratch=scratch), Job(clock=lambda: NOW))
    cipher = today(new)
    run(home, cipher, [cipher, old.opening], scratch)
    done = run(far, cipher, [cipher], scratch, elsewhere=Repository(store=home))
    assert (len(done.renewed), done.findings) == (2, ())
    names = {item.name for item in read_catalogue(home).backups}
    assert {item.name for item in read_catalogue(far).backups} == names
    assert all(far.files[name] == home.files[name] for name in names)


def test_a_passphrase_is_tried(tmp_path: Path, scratch: Path) -> None:
    """Of a passphrase nothing is written down: what today's opens is right, all else is sealed anew."""
    ciphers = []
    for word in ("yesterday", "today"):
        file = tmp_path / word
        file.touch(0o600)
        file.write_text(word)
        ciphers.append(OpensslCipher(word, OpensslOptions(passphrase_file=file, iterations=10_000)))
    home, store = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW - timedelta(days=1), content=CONTENT)
    copy_backup(
        backup, Repository(store=store, encryption=ciphers[0], scratch=scratch), Job(clock=lambda: NOW)
    )
    assert run(store, ciphers[0], ciphers, scratch).current == 1
    done = run(store, ciphers[1], ciphers, scratch)
    assert (len(done.renewed), done.findings) == (1, ())
    assert run(store, ciphers[1], ciphers[1:], scratch).current == 1


def test_addresses_are_no_keys(scratch: Path) -> None:
    """A cipher that names keys by address is refused: any key of the keyring would count as the one of today."""
    with pytest.raises(ConfigError) as caught:
        run(
            MemoryStore("away"), GpgCipher("office", GpgOptions(recipients=("ops@example.org",))), [], scratch
        )
    assert "fingerprint" in (caught.value.hint or "")


def test_one_run_at_a_time(old: Keys, new: Keys, scratch: Path, tmp_path: Path) -> None:
    """While another run works on the source nothing is touched."""
    store = LocalStore("home", LocalOptions(path=tmp_path / "home"))
    sealed_in(store, old, scratch)
    with (
        source_lock(store.lock_path("prices"), job_id="other", now=NOW, wait_s=0),
        pytest.raises(LockHeldError),
    ):
        run(store, today(new), [today(new), old.opening], scratch)
    assert len(read_catalogue(store).backups) == 2
