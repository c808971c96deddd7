"""Names that are taken while a payload is written, and what dead runs left of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.errors import RefusedError, StoreError
from ops.formats.lease import WRITING, Note, to_json
from ops.formats.names import checksum_key, manifest_key, tombstone_key
from ops.ports.store import OWN_PREFIX, StoredFile
from ops.repository.notes import new_note
from ops.repository.transfer import put_new
from ops.repository.writers import announced, is_announced, remove_left
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.dead import ELSEWHERE, gone

NAME = "backup-20260101T000000Z.db"
SEVEN_DAYS_S = 7 * 86_400


def note_of(writer: object, *, resumable: bool = False) -> Note:
    """A note by such a process."""
    return replace(
        new_note("backup.create", NAME, Job(job_id="other")), writer=str(writer), resumable=resumable
    )


def announce(store: MemoryStore, note: Note, name: str = NAME) -> None:
    """Word of another run that it writes the payload."""
    put_new(store, f"{OWN_PREFIX}{WRITING}{name}/{note.job_id}.json", to_json(note))


def kept(store: MemoryStore) -> set[str]:
    """All keys."""
    return set(store.files)


def test_a_name_is_taken_while_it_is_written() -> None:
    """Another run that wants the name is refused while the block runs; nothing is left of the word afterwards."""
    store = MemoryStore()
    with announced(store, NAME, Job()):
        assert is_announced(store, NAME)
        with pytest.raises(RefusedError) as caught, announced(store, NAME, Job()):
            pytest.fail("two write one name")
        assert caught.value.code == "refused.name_taken"
        assert is_announced(store, NAME)
    assert kept(store) == set()


def test_inside_a_block_of_the_same_job_nothing_more_happens() -> None:
    """One job may say it again."""
    store, job = MemoryStore(), Job()
    with announced(store, NAME, job):
        with announced(store, NAME, job):
            pass
        assert is_announced(store, NAME)
    assert kept(store) == set()


def test_in_a_folder_nothing_is_written(tmp_path: Path) -> None:
    """Where staged files say the same, there is no word beside them."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "s"))
    with announced(store, NAME, Job()):
        assert not is_announced(store, NAME)
        assert not store.options.path.exists()


def write(store: MemoryStore, keys: list[str], error: BaseException) -> None:
    """Write these files of the payload, and fail."""
    with announced(store, NAME, Job()):
        for key in keys:
            put_new(store, key, b"x")
        raise error


def test_a_block_that_fails_takes_back_what_it_wrote() -> None:
    """The payload of a run that fails is removed; not when the name turned out to be another run's."""
    for code, stays in (("store.unreachable", False), ("refused.name_taken", True), ("store.conflict", True)):
        store = MemoryStore()
        error: Exception = (
            StoreError("x", code=code) if code != "refused.name_taken" else RefusedError("x", code=code)
        )
        with pytest.raises(type(error)):
            write(store, [NAME], error)
        assert kept(store) == ({NAME} if stays else set())


def test_a_published_backup_is_never_taken_back() -> None:
    """What fails after the manifest is there leaves the backup alone."""
    store = MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        write(store, [NAME, manifest_key(NAME)], KeyboardInterrupt())
    assert kept(store) == {NAME, manifest_key(NAME)}


def test_what_a_dead_run_left_is_removed() -> None:
    """Payload, files of a folder, checksum file and records of a run that is gone go; word of it too."""
    store = MemoryStore()
    evidence = f"{NAME}.verify-20260101T000000Z-0123abcd.json"
    for key in (checksum_key(NAME), evidence, "neighbour.db"):
        put_new(store, key, b"x")
    store.files |= {f"{NAME}/toc": b"1", f"{NAME}/data/2": b"2"}
    announce(store, note_of(gone()))
    (finding,) = remove_left(store)
    assert (finding.code, finding.where) == ("store.swept", NAME)
    assert kept(store) == {"neighbour.db"}
    assert remove_left(store) == []


@pytest.mark.parametrize("key", [manifest_key(NAME), tombstone_key(NAME)])
def test_a_backup_is_not_left_over(key: str) -> None:
    """A run that was killed between its manifest and its last word made a backup: only the word goes."""
    store = MemoryStore()
    for each in (NAME, key):
        put_new(store, each, b"x")
    announce(store, note_of(gone()))
    assert remove_left(store) == []
    assert kept(store) == {NAME, key}


def test_who_cannot_be_asked_has_seven_days() -> None:
    """What another machine writes stays for seven days by the store's clock, and its name is taken for as long."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    put_new(store, NAME, b"x")
    announce(store, note_of(ELSEWHERE))
    now[0] = SEVEN_DAYS_S - 1
    assert remove_left(store) == []
    with pytest.raises(RefusedError), announced(store, NAME, Job()):
        pytest.fail("two write one name")
    assert NAME in kept(store)
    now[0] = SEVEN_DAYS_S
    assert len(remove_left(store)) == 1
    assert kept(store) == set()


def test_a_living_run_protects_its_name() -> None:
    """Where a dead run wanted the name that a living one writes, nothing is removed."""
    store = MemoryStore()
    announce(store, note_of(gone()))
    with announced(store, NAME, Job()):
        put_new(store, NAME, b"theirs")
        assert remove_left(store) == []
        assert NAME in kept(store)


def test_a_copy_that_was_cut_off_is_gone_on_with() -> None:
    """Part of a copy stays for the next push, which is not refused; after seven days it goes."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    put_new(store, NAME, b"x")
    announce(store, note_of(gone(), resumable=True))
    assert remove_left(store) == []
    with announced(store, NAME, Job(), resumable=True):
        pass
    assert NAME in kept(store)
    now[0] = SEVEN_DAYS_S
    assert len(remove_left(store)) == 1


def test_keys_that_may_not_delete() -> None:
    """Where nothing may be deleted, what is left is named once, the other names are not even looked at, and no backup fails."""

    class Keeping(MemoryStore):
        opened = 0

        def delete(self, key: str) -> None:
            raise StoreError("these keys may not delete", code="store.refused")

        def open(self, key: str) -> BinaryIO:
            self.opened += 1
            return super().open(key)

    store = Keeping()
    for number in range(80):
        name = f"backup-202601{number % 28 + 1:02}T{number % 24:02}0000Z.db"
        put_new(store, f"{OWN_PREFIX}{WRITING}{name}/{number}.json", to_json(note_of(gone())))
    put_new(store, NAME, b"x")
    with announced(store, "other.db", Job()):
        pass
    assert [item.severity.name for item in remove_left(store)] == ["OK"]
    assert store.opened <= 10


def test_where_word_may_not_be_written(tmp_path: Path) -> None:
    """Keys that may only write payloads still make backups."""

    class Forbidding(MemoryStore):
        def put(self, key: str, file: Path) -> None:
            if key.startswith(OWN_PREFIX):
                raise StoreError("no", code="store.refused")
            super().put(key, file)

    store = Forbidding()
    with announced(store, NAME, Job()):
        put_new(store, NAME, b"x")
    assert kept(store) == {NAME}


class Blind(MemoryStore):
    """A store whose listings do not show some files yet."""

    unseen: tuple[str, ...] = ()

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """All but those."""
        return (stored for stored in super().list(prefix) if stored.key not in self.unseen)


@pytest.mark.parametrize("key", [manifest_key(NAME), tombstone_key(NAME)])
def test_a_listing_that_is_behind_costs_no_backup(key: str) -> None:
    """A manifest that no listing shows yet makes a backup: nothing of it goes, with a dead run's word or when a run fails."""
    for cut in (False, True):
        store = Blind()
        store.unseen = (key,)
        if cut:
            with pytest.raises(KeyboardInterrupt):
                write(store, [NAME, key], KeyboardInterrupt())
        else:
            for each in (NAME, key):
                put_new(store, each, b"x")
            announce(store, note_of(gone()))
            assert remove_left(store) == []
        assert {NAME, key} <= kept(store)


class Uploading(MemoryStore):
    """A store that is asked to give up uploads."""

    given_up: list[str]

    def abort_uploads(self, key: str) -> list[str]:
        """Note it."""
        self.given_up.append(key)
        return []


@pytest.mark.parametrize("living", [False, True])
def test_what_a_finished_copy_left_behind_goes(living: bool) -> None:
    """Once a copy is whole, the word of the run that was cut off goes, and unfinished uploads unless a living run has some."""
    store = Uploading()
    store.given_up = []
    for key in (NAME, manifest_key(NAME)):
        put_new(store, key, b"x")
    announce(store, note_of(gone(), resumable=True))
    if living:
        announce(store, replace(note_of(ELSEWHERE, resumable=True), job_id="living"))
    assert remove_left(store) == []
    assert store.given_up == ([] if living else [NAME])
    assert [key for key in kept(store) if key.startswith(".")] == (
        [f"{OWN_PREFIX}{WRITING}{NAME}/living.json"] if living else []
    )


def test_a_word_that_cannot_be_taken_back_says_nothing_of_a_backup() -> None:
    """With keys that may not delete nobody is told that a good backup was left by a run that was killed."""

    class Keeping(MemoryStore):
        def delete(self, key: str) -> None:
            raise StoreError("these keys may not delete", code="store.refused")

    store = Keeping()
    for key in (NAME, manifest_key(NAME)):
        put_new(store, key, b"x")
    announce(store, note_of(gone()))
    assert remove_left(store) == []
