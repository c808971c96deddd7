"""What retention keeps and why, for people and as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ops.actions.prune import Pruned
from ops.model.evidence import Pin
from ops.model.findings import Severity, worst
from ops.report.documents import findings_document
from ops.report.printable import printable
from ops.report.screen import screen
from ops.report.text import facts, findings_text, table
from ops.repository.backup import Backup
from ops.repository.retention import Decision
from ops.units import format_duration, format_size, format_time


def pruned_document(pruned: Pruned, *, dry_run: bool) -> dict[str, object]:
    """Every backup with the rules that keep it, and what is gone."""
    return {
        "source": pruned.source,
        "store": pruned.store,
        "dry_run": dry_run,
        "groups": [
            {
                "group": group,
                "refusal": plan.refusal,
                "backups": [
                    {
                        "name": item.candidate.name,
                        "created_at": format_time(item.candidate.created_at),
                        "size": item.candidate.size,
                        "keep": item.keep or plan.refusal is not None,
                        "reasons": list(item.reasons),
                    }
                    for item in plan.decisions
                ],
            }
            for group, plan in pruned.plans.items()
        ],
        "doomed": [item.name for plan in pruned.plans.values() for item in plan.doomed],
        "deleted": list(pruned.deleted),
        "freed": 0 if pruned.hidden else pruned.freed,
        "hidden": pruned.freed if pruned.hidden else 0,
        "findings": findings_document(pruned.findings),
    }


def pruned_text(pruned: Pruned, now: datetime, *, dry_run: bool) -> str:
    """One table for each group of like backups, then one sentence."""
    parts: list[str] = []
    shown = {} if screen().is_brief and not dry_run else pruned.plans
    for group, plan in shown.items():
        rows = [_row(item, plan.refusal, pruned, now, dry_run=dry_run) for item in plan.decisions]
        parts += [
            f"{pruned.source} in {printable(pruned.store)} ({group})",
            table(["Backup", "Age", "Size", "", "Because"], rows, ("Backup", "", "Because")),
            "",
        ]
    if text := findings_text(pruned.findings, all_of_them=True):
        parts += [text, ""] if shown else [text]
    return "\n".join([*parts, _summary(pruned, dry_run=dry_run)])


def _row(item: Decision, refusal: str | None, pruned: Pruned, now: datetime, *, dry_run: bool) -> list[str]:
    candidate = item.candidate
    if item.keep:
        done, why = "keep", ", ".join(item.reasons)
    else:
        done, why = "delete", "no rule keeps it"
        if refusal is not None:
            done, why = "keep", "nothing is deleted now"
        elif not dry_run:
            gone = "hidden" if pruned.hidden else "deleted"
            done = gone if candidate.name in pruned.deleted else "STAYS"
    age_s = max(0.0, (now - candidate.created_at).total_seconds())
    return [candidate.name, format_duration(age_s), format_size(candidate.size), done, why]


def _summary(pruned: Pruned, *, dry_run: bool) -> str:
    planned = {item.candidate.name for plan in pruned.plans.values() for item in plan.decisions}
    # What a run that was cut off had begun to delete is planned by nobody any more.
    total = len(planned.union(pruned.deleted))
    if not total:
        read = "" if worst(list(pruned.findings)) is Severity.OK else " that could be read"
        return f"There is no backup of {pruned.source} in {pruned.store}{read}."
    if dry_run:
        doomed = [item for plan in pruned.plans.values() for item in plan.doomed]
        size = format_size(sum(item.size for item in doomed))
        return (
            f"Would delete {len(doomed)} of {total} backups of {pruned.source} ({size}); nothing was changed."
        )
    if pruned.hidden:
        still = f"{format_size(pruned.freed)} stay as versions"
        return f"{len(pruned.deleted)} of {total} backups of {pruned.source} hidden ({still})."
    return (
        f"{len(pruned.deleted)} of {total} backups of {pruned.source} deleted ({format_size(pruned.freed)})."
    )


def pin_document(pin: Pin) -> dict[str, object]:
    """A pin as plain JSON values."""
    return {
        "backup": pin.backup,
        "reason": pin.reason,
        "until": None if pin.until is None else format_time(pin.until),
        "pinned_at": format_time(pin.pinned_at),
        "job_id": pin.job_id,
        "host": pin.host,
    }


def pinned_text(backup: Backup, pin: Pin) -> str:
    """What `backup.keep` did."""
    pairs = [
        ("job", pin.job_id),
        ("store", backup.store.name),
        ("until", "it is released" if pin.until is None else format_time(pin.until)),
        ("reason", pin.reason),
    ]
    return "\n".join([f"{printable(backup.name)} is kept", facts(pairs)])


def released_text(backup: Backup, keys: Sequence[str]) -> str:
    """What `backup.release` did."""
    if not keys:
        return f"{printable(backup.name)} was not pinned"
    pins = "1 pin" if len(keys) == 1 else f"{len(keys)} pins"
    return f"{printable(backup.name)} is released ({pins} taken back); retention decides about it again"
