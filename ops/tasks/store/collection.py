"""The collection `store`: flags and help. What the tasks do is in the modules beside this one.

Nothing heavy is imported here, as in `backup`.
"""

from __future__ import annotations

from invoke.collection import Collection

from ops.tasks.command import BACKUP, WAIT, Flags, command


@command(
    help={
        "store": "only this store (default: all)",
        "create": "begin a new store there, where the one that this machine knew is gone",
    }
)
def check(
    flags: Flags,
    store: str = "",
    create: bool = False,
) -> None:
    """Try out what every store must do, with files that are removed again."""
    from ops.tasks.session import conduct
    from ops.tasks.store import check as work

    conduct("store.check", flags, lambda session: work.check(session, store, create=create))


@command(
    positional=["backup"],
    help={
        "backup": f"{BACKUP} (default: all that are missing in the further stores of each source)",
        "store": "only to this store; needed for a backup whose source names no further one",
        "source": "only this source's backups",
    },
)
def push(
    flags: Flags,
    backup: str = "",
    store: str = "",
    source: str = "",
) -> None:
    """Copy backups to further stores."""
    from ops.tasks.session import conduct
    from ops.tasks.store import push as work
    from ops.tasks.store.copy import Wanted

    wanted = Wanted(backup=backup or "", store=store, source=source)
    conduct("store.push", flags, lambda session: work.push(session, wanted))


@command(
    positional=["backup"],
    help={
        "backup": f"{BACKUP}; STORE:NAME for the copy in one store",
        "store": "to this store (default: where backups of its source are made)",
        "source": "whose latest",
    },
)
def pull(
    flags: Flags,
    backup: str,
    store: str = "",
    source: str = "",
) -> None:
    """Copy a backup from a further store back to where it was made."""
    from ops.tasks.session import conduct
    from ops.tasks.store import pull as work
    from ops.tasks.store.copy import Wanted

    wanted = Wanted(backup=backup, store=store, source=source)
    conduct("store.pull", flags, lambda session: work.pull(session, wanted))


@command(
    help={
        "store": "only in this store (default: in every store that seals)",
        "source": "only this source's backups",
        "yes": "really do it: the old ones are deleted, each after its successor was opened here",
        "dry_run": "say which would be sealed anew, change nothing",
        "wait": WAIT,
    },
)
def reencrypt(
    flags: Flags,
    store: str = "",
    source: str = "",
    yes: bool = False,
    dry_run: bool = False,
    wait: str = "0",
) -> None:
    """Seal old backups anew for the keys of today."""
    from ops.tasks.session import conduct
    from ops.tasks.store import reencrypt as work

    wanted = work.Wanted(store=store, source=source, yes=yes, dry_run=dry_run, wait=wait)
    conduct("store.reencrypt", flags, lambda session: work.reencrypt_all(session, wanted))


namespace = Collection("store", check, push, pull, reencrypt)
