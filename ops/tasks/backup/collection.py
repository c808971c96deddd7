"""The collection `backup`: flags and help. What the tasks do is in the modules beside this one.

Nothing heavy is imported here: `invoke --list` loads this file and stays quick.
"""

from __future__ import annotations

from invoke.collection import Collection

from ops.tasks.command import BACKUP, WAIT, Flags, command


@command(
    iterable=["tag", "accept", "table", "schema"],
    help={
        "source": "name of the source (default: all)",
        "scope": "only a part of a PostgreSQL database: schema or data (full: all of it)",
        "table": "only this table; may be given several times",
        "schema": "only this schema; may be given several times",
        "tenant": "only the rows of this tenant (tenant_column of the source)",
        "from_": "an SQLite file to back up instead of the configured sources",
        "out": "file name or folder for the backup (default: in the source's first store)",
        "verify": "restore the new backup into a scratch place and compare it",
        "tag": "a tag for the backup; may be given several times",
        "policy": "the policy that keeps this backup, whatever its source's or store's is",
        "accept": "source.swapped: two databases exchanged their names, and that is meant",
        "yes": "accepted for scripts; nothing here asks",
        "dry_run": "say what would be backed up, write nothing",
        "wait": WAIT,
    },
)
def create(
    flags: Flags,
    source: str = "",
    from_: str = "",
    out: str = "",
    scope: str = "",
    table: list[str] | None = None,
    schema: list[str] | None = None,
    tenant: str = "",
    verify: bool = False,
    tag: list[str] | None = None,
    policy: str = "",
    accept: list[str] | None = None,
    yes: bool = False,
    dry_run: bool = False,
    wait: str = "0",
) -> None:
    """Take a backup of one source, or of all."""
    from ops.model.requests import Part
    from ops.tasks.backup import create as work
    from ops.tasks.session import conduct

    part = Part(scope=scope, tables=tuple(table or ()), schemas=tuple(schema or ()), tenant=tenant)
    wanted = work.Wanted(
        part=part,
        source=source,
        file=from_,
        out=out,
        verify=verify,
        tags=tuple(tag or ()),
        policy=policy,
        accept=tuple(accept or ()),
        dry_run=dry_run,
        wait=wait,
    )
    conduct("backup.create", flags, lambda session: work.create(session, wanted))


@command(
    name="list",
    help={
        "source": "only backups of this source",
        "all": "also those of other series: other machines, and sources of before",
    },
)
def list_(
    flags: Flags,
    source: str = "",
    all: bool = False,
) -> None:
    """Show what backups there are: age, size, verified, proven."""
    from ops.tasks.backup import list as work
    from ops.tasks.session import conduct

    conduct("backup.list", flags, lambda session: work.list_all(session, source, everything=all))


@command(positional=["backup"], help={"backup": BACKUP, "source": "whose latest"})
def show(
    flags: Flags,
    backup: str,
    source: str = "",
) -> None:
    """Show one backup whole: manifest, tables, verifies and drills."""
    from ops.tasks.backup import show as work
    from ops.tasks.session import conduct

    conduct("backup.show", flags, lambda session: work.show(session, backup, source))


@command(
    positional=["backup"],
    help={
        "backup": f"{BACKUP} (default: the latest of each source)",
        "all": "every backup in every store",
        "level": "quick (checksums and structure) or full (restored into a scratch place and measured)",
        "source": "whose backups",
    },
)
def verify(
    flags: Flags,
    backup: str = "",
    all: bool = False,
    level: str = "quick",
    source: str = "",
) -> None:
    """Look at stored backups; change nothing."""
    from ops.tasks.backup import verify as work
    from ops.tasks.session import conduct

    wanted = work.WantedVerify(backup=backup or "", everything=all, level=level, source=source)
    conduct("backup.verify", flags, lambda session: work.verify(session, wanted))


@command(
    iterable=["table", "accept"],
    help={
        "from_": f"{BACKUP} (default: latest)",
        "source": "whose latest",
        "to": "file or database to restore to (default with --yes: the source's own; without: a scratch place)",
        "table": "restore only this table, into data that is there; may be given several times",
        "truncate": "PostgreSQL: replace the rows that a table of --table has",
        "schema_only": "PostgreSQL: structure without rows",
        "no_owner": "PostgreSQL: everything belongs to the role that restores",
        "no_acl": "PostgreSQL: leave rights (GRANT, REVOKE) away",
        "yes": "really replace what is there; it is kept as a safety backup first",
        "from_other_source": "with --yes: also where the backup is of another series than the live data that it replaces",
        "accept": "restore although this code is found, like sqlite.foreign_key; backup.checksum_mismatch only with --to NEW",
        "dry_run": "say what would be done, step by step, and do nothing",
        "verify": "accepted for scripts; every restore is verified",
        "wait": WAIT,
    },
)
def restore(
    flags: Flags,
    from_: str = "latest",
    source: str = "",
    to: str = "",
    table: list[str] | None = None,
    truncate: bool = False,
    schema_only: bool = False,
    no_owner: bool = False,
    no_acl: bool = False,
    yes: bool = False,
    from_other_source: bool = False,
    accept: list[str] | None = None,
    dry_run: bool = False,
    verify: bool = False,
    wait: str = "0",
) -> None:
    """Restore a backup: into a scratch place, unless told otherwise."""
    from ops.tasks.backup import restore as work
    from ops.tasks.session import conduct

    wanted = work.Wanted(
        backup=from_,
        source=source,
        to=to,
        tables=tuple(table or ()),
        truncate=truncate,
        schema_only=schema_only,
        no_owner=no_owner,
        no_acl=no_acl,
        yes=yes,
        from_other=from_other_source,
        accept=tuple(accept or ()),
        dry_run=dry_run,
        wait=wait,
    )
    conduct(
        "backup.restore",
        flags,
        lambda session: work.restore(session, wanted),
    )


@command(
    iterable=["table"],
    help={
        "source": "name of the source (default: all)",
        "from_": f"{BACKUP} (default: the latest of each source)",
        "table": "a partial drill of this PostgreSQL table, which proves nothing; may be given several times",
        "junit": "also write the result as JUnit XML to this file",
        "keep": "leave the restored copy in its scratch place and say where",
    },
)
def drill(
    flags: Flags,
    source: str = "",
    from_: str = "",
    table: list[str] | None = None,
    junit: str = "",
    keep: bool = False,
) -> None:
    """Restore into a scratch place, check, assert, time it, keep the evidence."""
    from ops.tasks.backup import drill as work
    from ops.tasks.session import conduct

    wanted = work.Wanted(source=source, backup=from_, junit=junit, keep=keep, tables=tuple(table or ()))
    conduct("backup.drill", flags, lambda session: work.drill(session, wanted))


@command(
    help={
        "source": "name of the source (default: all)",
        "yes": "really delete",
        "many": "also where ten or more backups, and most of what is there, would go",
        "series": "instead: the backups of another series whose source is gone, by the digits that backup.list shows",
        "policy": "with --series: by which policy",
        "dry_run": "say what would be deleted, and by which rule the others stay; delete nothing",
        "wait": WAIT,
    },
)
def prune(
    flags: Flags,
    source: str = "",
    yes: bool = False,
    many: bool = False,
    series: str = "",
    policy: str = "",
    dry_run: bool = False,
    wait: str = "0",
) -> None:
    """Delete the backups that no rule keeps."""
    from ops.tasks.backup import prune as work
    from ops.tasks.session import conduct

    wanted = work.Wanted(
        source=source, yes=yes, many=many, series=series, policy=policy, dry_run=dry_run, wait=wait
    )
    conduct("backup.prune", flags, lambda session: work.prune_all(session, wanted))


@command(
    positional=["series"],
    help={
        "series": "the 8 digits that backup.list shows",
        "source": "the source whose former backups they are",
        "undo": "separate it again",
        "yes": "also a series whose newest backup is young: another machine may still write it",
    },
)
def adopt(flags: Flags, series: str, source: str = "", undo: bool = False, yes: bool = False) -> None:
    """Make the backups of a source before it was moved or renamed a part of its own."""
    from ops.tasks.backup import adopt as work
    from ops.tasks.session import conduct

    wanted = work.Wanted(series=series, source=source, undo=undo, yes=yes)
    conduct("backup.adopt", flags, lambda session: work.adopt_series(session, wanted))


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
    from ops.tasks.backup import keep as work
    from ops.tasks.session import conduct

    conduct("backup.keep", flags, lambda session: work.keep(session, backup, source, reason, until))


@command(positional=["backup"], help={"backup": BACKUP, "source": "whose latest"})
def release(
    flags: Flags,
    backup: str,
    source: str = "",
) -> None:
    """Take back all pins of a backup."""
    from ops.tasks.backup import keep as work
    from ops.tasks.session import conduct

    conduct("backup.release", flags, lambda session: work.release(session, backup, source))


namespace = Collection("backup", create, list_, show, verify, restore, drill, prune, adopt, keep, release)
