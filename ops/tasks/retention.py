"""The tasks of the collection `backup` that delete backups, or keep them from that: flags and help.

Nothing heavy is imported here, as in `backup`. What the tasks do is in `pruning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from ops.tasks.arguments import BACKUP, COMMON, WAIT, OpsTask

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    klass=OpsTask,
    help={
        "source": "name of the source (default: all)",
        "yes": "really delete",
        "dry_run": "say what would be deleted, and by which rule the others stay; delete nothing",
        "wait": WAIT,
        **COMMON,
    },
)
def prune(
    _context: Context,
    source: str = "",
    yes: bool = False,
    dry_run: bool = False,
    wait: str = "0",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Delete the backups that no rule keeps."""
    from ops.tasks import pruning
    from ops.tasks.session import Flags, conduct

    wanted = pruning.Wanted(source=source, yes=yes, dry_run=dry_run, wait=wait)
    conduct(
        "backup.prune", Flags(config, format, no_network), lambda session: pruning.prune_all(session, wanted)
    )


@task(
    klass=OpsTask,
    positional=["backup"],
    help={
        "backup": BACKUP,
        "reason": "why it must stay",
        "until": 'a day like 2027-03-01 or a duration like "90d" (default: until it is released)',
        "source": "whose latest",
        **COMMON,
    },
)
def keep(
    _context: Context,
    backup: str,
    reason: str = "",
    until: str = "",
    source: str = "",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Pin a backup: no retention deletes it."""
    from ops.tasks import pruning
    from ops.tasks.session import Flags, conduct

    flags = Flags(config, format, no_network)
    conduct("backup.keep", flags, lambda session: pruning.keep(session, backup, source, reason, until))


@task(klass=OpsTask, positional=["backup"], help={"backup": BACKUP, "source": "whose latest", **COMMON})
def release(
    _context: Context,
    backup: str,
    source: str = "",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Take back all pins of a backup."""
    from ops.tasks import pruning
    from ops.tasks.session import Flags, conduct

    flags = Flags(config, format, no_network)
    conduct("backup.release", flags, lambda session: pruning.release(session, backup, source))
