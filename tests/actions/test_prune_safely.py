"""Before anything goes the last good backup is proven to be there, most is not deleted unasked, and after it all is listed again."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.prune import Pruned, PruneRequest, prune
from ops.config.reading import store_at
from ops.formats import manifest as manifest_files
from ops.formats.names import manifest_key
from ops.host.state_dir import StateDir
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import Measures, TableMeasure
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.backup import Backup
from ops.repository.find import find_backup
from ops.repository.locks import being_read
from ops.repository.plans_together import keep_needed_elsewhere
from ops.repository.repository import Repository
from ops.repository.retention import Candidate, Plan, Policy, plan_retention
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.actions.test_prune import NOW, CutError, CutStore, fill, names
from tests.histories import WHOSE, looked_at, put, stored_backup
from tests.keys import Keys

ONE = Policy(keep_last=1)
WEEK = Policy(keep_last=7)


def pruned(store: Store, policy: Policy = ONE, **more: object) -> Pruned:
    """Prune the source `prices` now."""
    request = replace(PruneRequest(whose=WHOSE, policy=policy), **more)  # type: ignore[arg-type] # fields
    return prune(Repository(store=store), request, Job(clock=lambda: NOW))


def codes(done: Pruned) -> set[str]:
    """What it found."""
    return {item.code for item in done.findings}


def rewritten(store: Store, name: str, change: object) -> None:
    """The manifest of a backup with `change(manifest)` in its place."""
    key = manifest_key(name)
    with store.open(key) as file:
        manifest = manifest_files.from_json(file.read(), key)
    store.delete(key)
    put(store, key, manifest_files.to_json(change(manifest)))  # type: ignore[operator] # a function of the test


def needs(store: Store, name: str, base: str, **more: str) -> None:
    """Say in a backup's manifest that it needs `base`."""
    with store.open(manifest_key(base)) as file:
        manifest = manifest_files.from_json(file.read(), base)
    need = {"backup": base, "job_id": manifest.job_id, "size": manifest.size}
    rewritten(store, name, lambda one: replace(one, extra={**more, "needs": [need]}))


class TestPresence:
    """What is kept as the last good one."""

    @pytest.mark.parametrize("damage", ["flipped", "zeros", "checksum file"])
    def test_damaged_since_its_last_look(self, store: LocalStore, damage: str) -> None:
        """A payload of the same size that rotted is found before the backups that could replace it are gone."""
        all_names = fill(store)
        path = store.path_of(all_names[-1])
        if damage == "checksum file":
            path.with_name(f"{path.name}.checksum").unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(b"Content" if damage == "flipped" else bytes(7))
        done = pruned(store)
        assert (done.deleted, names(store)) == ((), set(all_names))
        assert any(
            item.severity is Severity.CRITICAL and item.where == all_names[-1] for item in done.findings
        )

    def test_elsewhere_nobody_downloads(self) -> None:
        """In another store a look that read every byte must not be older than thirty days."""
        for days, expected in ((29, 4), (31, 0)):
            store = MemoryStore()
            all_names = fill(store)
            for key in [key for key in store.files if ".verify-" in key]:
                del store.files[key]
            for name in all_names:
                with store.open(manifest_key(name)) as file:
                    manifest = manifest_files.from_json(file.read(), name)
                looked_at(
                    Backup(store=store, manifest=manifest),
                    after=NOW - manifest.created_at - timedelta(days=days),
                )
            done = pruned(store)
            assert len(done.deleted) == expected
            assert ("prune.unread" in codes(done)) is (expected == 0)
            assert all(item.severity is not Severity.CRITICAL for item in done.findings)

    def test_gone_elsewhere(self) -> None:
        """In another store names and sizes are asked for."""
        store = MemoryStore()
        all_names = fill(store)
        store.files[all_names[-1]] += b"x"
        assert pruned(store).deleted == ()

    def test_nothing_is_read_where_nothing_goes(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No payload is hashed for a plan that keeps everything, or for a dry run."""
        fill(store)
        monkeypatch.setattr("ops.actions.prune.prove_present", lambda *_: pytest.fail("it was read"))
        assert pruned(store, WEEK).deleted == ()
        assert pruned(store, dry_run=True).deleted == ()


@dataclass(slots=True)
class ShrinkingStore(MemoryStore):
    """A store in which something else deletes while we do."""

    taken: list[str] = field(default_factory=list)

    def delete(self, key: str) -> None:
        """Delete what is asked, and once the newest payload as well."""
        MemoryStore.delete(self, key)
        payloads = sorted(name for name in self.files if name.endswith(".db"))
        if not self.taken:
            self.taken.append(payloads[-1])
            del self.files[payloads[-1]]


def test_what_was_to_stay_is_listed_again() -> None:
    """Where a backup that was to stay has gone meanwhile, that is critical and names it."""
    store = ShrinkingStore()
    fill(store)
    done = pruned(store)
    (lost,) = [item for item in done.findings if item.code == "prune.lost"]
    assert (lost.severity, lost.where) == (Severity.CRITICAL, store.taken[0])


class TestMany:
    """Most of what is there is not deleted unasked."""

    def test_asked_once_for_a_policy(self, store: LocalStore) -> None:
        """The first time a policy would take ten or more and most, `--many` must say so; afterwards it is known."""
        all_names = fill(store, 21)
        done = pruned(store)
        assert (done.deleted, codes(done)) == ((), {"prune.refused"})
        assert "20 of 21" in done.findings[0].message
        assert "--many" in done.findings[0].message
        plan = pruned(store, dry_run=True)
        assert sum(len(item.doomed) for item in plan.plans.values()) == 20
        assert len(pruned(store, many=True).deleted) == 20
        for name in fill_again(store, all_names):
            assert name in names(store)
        assert len(pruned(store).deleted) == 20

    def test_another_policy_is_asked_again(self, store: LocalStore) -> None:
        """A policy that was changed has pruned nothing yet."""
        all_names = fill(store, 21)
        assert len(pruned(store, many=True).deleted) == 20
        fill_again(store, all_names)
        assert pruned(store, Policy(keep_last=2)).deleted == ()

    @pytest.mark.parametrize(("count", "keep", "gone"), [(10, 1, 9), (21, 11, 10), (20, 10, 10)])
    def test_few_or_not_most(self, store: LocalStore, count: int, keep: int, gone: int) -> None:
        """Fewer than ten, or not more than half, go unasked."""
        fill(store, count)
        assert len(pruned(store, Policy(keep_last=keep)).deleted) == gone

    def test_a_store_that_cannot_note_it(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the note cannot be written the prune is done, and the next one asks again."""
        all_names = fill(store, 21)
        (store.options.path / OWN_PREFIX.rstrip("/")).mkdir(exist_ok=True)
        (store.options.path / OWN_PREFIX / "policies").write_bytes(b"")
        done = pruned(store, many=True)
        assert (len(done.deleted), codes(done)) == (20, set())
        fill_again(store, all_names)
        assert pruned(store).deleted == ()


def fill_again(store: Store, all_names: list[str]) -> list[str]:
    """As many older backups beside what is left."""
    moments = [NOW - timedelta(days=100 + number) for number in range(len(all_names) - 1)]
    return [looked_at(stored_backup(store, moment)).name for moment in moments]


class TestPolicies:
    """Which policy prunes what."""

    def test_by_scope(self, store: LocalStore) -> None:
        """Backups of a scope with a policy of its own are pruned by that."""
        all_names = fill(store)
        for name in all_names[:3]:
            rewritten(store, name, lambda manifest: replace(manifest, scope="schema"))
        done = pruned(store, by_scope={"schema": Policy(forever=True)})
        assert list(done.deleted) == [all_names[3]]

    def test_named_by_a_backup(self, store: LocalStore) -> None:
        """What a backup says itself holds for it, and for no other one."""
        all_names = fill(store)
        for name, policy in ((all_names[0], "audit"), (all_names[1], "audit"), (all_names[2], "gone")):
            rewritten(
                store, name, lambda manifest, policy=policy: replace(manifest, extra={"policy": policy})
            )
        done = pruned(store, named={"audit": Policy(keep_last=1)})
        assert set(done.deleted) == {all_names[0], all_names[3]}
        (unknown,) = [item for item in done.findings if item.code == "prune.policy_unknown"]
        assert (unknown.severity, unknown.where) == (Severity.WARNING, "gone")


def test_before_the_drop(store: LocalStore) -> None:
    """The backup that has the rows of a table that was emptied stays, and the plan says why."""
    all_names = fill(store)
    for number, name in enumerate(all_names):
        tables = {"t": TableMeasure(5000 if number < 3 else 10), "u": TableMeasure(90_000)}
        rewritten(store, name, lambda item, tables=tables: replace(item, measures=Measures(tables=tables)))
    done = pruned(store)
    assert list(done.deleted) == [all_names[0], all_names[1], all_names[3]]
    reasons = {item.candidate.name: item.reasons for plan in done.plans.values() for item in plan.decisions}
    assert reasons[all_names[2]] == ("before the drop of t",)


def test_from_the_future(store: LocalStore) -> None:
    """While the backup that was made last is from the future nothing is deleted, and it is named."""
    fill(store)
    future = looked_at(stored_backup(store, NOW + timedelta(days=365)), Verdict.PASSED)
    done = pruned(store)
    assert (done.deleted, codes(done)) == ((), {"prune.refused"})
    assert future.name in done.findings[0].message


def test_notes_are_not_listed(store: LocalStore) -> None:
    """The notes about policies are nothing that a listing shows."""
    fill(store, 21)
    pruned(store, many=True)
    assert not [stored for stored in store.list() if stored.key.startswith(".")]
    assert list(store.list(f"{OWN_PREFIX}policies/"))


class TestWhatABackupTells:
    """The next backup after a table lost its rows."""

    def night(self, database: Path, source: SqliteSource, store: Store, rows: int) -> list[Finding]:
        """A backup of a table with so many rows; what it says about rows."""
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            connection.execute("DELETE FROM t")
            connection.executemany("INSERT INTO t VALUES (?)", ((number,) for number in range(rows)))
            connection.commit()
        findings = take_backup(source, Repository(store=store), BackupRequest(), Job()).findings
        return [item for item in findings if item.code == "backup.rows_dropped"]

    def test_told_once(self, database: Path, source: SqliteSource, store: LocalStore) -> None:
        """It is a warning of the backup that shows it, with both numbers, and of no later one."""
        assert self.night(database, source, store, 1000) == []
        (told,) = self.night(database, source, store, 499)
        assert (told.severity, told.where, told.expected, told.found) == (
            Severity.WARNING,
            "t",
            "1000",
            "499",
        )
        assert self.night(database, source, store, 499) == []

    def test_a_habit(self, database: Path, source: SqliteSource, store: LocalStore) -> None:
        """A table that is emptied and loaded again and again is listed, and no warning."""
        severities = [
            item.severity for rows in (2000, 0, 2000, 0) for item in self.night(database, source, store, rows)
        ]
        assert severities == [Severity.WARNING, Severity.OK]

    def test_an_encrypted_store(self, source: SqliteSource, database: Path, tmp_path: Path) -> None:
        """Where the payload is captured elsewhere first, the backups of before are looked for in their store."""
        keys = Keys(tmp_path, "mine")
        home = LocalStore("sealed", LocalOptions(path=tmp_path / "sealed"))
        state = StateDir(tmp_path / "state")
        to = Repository(
            store=home, encryption=keys.sealing, scratch=tmp_path, plain_store=store_at, state=state
        )
        codes = []
        for rows in (2000, 0, 2000, 0):
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
                connection.execute("DELETE FROM t")
                connection.executemany("INSERT INTO t VALUES (?)", ((number,) for number in range(rows)))
                connection.commit()
            findings = make(source, to, BackupRequest(), None, Job()).taken.findings
            codes += [item.severity for item in findings if item.code == "backup.rows_dropped"]
        assert codes == [Severity.WARNING, Severity.OK]


class TestTogether:
    """What groups of one source owe each other."""

    def decisions(self, *items: Candidate, keep_last: int = 1) -> Plan:
        """A plan that keeps the newest."""
        return plan_retention(items, Policy(keep_last=keep_last), NOW)

    def test_a_base_of_another_group_stays(self) -> None:
        """What a kept backup of another policy needs, through any number of steps, is kept for it, by its name."""
        days = [NOW - timedelta(days=5 - number) for number in range(5)]
        full, second, newest = (
            Candidate(name=name, created_at=day, good=True, needs=needs)
            for name, day, needs in zip(("full", "second", "newest"), days, ((), ("full",), ()), strict=False)
        )
        other = Candidate(name="other", created_at=days[3], good=True, needs=("second",))
        plans = {"nightly": self.decisions(full, second, newest), "long": self.decisions(other)}
        assert {item.name for item in plans["nightly"].doomed} == {"full", "second"}
        together = keep_needed_elsewhere(plans)
        assert together["nightly"].doomed == ()
        reasons = {item.candidate.name: item.reasons for item in together["nightly"].decisions}
        assert (reasons["second"], reasons["full"]) == (("needed by other",), ("needed by second",))

    def test_the_base_of_a_group_that_is_refused_stays(self, store: LocalStore) -> None:
        """Where a group keeps all because its last good backup has rotted, another one does not delete what they need."""
        base, needing, unneeded, rotted, newest = fill(store)
        needs(store, needing, base, policy="long")
        rewritten(store, rotted, lambda one: replace(one, extra={"policy": "long"}))
        store.path_of(rotted).chmod(0o600)
        store.path_of(rotted).write_bytes(b"Content")
        done = pruned(store, named={"long": ONE})
        assert done.deleted == (unneeded,)
        assert names(store) == {base, needing, rotted, newest}

    def test_the_base_of_one_that_is_read_stays(self, store: LocalStore) -> None:
        """While a restore reads an increment, nothing that it needs is deleted, through any number of steps."""
        full, second, third, unneeded, newest = fill(store)
        needs(store, second, full)
        needs(store, third, second)
        with being_read(find_backup(store, third), "drill", Job()):
            done = pruned(store)
            assert (done.deleted, names(store)) == ((unneeded,), {full, second, third, newest})
            assert codes(done) == {"prune.in_use", "prune.needed"}
        assert pruned(store).deleted == (third, second, full)

    @pytest.mark.parametrize("deletions", range(18))
    def test_a_cut_leaves_no_increment_without_its_base(self, deletions: int) -> None:
        """Wherever deleting is cut off, each backup that is left has all that it needs."""
        store = CutStore()
        full, second, third, newest = fill(store, 4)
        needs(store, second, full)
        needs(store, third, second)
        store.left = deletions
        with contextlib.suppress(CutError):
            pruned(store)
        left = names(store)
        assert newest in left
        assert third not in left or second in left
        assert second not in left or full in left
        store.left = 1_000_000
        pruned(store)
        assert names(store) == {newest}

    def test_many_is_counted_for_all_of_them(self, store: LocalStore) -> None:
        """Nine of ten in each of two groups are eighteen of twenty."""
        all_names = fill(store, 20)
        for name in all_names[::2]:
            rewritten(store, name, lambda manifest: replace(manifest, extra={"policy": "x"}))
        done = pruned(store, named={"x": ONE})
        assert (done.deleted, codes(done)) == ((), {"prune.refused"})
        assert "18 of 20" in done.findings[0].message
        assert codes(pruned(store, named={"x": ONE}, dry_run=True)) == {"prune.many"}

    def test_the_last_proven_one_is_looked_at_too(self, store: LocalStore) -> None:
        """While the backup that was proven last has rotted, the one that was proven before it stays."""
        all_names = fill(store, 3)
        for name in all_names[:2]:
            with store.open(manifest_key(name)) as file:
                manifest = manifest_files.from_json(file.read(), name)
            looked_at(Backup(store=store, manifest=manifest), action="drill", after=timedelta(hours=2))
        path = store.path_of(all_names[1])
        path.chmod(0o600)
        path.write_bytes(b"Content")
        done = pruned(store)
        assert (done.deleted, names(store)) == ((), set(all_names))
        assert any("last proven" in item.message for item in done.findings)
