"""Deleting what no rule keeps: planned whole, explained, and finished by the next run when it is cut off."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.delete import Deletion, beside, delete_backup, finish_deletions
from ops.repository.identity import require_another
from ops.repository.locks import deleting, held_lock
from ops.repository.own import (
    Elsewhere,
    OwnBackups,
    backups_to_clear,
    held_in,
    own_backups,
)
from ops.repository.plans_together import deletion_order, keep_needed_elsewhere, relied_on
from ops.repository.policy_record import has_pruned, remember_pruned
from ops.repository.presence import lost, prove_present
from ops.repository.private_memory import recalled
from ops.repository.recovery import give_up_uploads, sweep
from ops.repository.repository import Repository
from ops.repository.retention import Candidate, Plan, Policy, plan_retention
from ops.repository.retention_candidates import Group, candidates_of
from ops.repository.series import said_of_others
from ops.repository.versions import kept_versions, locked_finding
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """Whose backups by which policy; `dry_run`: only plan; `wait_s`: for another run on the source.

    `by_scope`: policies for backups of one scope; `named`: those that a backup may name itself. `many`: also where most
    of what is there would go. `series`: not the own backups, but those of one other series, whose source is gone.
    `elsewhere`: the source's other stores, which may know more of adopted series. `stale_after`: when an upload that was begun and never finished is given up.
    """

    whose: Whose
    policy: Policy
    by_scope: Mapping[str, Policy] = field(default_factory=dict)
    named: Mapping[str, Policy] = field(default_factory=dict)
    many: bool = False
    dry_run: bool = False
    wait_s: float = 0
    series: str = ""
    elsewhere: tuple[Repository, ...] = ()
    stale_after: timedelta = timedelta(days=7)

    def policy_of(self, group: Group) -> Policy:
        """Return what prunes a group of like backups; everything is kept where a backup names a policy that is not known."""
        if group.policy:
            return self.named.get(group.policy, Policy(forever=True))
        return self.by_scope.get(group.scope, self.policy)


MANY: Final = 10
"""So few are deleted without being asked whether that is meant."""
_MANY_HINT: Final = (
    "and this policy has not pruned this source here before: look at it with --dry-run, then add --many"
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was planned for each group of like backups (kind and scope), what is gone, and what was noticed.

    `freed`: bytes of what is gone. `hidden`: the store keeps them as versions.
    """

    source: str
    store: str
    plans: dict[str, Plan]
    deleted: tuple[str, ...]
    freed: int
    findings: tuple[Finding, ...]
    hidden: bool = False


def prune(repository: Repository, request: PruneRequest, job: Job) -> Pruned:
    """Apply the policy to the backups of one source in one store.

    Raises LockHeldError when another run works on the source, StateError when this machine cannot keep others off,
    StoreError when the store cannot be read, or is also one of those `elsewhere`.
    """
    require_another(repository.store, (item.store for item in request.elsewhere))
    how = Deletion()
    with contextlib.ExitStack() as stack:
        if not request.dry_run:
            stack.enter_context(held_lock(request.whose, repository, request.wait_s, job, deletes=True))
            how = stack.enter_context(deleting(request.whose, repository, "prune", request.wait_s, job))
        return _Pruning(repository, request, job, how).run()


@dataclass(frozen=True, slots=True)
class _Pruning:
    repository: Repository
    request: PruneRequest
    job: Job
    how: Deletion

    def run(self) -> Pruned:
        store = self.repository.store
        with self.job.step("plan"):
            resumed = [] if self.request.dry_run else finish_deletions(store, self.request.whose)
            catalogue = read_catalogue(store)
            stored = sizes_in(store)
            own = own_backups(
                self.request.whose,
                store,
                catalogue,
                Elsewhere.of(item.store for item in self.request.elsewhere),
            )
            mine, alarm = self._chosen(own)
            unreadable = [item for item in catalogue.findings if item.severity is Severity.CRITICAL]
            unreadable += [*own.findings, *alarm]
            plans = _stopped_by(unreadable, self._plan(mine, stored, held_in(own, mine, self.job.clock())))
        findings = [*unreadable, *(self._resumed(name) for name in resumed)]
        findings += self._others(own)
        findings += [_refused(plan.refusal, group) for group, plan in plans.items() if plan.refusal]
        findings += self._noticed(mine, plans)
        by_name, about = {item.name: item for item in mine}, beside(stored)
        if not self.request.dry_run:
            with self.job.step("prove present"):
                plans, problems = self._present(by_name, plans)
            findings += problems
        doomed = deletion_order(plans.values())
        if self.request.dry_run:
            locked = filter(None, (locked_finding(by_name[item.name], self.job) for item in doomed))
            return Pruned(self.request.whose.name, self.repository.name, plans, (), 0, (*findings, *locked))
        if self.how.observer is not None:
            self.how.observer.watch_readers([item.name for item in doomed])
        with self.job.step("prune") as facts:
            deleted, stayed = self._delete(by_name, doomed, about)
            facts.bytes = freed = sum(by_name[name].manifest.size for name in deleted)
        findings += stayed
        if deleted:
            findings += self._settle(by_name, stored, {item.name for item in doomed})
        findings += [*sweep(self.repository), *give_up_uploads(self.repository, self.request.stale_after)]
        if deleted and self.how.in_two_steps:
            findings.append(_payloads_later(deleted))
        hidden, said = kept_versions(store, len(deleted), freed, self.job.clock())
        gone = (*resumed, *deleted)
        return Pruned(self.request.whose.name, store.name, plans, gone, freed, (*findings, *said), hidden)

    def _chosen(self, own: OwnBackups) -> tuple[list[Backup], list[Finding]]:
        """The backups that are pruned, newest first, and what forbids to delete any of them."""
        wanted = self.request.series
        if not wanted:
            return own.with_parts, own.alarms(self.job.clock())
        return backups_to_clear(own, wanted, self.job.clock()), []

    def _others(self, own: OwnBackups) -> list[Finding]:
        """What is said of the other series of the name: prune leaves them alone, and that is no warning."""
        others = [] if self.request.series else own.others(self.job.clock())
        return [
            replace(item, severity=Severity.OK)
            for item in said_of_others(self.request.whose, others, has_own=bool(own.mine))
        ]

    def _plan(
        self, mine: Sequence[Backup], stored: dict[str, int], held: Mapping[str, str]
    ) -> dict[str, Plan]:
        now, groups = self.job.clock(), defaultdict[Group, list[Candidate]](list)
        known = [recalled(item, self.repository) for item in mine]
        for backup, candidate in zip(mine, candidates_of(known, stored, held_at=now), strict=True):
            why = held.get(backup.name)
            kept = replace(candidate, held=(*candidate.held, why)) if why else candidate
            groups[Group.of(backup)].append(kept)
        plans = {
            group: plan_retention(candidates, self.request.policy_of(group), now)
            for group, candidates in sorted(groups.items())
        }
        plans = keep_needed_elsewhere(plans)
        why = self._many(plans)
        return {
            str(group): replace(plan, refusal=why)
            if why and plan.doomed and not self.request.dry_run
            else plan
            for group, plan in plans.items()
        }

    def _many(self, plans: Mapping[Group, Plan]) -> str | None:
        """Why somebody should look first; None where few of what is there would go, or this was agreed to once."""
        doomed = sum(len(plan.doomed) for plan in plans.values())
        total = sum(len(plan.decisions) for plan in plans.values())
        if self.request.many or doomed < MANY or 2 * doomed <= total:
            return None
        whose = self.request.whose
        policies = {self.request.policy_of(group) for group, plan in plans.items() if plan.doomed}
        if all(has_pruned(self.repository.store, whose, policy) for policy in policies):
            return None
        return f"{doomed} of {total} backups would go, {_MANY_HINT}"

    def _present(
        self, mine: Mapping[str, Backup], plans: dict[str, Plan]
    ) -> tuple[dict[str, Plan], list[Finding]]:
        """The plans, in which nothing goes of a group whose last good backup is not proven to be there."""
        proven: dict[str, Plan] = {}
        problems: list[Finding] = []
        needs = {
            item.candidate.name: item.candidate.needs for plan in plans.values() for item in plan.decisions
        }
        for group, plan in plans.items():
            wanted = relied_on(plan, needs) if plan.doomed else {}
            looks = (
                prove_present(mine[name], self.job.clock(), self.job.progress, why)
                for name, why in wanted.items()
            )
            problem = next((item for item in looks if item is not None), None)
            proven[group] = plan
            if problem is not None:
                problems.append(problem)
                proven[group] = replace(plan, refusal=problem.message)
        # Of a group in which nothing goes any more, older backups stay too, and with them what they need elsewhere.
        return keep_needed_elsewhere(proven), problems

    def _delete(
        self, mine: Mapping[str, Backup], doomed: Sequence[Candidate], about: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], list[Finding]]:
        """The names of what is gone, and a finding for each that stays; with it stays what it needs."""
        deleted: list[str] = []
        stayed: list[Finding] = []
        needed: dict[str, str] = {}
        for item in doomed:
            problem = (
                _still_needed(item.name, needed[item.name])
                if item.name in needed
                else delete_backup(mine[item.name], about[item.name], self.job, self.how)
            )
            if problem is None:
                deleted.append(item.name)
                continue
            stayed.append(problem)
            needed.update(dict.fromkeys(item.needs, item.name))
        return deleted, stayed

    def _noticed(self, mine: Sequence[Backup], plans: Mapping[str, Plan]) -> list[Finding]:
        """What an operator should know of the plans beside what they keep."""
        unknown = {
            item.policy
            for item in map(Group.of, mine)
            if item.policy and item.policy not in self.request.named
        }
        volatile = sorted({table for plan in plans.values() for table in plan.volatile})
        findings = [_unknown_policy(name) for name in sorted(unknown)]
        if self.request.dry_run and (
            why := self._many({item: plans[str(item)] for item in map(Group.of, mine)})
        ):
            findings.append(Finding(severity=Severity.OK, code="prune.many", message=why))
        if volatile:
            message = f"lose most of their rows regularly, so nothing is kept for that: {', '.join(volatile)}"
            findings.append(Finding(severity=Severity.OK, code="prune.volatile", message=message))
        return findings

    def _settle(
        self, mine: Mapping[str, Backup], before: Mapping[str, int], doomed: set[str]
    ) -> list[Finding]:
        """Look whether what was to stay is there, and note which policies were at work."""
        store, whose = self.repository.store, self.request.whose
        kept = [item for item in mine.values() if item.name not in doomed]
        findings = lost(kept, before, sizes_in(store))
        for policy in {self.request.policy_of(Group.of(mine[name])) for name in doomed}:
            remember_pruned(store, whose, policy, self.job.clock())
        return findings

    def _resumed(self, name: str) -> Finding:
        message = f"finished deleting {name}, which a run that was cut off had begun"
        return Finding(severity=Severity.OK, code="prune.resumed", message=message, where=name)


def _payloads_later(names: Sequence[str]) -> Finding:
    message = (
        f"{len(names)} payloads stay for a day, because this store shows no leases and who reads is not seen: the first"
        " backup.prune after that deletes them"
    )
    return Finding(severity=Severity.OK, code="prune.later", message=message)


def _stopped_by(unreadable: Sequence[Finding], plans: dict[str, Plan]) -> dict[str, Plan]:
    """The plans, in which nothing goes while something cannot be read: that might be the newest, or a bad verdict.

    A pin that cannot be read holds its backup, and stops nothing else; neither does a backup whose payload is gone,
    which is none of the good ones.
    """
    reasons = [
        item for item in unreadable if item.code not in {"backup.pin_invalid", "backup.payload_missing"}
    ]
    if not reasons:
        return plans
    refusal = f"{reasons[0].message}; look at it, and take it away if it is of no use"
    return {group: replace(plan, refusal=refusal) if plan.doomed else plan for group, plan in plans.items()}


def _still_needed(name: str, by: str) -> Finding:
    message = f"{name} stays as long as {by} does, which needs it"
    return Finding(severity=Severity.OK, code="prune.needed", message=message, where=name)


def _unknown_policy(name: str) -> Finding:
    message = f"backups name the policy {name!r}, which is not configured: all of them are kept"
    return Finding(severity=Severity.WARNING, code="prune.policy_unknown", message=message, where=name)


def _refused(why: str | None, group: str) -> Finding:
    message = f"nothing is deleted: {why}"
    return Finding(severity=Severity.WARNING, code="prune.refused", message=message, where=group)
