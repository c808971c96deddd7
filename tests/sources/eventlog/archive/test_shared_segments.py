"""Incremental backups of a log: what others hold is left to them, and everything that looks, restores or deletes knows it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.copy import copy_missing
from ops.actions.create_backup import make
from ops.actions.doctor import Patient, examine
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import Pruned, PruneRequest, prune
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import StoreError
from ops.formats import manifest as manifest_files
from ops.formats.dependencies import KEY, needs_document, needs_of
from ops.formats.names import SAFETY_TAG, checksum_key, checksum_text, manifest_key
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.model.requests import Objectives
from ops.ports.store import StoredFile
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.dependencies import copy_of
from ops.repository.find import find_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import whose
from tests.keys import Keys
from tests.sources.eventlog.writing import made_events, written_log

SIZE = 10
EVENTS = made_events(95)
BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
LAST_ONE = Policy(keep_last=1)


class Place:
    """A growing log, its store, and a clock that goes a day for each backup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.scratch = folder, folder / "data", folder / "scratch"
        self.scratch.mkdir()
        self.store = LocalStore("local", LocalOptions(path=folder / "backups"))
        self.log = EventLogSource("log", EventLogOptions(path=self.data, incremental=True))
        self.day = 0

    @property
    def job(self) -> Job:
        """One of today."""
        return Job(clock=lambda: BEGIN + timedelta(days=self.day))

    def take(self, events: int, *tags: str, to: Repository | None = None) -> Backup:
        """The backup of the next day, when the log had so many events; it was looked at."""
        self.day += 1
        written_log(self.data, EVENTS[:events], SIZE)
        look = VerifyRequest(Level.FULL, self.scratch)
        made = make(self.log, to or Repository(store=self.store), BackupRequest(tags=tags), look, self.job)
        assert made.looked is not None
        assert made.looked.verdict is Verdict.PASSED
        return made.taken.backup

    def look(self, backup: Backup, level: Level) -> tuple[Verdict, set[str]]:
        """The verdict, and the codes of what is wrong."""
        evidence = verify_backup(backup, self.log, VerifyRequest(level, self.scratch, keep=False), self.job)
        wrong = {item.code for item in evidence.findings if item.severity is Severity.CRITICAL}
        return evidence.verdict, wrong

    def drill(self, backup: Backup) -> Verdict:
        """The verdict of a drill."""
        return run_drill(backup, self.log, DrillRequest(scratch=self.scratch), self.job).verdict

    def prune(self, store: LocalStore | MemoryStore, policy: Policy = LAST_ONE) -> Pruned:
        """What pruning did."""
        return prune(Repository(store=store), PruneRequest(whose=whose(self.log), policy=policy), self.job)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path)


def packed(place: Place, backup: Backup) -> list[str]:
    """The segments in its archive."""
    with tarfile.open(place.store.path_of(backup.name)) as archive:
        return sorted(name for name in archive.getnames() if "segment" in name)


def segments(*numbers: int) -> list[str]:
    """Their paths."""
    return [f"event-log/segment-{number:06}.json" for number in numbers]


def needed(backup: Backup) -> list[str]:
    """The names of those that it needs."""
    return [need.backup for need in needs_of(backup.manifest)]


def files_of(folder: Path) -> dict[str, bytes]:
    """The log's files below `folder`."""
    return {
        path.name: path.read_bytes()
        for path in [*(folder / "event-log").iterdir(), folder / "event-log-snapshot.json"]
    }


def test_only_what_is_new_is_packed(place: Place) -> None:
    """Each backup packs the segments that no earlier one holds as they are, and names the one that really holds each."""
    first, second, third = place.take(25), place.take(48), place.take(52)
    assert packed(place, first) == segments(1, 2, 3)
    assert packed(place, second) == segments(3, 4, 5)
    assert packed(place, third) == segments(5, 6)
    assert needed(first) == []
    assert needed(second) == [first.name]
    assert needed(third) == [first.name, second.name]
    assert third.manifest.measures.rows == 52


@pytest.mark.parametrize("events", [25, 40, 52])
def test_there_and_back(place: Place, tmp_path: Path, events: int) -> None:
    """Looked at on both levels, drilled, and restored byte for byte, also when nothing was added since."""
    for count in (25, 38, 52):
        backup = place.take(min(count, events))
    for level in Level:
        assert place.look(backup, level) == (Verdict.PASSED, set())
    assert place.drill(find_backup(place.store, "latest")) is Verdict.PASSED
    request = RestoreRequest(
        scratch=place.scratch,
        safety=Repository(store=place.store),
        sources=[place.log],
        to=str(tmp_path / "new"),
    )
    restore_backup(backup, place.log, request, place.job)
    assert files_of(tmp_path / "new") == files_of(place.data)
    assert list(place.scratch.iterdir()) == []


def test_over_the_live_log(place: Place) -> None:
    """What a restore replaces is kept whole by itself, whatever was configured, and the log is that of the backup."""
    place.take(25)
    backup = place.take(48)
    before = files_of(place.data)
    written_log(place.data, EVENTS[:60], SIZE)
    request = RestoreRequest(
        scratch=place.scratch, safety=Repository(store=place.store), sources=[place.log], yes=True
    )
    restored = restore_backup(backup, place.log, request, place.job)
    assert files_of(place.data) == before
    safety = find_backup(place.store, str(restored.safety))
    assert SAFETY_TAG in safety.manifest.tags
    assert needed(safety) == []


def test_a_whole_one_where_that_is_not_wanted(place: Place) -> None:
    """Without `incremental` every backup is whole by itself, as it always was."""
    place.log = EventLogSource("log", EventLogOptions(path=place.data))
    place.take(25)
    assert packed(place, place.take(48)) == segments(1, 2, 3, 4, 5)


def test_a_whole_one_when_the_oldest_needed_is_too_old(place: Place) -> None:
    """After `full_every` a whole one is taken, and those after it build on that."""
    options = EventLogOptions(path=place.data, incremental=True, full_every=timedelta(days=2))
    place.log = EventLogSource("log", options)
    names = [place.take(20 + number).name for number in range(5)]
    found = [needed(find_backup(place.store, name)) for name in names]
    assert found == [[], names[:1], names[:1], [], names[3:4]]


def test_a_whole_one_when_the_former_is_no_ground_to_build_on(place: Place) -> None:
    """Nothing is left to a backup that is damaged, failed, gone, or that needs one that is."""
    first = place.take(25)
    path = place.store.path_of(first.name)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    second = place.take(30)
    assert needed(second) == []
    third = place.take(41)
    assert needed(third) == [second.name]
    place.store.delete(second.name)
    assert needed(place.take(52)) == []


def test_a_failed_former_is_no_ground(place: Place) -> None:
    """Nor to one whose last look failed, though every byte of it may be right again by now."""
    first = place.take(25)
    path = place.store.path_of(first.name)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    look = VerifyRequest(Level.QUICK, place.scratch)
    place.day += 1
    assert verify_backup(first, place.log, look, place.job).verdict is Verdict.FAILED
    path.write_bytes(content)
    assert needed(place.take(30)) == []


def test_a_segment_that_changed_is_packed(place: Place) -> None:
    """A sealed segment that is not what it was is never taken from the former backup, and the change is told."""
    place.take(25)
    segment = place.data / segments(1)[0]
    text = segment.read_bytes()
    place.day += 1
    segment.write_bytes(text.replace(b"evt-00000003", b"evt-0000000X"))
    made = make(place.log, Repository(store=place.store), BackupRequest(), None, place.job)
    assert packed(place, made.taken.backup) == segments(1)
    assert "eventlog.rewritten" in {item.code for item in made.taken.findings}


@pytest.mark.parametrize("how", ["gone", "shorter", "flipped", "without manifest"])
def test_a_needed_backup_that_is_damaged(place: Place, how: str) -> None:
    """What is wrong with a needed backup is wrong with each that needs it, on both levels, in a drill and a restore."""
    first, second = place.take(25), place.take(48)
    path = place.store.path_of(first.name)
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "shorter":
        path.write_bytes(content[:-1])
    elif how == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        place.store.delete(manifest_key(first.name))
    expected = "backup.needed_missing" if how == "without manifest" else "backup.needed_damaged"
    for level in Level:
        assert place.look(second, level) == (Verdict.FAILED, {expected})
    assert place.drill(second) is Verdict.FAILED
    assert not find_backup(place.store, second.name).good


def test_a_prune_looks_at_what_the_last_good_one_needs(place: Place) -> None:
    """Nothing is deleted while a backup on which the last good one is built has rotted."""
    place.take(10)
    place.log = EventLogSource("log", EventLogOptions(path=place.data))
    first = place.take(25)
    place.log = EventLogSource("log", EventLogOptions(path=place.data, incremental=True))
    newest = place.take(48)
    assert needed(newest) == [first.name]
    path = place.store.path_of(first.name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    request = PruneRequest(whose=whose(place.log), policy=Policy(keep_last=1))
    plans = prune(Repository(store=place.store), replace(request, dry_run=True), place.job).plans
    done = prune(Repository(store=place.store), request, place.job)
    assert any(plan.doomed for plan in plans.values())
    assert done.deleted == ()
    assert any(item.where == first.name for item in done.findings)


def test_what_is_used_is_what_was_recorded(place: Place) -> None:
    """A needed backup that was exchanged with its manifest for another right one of the same job gives nothing away."""
    first, second = place.take(25), place.take(48)
    (place.folder / "other").mkdir()
    other = Place(place.folder / "other")
    written_log(other.data, made_events(25, actor="other"), SIZE)
    forged = make(other.log, Repository(store=other.store), BackupRequest(name=first.name), None, other.job)
    manifest = replace(forged.taken.backup.manifest, job_id=first.manifest.job_id)
    place.store.path_of(first.name).write_bytes(other.store.path_of(first.name).read_bytes())
    place.store.path_of(manifest_key(first.name)).write_bytes(manifest_files.to_json(manifest))
    place.store.path_of(checksum_key(first.name)).write_text(checksum_text(manifest.files))
    assert place.look(second, Level.QUICK) == (Verdict.FAILED, {"backup.checksum_mismatch"})
    verdict, wrong = place.look(second, Level.FULL)
    assert (verdict, wrong) == (Verdict.FAILED, {"backup.checksum_mismatch"})


@pytest.mark.parametrize(
    "needs",
    [
        "all",
        [{"backup": "x"}],
        [{"backup": "x", "job_id": "y", "size": 1, "members": ["event-log/segment-000099.json"]}],
        [{"backup": "x", "job_id": "y", "size": 1, "members": []}],
        [{"backup": "x", "job_id": "y", "size": 1, "members": ["event-log-snapshot.json"]}],
    ],
)
def test_a_manifest_that_lies_about_its_needs(place: Place, needs: object) -> None:
    """What cannot be read, or says what cannot be, fails the look and stops no other work."""
    place.take(25)
    second = place.take(48)
    manifest = replace(second.manifest, extra={**second.manifest.extra, KEY: needs})
    place.store.path_of(manifest_key(second.name)).write_bytes(manifest_files.to_json(manifest))
    lying = find_backup(place.store, second.name)
    verdict, wrong = place.look(lying, Level.QUICK)
    assert verdict is Verdict.FAILED
    assert wrong <= {"backup.manifest_invalid", "backup.needed_missing"}
    assert place.drill(lying) is Verdict.FAILED
    assert needed(place.take(52)) == []


def test_a_need_of_what_the_other_does_not_hold(place: Place) -> None:
    """A manifest that takes files from a backup that are no files of its log contradicts itself."""
    place.take(25)
    second = place.take(48)
    (need,) = needs_of(second.manifest)
    members = [*need.entries["members"], "event-log/segment-000099.json"]
    lying = needs_document([replace(need, entries={"members": members})])
    manifest = replace(second.manifest, extra={**second.manifest.extra, KEY: lying})
    place.store.path_of(manifest_key(second.name)).write_bytes(manifest_files.to_json(manifest))
    found = place.look(find_backup(place.store, second.name), Level.QUICK)
    assert found == (Verdict.FAILED, {"backup.manifest_invalid"})


def test_another_backup_of_the_same_name_is_not_what_is_needed(place: Place) -> None:
    """What is needed is known by its job as well: something else that got its name is not taken for it."""
    first, second = place.take(25), place.take(48)
    manifest = replace(first.manifest, job_id=second.manifest.job_id)
    place.store.path_of(manifest_key(first.name)).write_bytes(manifest_files.to_json(manifest))
    assert place.look(second, Level.QUICK) == (Verdict.FAILED, {"backup.needed_missing"})
    (need,) = needs_of(second.manifest)
    assert copy_of(need, place.store, [file.key for file in place.store.list()]) is None


def test_nothing_that_is_needed_is_pruned(place: Place) -> None:
    """Retention keeps what a kept backup needs, says so, and lets it go with the last one that needs it."""
    first, second, third = place.take(25), place.take(48), place.take(52)
    done = place.prune(place.store)
    assert done.deleted == ()
    reasons = {item.candidate.name: item.reasons for plan in done.plans.values() for item in plan.decisions}
    assert f"needed by {third.name}" in reasons[first.name]
    assert f"needed by {third.name}" in reasons[second.name]
    place.log = EventLogSource("log", EventLogOptions(path=place.data))
    place.take(60)
    assert set(place.prune(place.store).deleted) == {first.name, second.name, third.name}


def test_small_by_intent(place: Place) -> None:
    """An incremental backup after large whole ones is not taken for a suspiciously small one."""
    whole = EventLogSource("log", EventLogOptions(path=place.data))
    incremental, place.log = place.log, whole
    names = [place.take(90 + number).name for number in range(3)]
    place.log = incremental
    last = place.take(94)
    assert last.manifest.size < find_backup(place.store, names[0]).manifest.size / 2
    assert set(place.prune(place.store).deleted) == set(names[:2])


def test_copies_come_with_what_they_need(place: Place) -> None:
    """A copy in a further store brings along what it needs, and is good there; alone it would be worth nothing."""
    first, second = place.take(25), place.take(48)
    far = MemoryStore("far")
    copy_backup(second, Repository(store=far, scratch=place.scratch), place.job)
    assert {item.name for item in read_catalogue(far).backups} == {first.name, second.name}
    assert place.drill(find_backup(far, second.name)) is Verdict.PASSED
    assert place.prune(far).deleted == ()


def test_a_tier_with_its_own_policy_gets_what_its_copies_need(place: Place) -> None:
    """Of what a further store would keep also the needed ones are copied."""
    first, second, third = place.take(25), place.take(48), place.take(52)
    far = MemoryStore("far")
    findings = copy_missing(
        whose(place.log),
        Repository(store=place.store),
        [Repository(store=far, policy=LAST_ONE, scratch=place.scratch)],
        place.job,
    )
    assert {item.severity for item in findings} == {Severity.OK}
    assert {item.name for item in read_catalogue(far).backups} == {first.name, second.name, third.name}


def test_a_copy_that_can_not_bring_what_it_needs_is_not_made(place: Place) -> None:
    """Where the needed one is damaged at home, the copy is a warning, and nothing of it is in the further store."""
    first = place.take(25)
    place.take(48)
    place.store.path_of(first.name).write_bytes(b"damaged")
    far = MemoryStore("far")
    findings = copy_missing(
        whose(place.log),
        Repository(store=place.store),
        [Repository(store=far, scratch=place.scratch)],
        place.job,
    )
    assert {item.severity for item in findings} <= {Severity.WARNING}
    assert list(far.list()) == []


def test_sealed_copies(place: Place, tmp_path: Path) -> None:
    """Sealed in a further store, all that is needed is found under its sealed name and opened with the key."""
    keys, far = Keys(tmp_path, "escrow"), MemoryStore("far")
    place.take(25)
    backup = place.take(48)
    copy_backup(backup, Repository(store=far, encryption=keys.sealing, scratch=place.scratch), place.job)
    copy = find_backup(far, f"{backup.name}.age")
    assert place.look(copy, Level.QUICK) == (Verdict.PASSED, set())
    opening = replace(copy, openers=(keys.opening,))
    for level in Level:
        assert place.look(opening, level) == (Verdict.PASSED, set())
    assert place.drill(opening) is Verdict.PASSED
    assert place.prune(far).deleted == ()


def test_sealed_at_home_every_backup_is_whole(place: Place, tmp_path: Path) -> None:
    """In a store that seals nothing is left to others, neither to what was made before it did nor to what it sealed."""
    keys = Keys(tmp_path, "escrow")
    home = Repository(
        store=place.store,
        encryption=keys.sealing,
        scratch=place.scratch,
        plain_store=lambda at: LocalStore("plain", LocalOptions(path=at)),
    )
    place.take(20)
    assert needed(place.take(25, to=home)) == []
    assert needed(place.take(48, to=home)) == []


def test_pruned_at_the_front(place: Place) -> None:
    """Segments that the program pruned are no longer needed, and what only held those is not either."""
    first = place.take(25)
    second = place.take(48)
    for path in segments(1, 2):
        (place.data / path).unlink()
    place.day += 1
    made = make(place.log, Repository(store=place.store), BackupRequest(), None, place.job)
    assert needed(made.taken.backup) == [second.name]
    assert first.name not in needed(made.taken.backup)
    assert place.look(made.taken.backup, Level.FULL)[0] is Verdict.PASSED


def test_what_is_needed_is_found_in_another_store(place: Place) -> None:
    """Where the own store lost it, a copy elsewhere is taken; a store that cannot be read is passed over."""

    class Broken(MemoryStore):
        """A store that does not answer."""

        def list(self, prefix: str = "") -> Iterable[StoredFile]:
            raise StoreError(f"no answer to {prefix}", code="store.unreachable")

    first, second = place.take(35), place.take(55)
    away = MemoryStore("away")
    copy_backup(first, Repository(store=away), place.job)
    for path in place.store.options.path.glob(f"{first.name}*"):
        path.unlink()
    assert place.look(second, Level.FULL) == (Verdict.FAILED, {"backup.needed_missing"})
    known = replace(second, elsewhere=(Broken(), away))
    assert place.look(known, Level.FULL) == (Verdict.PASSED, set())
    assert place.look(known, Level.QUICK) == (Verdict.PASSED, set())
    assert place.drill(known) is Verdict.PASSED
    look = verify_backup(known, place.log, VerifyRequest(Level.QUICK, place.scratch, keep=False), place.job)
    (said,) = [item for item in look.findings if item.code == "backup.needed_elsewhere"]
    assert f"store.pull away:{first.name}" in said.message


def test_doctor_sees_that_a_base_is_gone(place: Place) -> None:
    """The newest backup cannot be restored, and that is told before it is needed."""
    first, second = place.take(35), place.take(55)
    repository = Repository(store=place.store, scratch=place.scratch)
    patient = Patient(place.log, repository, Objectives(), None)

    def said() -> set[str]:
        found = examine(patient, place.scratch, BEGIN + timedelta(days=3))
        return {item.code for item in found if item.severity is Severity.CRITICAL}

    assert second.manifest.extra[KEY]
    assert said() == set()
    for path in place.store.options.path.glob(f"{first.name}*"):
        path.unlink()
    assert said() == {"backup.needed_missing"}
