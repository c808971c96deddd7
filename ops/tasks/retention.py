"""The tasks of the collection `backup` that delete backups, or keep them from that: flags and help.

Nothing heavy is imported here, as in `backup`. What the tasks do is in `pruning`.
"""

from __future__ import annotations

from ops.tasks.command import BACKUP, WAIT, Flags, command


@command(
    help={
        "source": "name of the source (default: all)",
        "yes": "really delete",
        "dry_run": "say what would be deleted, and by which rule the others stay; delete nothing",
        "wait": WAIT,
    },
)
def prune(
    flags: Flags,
    source: str = "",
    yes: bool = False,
    dry_run: bool = False,
    wait: str = "0",
) -> None:
    """Delete the backups that no rule keeps."""
    from ops.tasks import pruning
    from ops.tasks.session import conduct

    wanted = pruning.Wanted(source=source, yes=yes, dry_run=dry_run, wait=wait)
    conduct("backup.prune", flags, lambda session: pruning.prune_all(session, wanted))


@command(
    positional=["backup"],
    help={
        "backup": BACKUP,
        "reason": "why it must stay",
        "until": 'a day like 2027-03-01 or a duration like "90d" (default: until it is released)',
        "source": "whose latest",
    },
)
def keep(
    flags: Flags,
    backup: str,
    reason: str = "",
    until: str = "",
    source: str = "",
) -> None:
    """Pin a backup: no retention deletes it."""
    from ops.tasks import pruning
    from ops.tasks.session import conduct

    conduct("backup.keep", flags, lambda session: pruning.keep(session, backup, source, reason, until))


@command(positional=["backup"], help={"backup": BACKUP, "source": "whose latest"})
def release(
    flags: Flags,
    backup: str,
    source: str = "",
) -> None:
    """Take back all pins of a backup."""
    from ops.tasks import pruning
    from ops.tasks.session import conduct

    conduct("backup.release", flags, lambda session: pruning.release(session, backup, source))
