"""Increments in an encrypted store: by what this machine remembers of the base, or by its key; a full one else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import PruneRequest, prune
from ops.actions.restore import plan_restore, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.config.reading import store_at
from ops.errors import ToolError
from ops.formats.dependencies import needs_of
from ops.host.state_dir import StateDir
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.ports.cipher import Cipher
from ops.report.text import restored_text
from ops.repository.backup import Backup
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.ciphers.keyrings import QUICK, secret_file
from tests.histories import whose
from tests.keys import Keys
from tests.sources.eventlog.writing import made_events, written_log

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
EVENTS = made_events(65)


class Site:
    """A growing log in an encrypted store, on a machine with a memory."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder, self.data, self.scratch, self.keys = folder, folder / "data", folder / "scratch", keys
        self.scratch.mkdir()
        self.store = LocalStore("vault", LocalOptions(path=folder / "vault"))
        self.log = EventLogSource("log", EventLogOptions(path=self.data, incremental=True))
        self.state = StateDir(folder / "state")
        self.cipher: Cipher | None = keys.sealing
        self.plain_measures = False
        self.day = 0

    def at(self, *decryptors: Cipher) -> Repository:
        """The store as a machine with these keys uses it."""
        return Repository(
            store=self.store,
            encryption=self.cipher,
            plain_measures=self.plain_measures,
            decryptors=decryptors,
            scratch=self.scratch,
            state=self.state,
            plain_store=store_at,
        )

    def take(self, events: int, *decryptors: Cipher, verify: bool = False) -> tuple[Backup, set[str]]:
        """The backup of the next day as it is stored, and the codes of what was noticed."""
        self.day += 1
        written_log(self.data, EVENTS[:events], 10)
        look = VerifyRequest(Level.FULL, self.scratch) if verify else None
        made = make(self.log, self.at(*decryptors), BackupRequest(), look, self.job)
        if verify:
            assert made.looked is not None
            assert made.looked.verdict is Verdict.PASSED, made.looked.findings
        backup = replace(find_backup(self.store, made.taken.backup.name), openers=(self.keys.opening,))
        return backup, {item.code for item in made.taken.findings}

    @property
    def job(self) -> Job:
        """One of today."""
        return Job(clock=lambda: BEGIN + timedelta(days=self.day))

    def drill(self, backup: Backup) -> Verdict:
        """The verdict of a drill with the key."""
        return run_drill(backup, self.log, DrillRequest(scratch=self.scratch), self.job).verdict


@pytest.fixture
def site(tmp_path: Path, keys: Keys) -> Site:
    """An empty one."""
    return Site(tmp_path, keys)


def needed(backup: Backup) -> list[str]:
    """The names of those that it needs, as they were before they were encrypted."""
    return [need.backup for need in needs_of(backup.manifest)]


def test_by_memory_alone(site: Site, tmp_path: Path) -> None:
    """A machine that only encrypts leaves out what it remembers; with the key each is proven and restored."""
    first, _ = site.take(35)
    second, said = site.take(55)
    third, _ = site.take(65)
    assert "eventlog.incremental" in said
    assert needed(second) == [first.name.removesuffix(".age")]
    assert needed(third) == [first.name.removesuffix(".age"), second.name.removesuffix(".age")]
    assert second.manifest.size < first.manifest.size
    for backup in (first, second, third):
        assert site.drill(backup) is Verdict.PASSED
    request = RestoreRequest(scratch=site.scratch, safety=site.at(), to=str(tmp_path / "new"))
    restore_backup(third, site.log, request, site.job)
    assert sorted(path.name for path in (tmp_path / "new" / "event-log").glob("segment-*")) == sorted(
        path.name for path in (site.data / "event-log").glob("segment-*")
    )


def test_nothing_of_the_log_stands_in_clear(site: Site) -> None:
    """What an increment needs is told by name and size, and no segment is."""
    site.take(35)
    second, _ = site.take(55)
    text = site.store.path_of(f"{second.name}.manifest.json").read_bytes()
    assert b"segment-" not in text
    assert b"needs" in text


def test_without_memory_and_key_a_full_one_is_taken(site: Site) -> None:
    """And that is said; the next one builds on it again."""
    site.take(35)
    site.state = StateDir(site.folder / "another")
    second, said = site.take(55)
    assert "backup.former_closed" in said
    assert needed(second) == []
    third, _ = site.take(65)
    assert needed(third) == [second.name.removesuffix(".age")]
    assert site.drill(third) is Verdict.PASSED


def test_by_the_key(site: Site) -> None:
    """A machine with the key needs no memory."""
    first, _ = site.take(35)
    site.state = StateDir(site.folder / "another")
    second, _ = site.take(55, site.keys.opening)
    assert needed(second) == [first.name.removesuffix(".age")]
    assert site.drill(second) is Verdict.PASSED


@pytest.mark.parametrize("with_key", [False, True])
def test_a_look_before_it_is_encrypted(site: Site, with_key: bool) -> None:
    """With the key the needed ones are opened for it; without, all is packed, because a look must see all."""
    first, _ = site.take(35)
    second, _ = site.take(55, *([site.keys.opening] if with_key else []), verify=True)
    assert needed(second) == ([first.name.removesuffix(".age")] if with_key else [])


def test_a_damaged_base(site: Site) -> None:
    """A base that is not there in full is not built on, and what needs it fails."""
    first, _ = site.take(35)
    second, _ = site.take(55)
    path = site.store.path_of(first.name)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    third, _ = site.take(65)
    assert needed(third) == []
    assert site.drill(second) is Verdict.FAILED
    assert site.drill(third) is Verdict.PASSED


def test_prune_keeps_what_is_needed(site: Site) -> None:
    """Without any key: by what stands in clear."""
    first, _ = site.take(35)
    second, _ = site.take(55)
    assert site.drill(second) is Verdict.PASSED
    request = PruneRequest(whose=whose(site.log), policy=Policy(keep_last=1))
    prune(site.at(), request, site.job)
    assert site.store.path_of(first.name).exists()
    assert site.drill(second) is Verdict.PASSED


@pytest.mark.parametrize("harm", ["gone", "flipped"])
def test_a_quick_look_without_the_key_sees_the_base(site: Site, harm: str) -> None:
    """What it needs stands in clear, and stored bytes can be compared by anybody."""
    first, _ = site.take(35)
    second, _ = site.take(55)
    closed = replace(find_backup(site.store, second.name), openers=())
    quick = VerifyRequest(Level.QUICK, site.scratch, keep=False)
    assert verify_backup(closed, site.log, quick, site.job).verdict is Verdict.PASSED
    path = site.store.path_of(first.name)
    path.chmod(0o600)
    if harm == "gone":
        for file in path.parent.glob(f"{first.name}*"):
            file.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    look = verify_backup(closed, site.log, quick, site.job)
    assert look.verdict is Verdict.FAILED
    wrong = {item.code for item in look.findings if item.severity is Severity.CRITICAL}
    assert wrong == {"backup.needed_missing" if harm == "gone" else "backup.needed_damaged"}


def test_a_restore_without_the_key_says_that(site: Site, tmp_path: Path) -> None:
    """The backup is good: nobody is told to use another one. A rehearsal came to nothing, and says so."""
    backup, _ = site.take(35)
    closed = replace(find_backup(site.store, backup.name), openers=())
    request = RestoreRequest(scratch=site.scratch, safety=site.at(), to=str(tmp_path / "new"))
    for act in (
        lambda: restore_backup(closed, site.log, request, site.job),
        lambda: plan_restore(closed, site.log, request),
    ):
        with pytest.raises(ToolError) as caught:
            act()
        assert caught.value.code == "cipher.no_identity"
    rehearsed = restore_backup(closed, site.log, replace(request, to=None), site.job)
    assert (rehearsed.verdict, rehearsed.rows) == (Verdict.INCONCLUSIVE, None)
    said = restored_text(closed, rehearsed, "job", 1)
    assert "nothing: the rehearsal is INCONCLUSIVE" in said


def changed_keys(site: Site, tmp_path: Path, how: str) -> Cipher | None:
    """What the configuration says since somebody changed it."""
    other = Keys(tmp_path, "other")
    recipients = {"other": (other.recipient,), "one more": (site.keys.recipient, other.recipient)}
    return None if how == "none" else AgeCipher("escrow", AgeOptions(recipients=recipients[how]))


@pytest.mark.parametrize("how", ["other", "one more", "none"])
def test_no_new_backup_needs_an_old_key(site: Site, tmp_path: Path, how: str) -> None:
    """A base that is encrypted for other keys than those of today is not built on, which is said, once."""
    site.take(35)
    site.cipher = changed_keys(site, tmp_path, how)
    second, said = site.take(55)
    assert (needed(second), "backup.base_other_keys" in said) == ([], True)
    third, said = site.take(65)
    assert needed(third) == [second.plain.payload]
    assert "backup.base_other_keys" not in said


@pytest.mark.parametrize("plain", [False, True])
def test_with_another_passphrase(site: Site, tmp_path: Path, plain: bool) -> None:
    """The same passphrase is found by opening what the manifest hides; where it hides nothing, each is a full one."""
    old, new = secret_file(tmp_path / "old", "one"), secret_file(tmp_path / "new", "another")
    site.plain_measures = plain
    for file, is_full in [(old, True), (old, plain), (new, True), (new, plain)]:
        site.cipher = OpensslCipher("o", OpensslOptions(passphrase_file=file, iterations=QUICK))
        backup, said = site.take(35 + site.day * 10)
        assert (needed(backup) == []) == is_full
        assert ("backup.base_other_keys" in said) == (is_full and site.day > 1)
