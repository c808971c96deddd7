"""Deleting what no rule keeps: planned whole, explained, and finished by the next run when it is cut off."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ops.formats.source_place import SourcePlace
from ops.model.findings import Finding, Severity
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.delete import beside, delete_backup, finish_deletions, locked_finding
from ops.repository.locks import held_lock
from ops.repository.recovery import give_up_uploads
from ops.repository.repository import Repository
from ops.repository.retention import Plan, Policy, plan_retention
from ops.repository.retention_candidates import candidates_of
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """Which source's backups by which policy; `dry_run`: only plan; `wait_s`: for another run on the source.

    `place`: the source's, for the lock of this machine. `stale_after`: when an upload that was begun and never finished is given up.
    """

    source: str
    policy: Policy
    dry_run: bool = False
    wait_s: float = 0
    place: str = ""
    stale_after: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was planned for each group of like backups (kind and scope), what is gone, and what was noticed."""

    source: str
    store: str
    plans: dict[str, Plan]
    deleted: tuple[str, ...]
    freed: int
    findings: tuple[Finding, ...]


def prune(repository: Repository, request: PruneRequest, job: Job) -> Pruned:
    """Apply the policy to the backups of one source in one store.

    Raises LockHeldError when another run works on the source, StateError when this machine cannot keep others off,
    StoreError when the store can not be read.
    """
    with contextlib.ExitStack() as stack:
        if not request.dry_run:
            whose = SourcePlace(request.source, request.place)
            stack.enter_context(held_lock(whose, repository, request.wait_s, job, deletes=True))
        return _Pruning(repository, request, job).run()


@dataclass(frozen=True, slots=True)
class _Pruning:
    repository: Repository
    request: PruneRequest
    job: Job

    def run(self) -> Pruned:
        store = self.repository.store
        with self.job.step("plan"):
            resumed = [] if self.request.dry_run else finish_deletions(store, self.request.source)
            catalogue = read_catalogue(store)
            stored = sizes_in(store)
            mine = [item for item in catalogue.backups if item.manifest.source.name == self.request.source]
            unreadable = [item for item in catalogue.findings if item.severity is Severity.CRITICAL]
            plans = _stopped_by(unreadable, self._plan(mine, stored))
        findings = [*unreadable, *(self._resumed(name) for name in resumed)]
        findings += [_refused(plan.refusal, group) for group, plan in plans.items() if plan.refusal]
        doomed = [item.name for plan in plans.values() for item in plan.doomed]
        by_name, about = {item.name: item for item in mine}, beside(stored)
        if self.request.dry_run:
            locked = filter(None, (locked_finding(by_name[name], self.job) for name in doomed))
            return Pruned(self.request.source, self.repository.name, plans, (), 0, (*findings, *locked))
        deleted, freed = [], 0
        with self.job.step("prune") as facts:
            for name in doomed:
                problem = delete_backup(by_name[name], about[name], self.job)
                if problem is None:
                    deleted.append(name)
                    freed += by_name[name].manifest.size
                else:
                    findings.append(problem)
            facts.bytes = freed
        findings += give_up_uploads(self.repository, self.request.stale_after)
        return Pruned(
            self.request.source, self.repository.name, plans, (*resumed, *deleted), freed, tuple(findings)
        )

    def _plan(self, mine: Sequence[Backup], stored: dict[str, int]) -> dict[str, Plan]:
        now, groups = self.job.clock(), defaultdict(list)
        for backup, candidate in zip(mine, candidates_of(mine, stored, held_at=now), strict=True):
            group = f"{backup.manifest.source.kind}, {backup.manifest.scope}"
            groups[group].append(candidate)
        return {
            group: plan_retention(candidates, self.request.policy, now)
            for group, candidates in sorted(groups.items())
        }

    def _resumed(self, name: str) -> Finding:
        message = f"finished deleting {name}, which a run that was cut off had begun"
        return Finding(severity=Severity.OK, code="prune.resumed", message=message, where=name)


def _stopped_by(unreadable: Sequence[Finding], plans: dict[str, Plan]) -> dict[str, Plan]:
    """The plans, in which nothing goes while something can not be read: that might be the newest, or a bad verdict.

    A pin that can not be read holds its backup, and stops nothing else; neither does a backup whose payload is gone,
    which is none of the good ones.
    """
    reasons = [
        item for item in unreadable if item.code not in {"backup.pin_invalid", "backup.payload_missing"}
    ]
    if not reasons:
        return plans
    refusal = f"{reasons[0].message}; look at it, and take it away if it is of no use"
    return {group: replace(plan, refusal=refusal) if plan.doomed else plan for group, plan in plans.items()}


def _refused(why: str | None, group: str) -> Finding:
    message = f"nothing is deleted: {why}"
    return Finding(severity=Severity.WARNING, code="prune.refused", message=message, where=group)
