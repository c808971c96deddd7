"""The tasks of `store` as they are declared; their work is in the modules beside this one."""

from __future__ import annotations

from ops.tasks.cli.command import command
from ops.tasks.cli.flags import parsed, required, several, switch, text
from ops.tasks.cli.texts import BACKUP, WAIT
from ops.tasks.cli.values import seconds


@command("store.check", writes=True)
class Check:
    """Try out what every store must do, with files that are removed again."""

    store: str = text("only this store (default: all)")
    create: bool = switch("begin a new store there, where the one that this machine knew is gone")


@command("store.push", writes=True)
class Push:
    """Copy backups to further stores."""

    backup: str = text(
        f"{BACKUP} (default: all that are missing in the further stores of each source)", positional=True
    )
    store: str = text("only to this store; needed for a backup whose source names no further one")
    source: tuple[str, ...] = several("only this source's backups; may be given several times")


@command("store.pull", writes=True)
class Pull:
    """Copy a backup from a further store back to where it was made."""

    backup: str = required(f"{BACKUP}; STORE:NAME for the copy in one store")
    store: str = text("to this store (default: where backups of its source are made)")
    source: str = text("whose latest")


@command("store.reencrypt", writes=True)
class Reencrypt:
    """Seal old backups anew for the keys of today."""

    store: str = text("only in this store (default: in every store that seals)")
    source: tuple[str, ...] = several("only this source's backups; may be given several times")
    yes: bool = switch("really do it: the old ones are deleted, each after its successor was opened here")
    dry_run: bool = switch("say which would be sealed anew, change nothing")
    wait: float = parsed(WAIT, seconds, default="0")
