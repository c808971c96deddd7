"""What the plans of a source's groups owe each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from ops.repository.retention import Candidate, Decision, Plan

Group = TypeVar("Group")
_RELIED: Final = ("last good", "last proven")


def keep_needed_elsewhere(plans: Mapping[Group, Plan]) -> dict[Group, Plan]:
    """Return the plans, in which nothing goes that a backup of another group needs and that stays."""
    together = dict(plans)
    while True:
        needed = {
            name: item.candidate.name
            for plan in together.values()
            for item in plan.decisions
            if item.keep or plan.refusal is not None
            for name in item.candidate.needs
        }
        changed = False
        for group, plan in together.items():
            decisions = tuple(_kept_for(item, needed) for item in plan.decisions)
            changed = changed or decisions != plan.decisions
            together[group] = replace(plan, decisions=decisions)
        if not changed:
            return together


def _kept_for(item: Decision, needed: Mapping[str, str]) -> Decision:
    if item.keep or item.candidate.name not in needed:
        return item
    return Decision(item.candidate, (f"needed by {needed[item.candidate.name]}",))


def relied_on(plan: Plan, needs: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the last good and the last proven backup of a plan, with all that they need, each with what it is.

    `needs`: of every backup of the source, since a base may be of another group.
    """
    todo = [(item.candidate.name, why) for why in _RELIED for item in plan.decisions if why in item.reasons]
    found: dict[str, str] = {}
    while todo:
        name, why = todo.pop(0)
        if name in needs and name not in found:
            found[name] = why
            todo += [(other, why) for other in needs[name]]
    return found


def deletion_order(plans: Iterable[Plan]) -> list[Candidate]:
    """Return all that is to be deleted: what needs others before what it needs, and else the oldest first.

    Wherever a deletion is refused or the run is cut off, what is left then has all that it needs.
    """
    doomed = [item for plan in plans for item in plan.doomed]
    doomed.sort(key=lambda item: (item.sequence, item.created_at, item.name))
    # What is needed is older than what needs it.
    return [item for item in reversed(doomed) if item.needs] + [item for item in doomed if not item.needs]
