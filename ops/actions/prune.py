"""Deleting what no rule keeps: planned whole, explained, and finished by the next run when it is cut off.

For each backup, in this order: a tombstone that says it is being deleted, then the manifest (from then on it is no
backup), then what lies beside it, the payload, and the tombstone. A run that is killed in between leaves the tombstone,
and the next one goes on from there.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, runtime_checkable

from ops.actions.backup import held_lock
from ops.actions.candidates import candidate_of
from ops.actions.catalogue import Backup, read_catalogue
from ops.actions.inspection import critical
from ops.errors import OpsError, StoreError
from ops.fsio.locking import claimed_for_deletion
from ops.fsio.staging import translated_write_errors
from ops.joblog import Job
from ops.model import Finding, Severity
from ops.naming import (
    CHECKSUM_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    manifest_key,
    payload_of_evidence,
    payload_of_pin,
    tombstone_key,
)
from ops.ports import LocalFiles, Store
from ops.retention import Plan, Policy, plan_retention
from ops.units import format_time

_MOST_TOMBSTONE_BYTES = 1 << 20


@runtime_checkable
class Retaining(Protocol):
    """A store that keeps files from being removed until a time, whoever asks."""

    def retained_until(self, key: str) -> datetime | None:
        """Until when `key` is kept, in UTC; for a folder the latest of its files; None when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """Which source's backups by which policy; `dry_run`: only plan; `wait_s`: for another run on the source."""

    source: str
    policy: Policy
    dry_run: bool = False
    wait_s: float = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was planned for each group of like backups (kind and scope), what is gone, and what was noticed."""

    source: str
    store: Store
    plans: dict[str, Plan]
    deleted: tuple[str, ...]
    freed: int
    findings: tuple[Finding, ...]


def prune(store: Store, request: PruneRequest, job: Job) -> Pruned:
    """Apply the policy to the backups of one source in one store.

    Raises LockHeldError when another run works on the source, StoreError when the store can not be read.
    """
    with contextlib.ExitStack() as stack:
        if not request.dry_run:
            stack.enter_context(held_lock(request.source, store, request.wait_s, job))
        return _Pruning(store, request, job).run()


@dataclass(frozen=True, slots=True)
class _Pruning:
    store: Store
    request: PruneRequest
    job: Job

    def run(self) -> Pruned:
        with self.job.step("plan"):
            resumed = [] if self.request.dry_run else self._finish()
            catalogue = read_catalogue(self.store)
            stored = {file.key: file.size for file in self.store.list()}
            mine = [item for item in catalogue.backups if item.manifest.source.name == self.request.source]
            unreadable = [item for item in catalogue.findings if item.severity is Severity.CRITICAL]
            plans = _stopped_by(unreadable, self._plan(mine, stored))
        findings = [*unreadable, *(self._resumed(name) for name in resumed)]
        findings += [_refused(plan.refusal, group) for group, plan in plans.items() if plan.refusal]
        doomed = [item.name for plan in plans.values() for item in plan.doomed]
        by_name, beside = {item.name: item for item in mine}, _beside(stored)
        if self.request.dry_run:
            locked = filter(None, (self._locked(by_name[name]) for name in doomed))
            return Pruned(self.request.source, self.store, plans, (), 0, (*findings, *locked))
        deleted, freed = [], 0
        with self.job.step("prune") as facts:
            for name in doomed:
                problem = self._delete(by_name[name], beside[name])
                if problem is None:
                    deleted.append(name)
                    freed += by_name[name].manifest.size
                else:
                    findings.append(problem)
            facts.bytes = freed
        return Pruned(self.request.source, self.store, plans, (*resumed, *deleted), freed, tuple(findings))

    def _plan(self, mine: Sequence[Backup], stored: dict[str, int]) -> dict[str, Plan]:
        now, groups = self.job.clock(), defaultdict(list)
        for backup in mine:
            group = f"{backup.manifest.source.kind}, {backup.manifest.scope}"
            groups[group].append(candidate_of(backup, stored, held=backup.held_by(now)))
        return {
            group: plan_retention(candidates, self.request.policy, now)
            for group, candidates in sorted(groups.items())
        }

    def _delete(self, backup: Backup, beside: Sequence[str]) -> Finding | None:
        """Delete one backup; a finding when it stays, or did not go whole."""
        if locked := self._locked(backup):
            return locked
        with self._unread(backup) as free:
            if not free:
                message = f"{backup.name} stays for now: another run reads it"
                return Finding(severity=Severity.OK, code="prune.in_use", message=message, where=backup.name)
            try:
                self._bury(backup)
                self._remove(backup.name, beside)
            except OpsError as error:
                return critical(error, backup.name)
        return None

    def _locked(self, backup: Backup) -> Finding | None:
        """A finding when the store itself keeps the backup until a time: that is never fought."""
        if not isinstance(self.store, Retaining):
            return None
        until = max(
            (
                time
                for key in (manifest_key(backup.name), backup.name)
                if (time := self.store.retained_until(key))
            ),
            default=None,
        )
        if until is None or until <= self.job.clock():
            return None
        message = f"{backup.name} stays: the store keeps it until {format_time(until)}"
        return Finding(severity=Severity.OK, code="prune.locked", message=message, where=backup.name)

    @contextlib.contextmanager
    def _unread(self, backup: Backup) -> Iterator[bool]:
        if not isinstance(self.store, LocalFiles):
            yield True
            return
        with claimed_for_deletion(self.store.path_of(manifest_key(backup.name))) as claimed:
            yield claimed

    def _bury(self, backup: Backup) -> None:
        key = tombstone_key(backup.name)
        document = {
            "version": 1,
            "source": self.request.source,
            "backup": backup.name,
            "created_at": format_time(backup.manifest.created_at),
            "size": backup.manifest.size,
            "job_id": self.job.job_id,
            "pruned_at": format_time(self.job.clock()),
        }
        with contextlib.ExitStack() as stack:
            # Another machine may have begun with the same backup: it says the same.
            stack.enter_context(_name_taken_is_fine())
            staged = stack.enter_context(self.store.stage(key))
            with translated_write_errors(staged):
                staged.write_text(json.dumps(document, indent=2) + "\n", "ascii")
            self.store.put(key, staged)

    def _remove(self, payload: str, beside: Sequence[str]) -> None:
        """Manifest first, tombstone last."""
        for key in dict.fromkeys([manifest_key(payload), *beside, payload]):
            self.store.delete(key)
        self.store.delete(tombstone_key(payload))

    def _finish(self) -> list[str]:
        """Go on where a prune of this source was cut off; the backups that are gone now."""
        stored = {file.key: file.size for file in self.store.list()}
        finished, beside = [], _beside(stored)
        for key in sorted(key for key in stored if key.endswith(TOMBSTONE_SUFFIX) and "/" not in key):
            payload = key.removesuffix(TOMBSTONE_SUFFIX)
            if not self._is_mine(key):
                continue
            if manifest_key(payload) in stored:
                # Cut off before anything was deleted: whether it goes is decided anew. The note may be locked.
                with contextlib.suppress(StoreError):
                    self.store.delete(key)
                continue
            self._remove(payload, beside[payload])
            finished.append(payload)
        return finished

    def _is_mine(self, key: str) -> bool:
        try:
            with self.store.open(key) as file:
                document = json.loads(file.read(_MOST_TOMBSTONE_BYTES))
            return bool(document["source"] == self.request.source)
        except (OpsError, ValueError, KeyError, TypeError):
            return False

    def _resumed(self, name: str) -> Finding:
        message = f"finished deleting {name}, which a run that was cut off had begun"
        return Finding(severity=Severity.OK, code="prune.resumed", message=message, where=name)


def _stopped_by(unreadable: Sequence[Finding], plans: dict[str, Plan]) -> dict[str, Plan]:
    """The plans, in which nothing goes while something can not be read: that might be the newest, or a bad verdict.

    A pin that can not be read holds its backup, and stops nothing else.
    """
    reasons = [item for item in unreadable if item.code != "backup.pin_invalid"]
    if not reasons:
        return plans
    refusal = f"{reasons[0].message}; look at it, and take it away if it is of no use"
    return {group: replace(plan, refusal=refusal) if plan.doomed else plan for group, plan in plans.items()}


def _beside(keys: Iterable[str]) -> Mapping[str, list[str]]:
    """By payload the keys of its evidence, pins and checksum files, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        about = payload_of_evidence(key) or payload_of_pin(key)
        if about is None and key.endswith((CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX)) and "/" not in key:
            about = key.rsplit(".", 1)[0]
        if about is not None:
            found[about].append(key)
    return found


@contextlib.contextmanager
def _name_taken_is_fine() -> Iterator[None]:
    try:
        yield
    except OpsError as error:
        if error.code != "refused.name_taken":
            raise


def _refused(why: str | None, group: str) -> Finding:
    message = f"nothing is deleted: {why}"
    return Finding(severity=Severity.WARNING, code="prune.refused", message=message, where=group)
