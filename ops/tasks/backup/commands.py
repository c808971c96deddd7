"""The tasks of `backup` as they are declared; their work is in the modules beside this one."""

from __future__ import annotations

from ops.tasks.cli.command import command
from ops.tasks.cli.flags import parsed, required, several, switch, text
from ops.tasks.cli.texts import BACKUP, SOURCES, WAIT
from ops.tasks.cli.values import one_of, seconds


@command("backup.create", writes=True, remembers=True)
class Create:
    """Take a backup of one source, or of all."""

    source: tuple[str, ...] = several(SOURCES)
    from_: str = text("an SQLite file to back up instead of the configured sources")
    out: str = text("file name or folder for the backup (default: in the source's first store)")
    scope: str = text("only a part of a PostgreSQL database: schema or data (full: all of it)")
    table: tuple[str, ...] = several("only this table; may be given several times")
    schema: tuple[str, ...] = several("only this schema; may be given several times")
    tenant: str = text("only the rows of this tenant (tenant_column of the source)")
    verify: bool = switch("restore the new backup into a scratch place and compare it")
    tag: tuple[str, ...] = several("a tag for the backup; may be given several times")
    policy: str = text("the policy that keeps this backup, whatever its source's or store's is")
    accept: tuple[str, ...] = several(
        "source.swapped: two databases exchanged their names, and that is meant"
    )
    yes: bool = switch("accepted for scripts; nothing here asks")
    dry_run: bool = switch("say what would be backed up, write nothing")
    wait: float = parsed(WAIT, seconds, default="0")


@command("backup.list")
class List:
    """Show what backups there are: age, size, verified, proven."""

    source: tuple[str, ...] = several("only backups of this source; may be given several times")
    all: bool = switch("also those of other series: other machines, and sources of before")


@command("backup.show")
class Show:
    """Show one backup whole: manifest, tables, verifies and drills."""

    backup: str = required(BACKUP)
    source: str = text("whose latest")


@command("backup.verify")
class Verify:
    """Look at stored backups; change nothing."""

    backup: str = text(f"{BACKUP} (default: the latest of each source)", positional=True)
    all: bool = switch("every backup in every store")
    level: str = parsed(
        "quick (checksums and structure) or full (restored into a scratch place and measured)",
        one_of("quick", "full"),
        default="quick",
    )
    source: tuple[str, ...] = several("whose backups; may be given several times")


@command("backup.restore")
class Restore:
    """Restore a backup: into a scratch place, unless told otherwise."""

    from_: str = text(f"{BACKUP} (default: latest)", default="latest")
    source: str = text("whose latest")
    to: str = text(
        "file or database to restore to (default with --yes: the source's own; without: a scratch place)"
    )
    table: tuple[str, ...] = several(
        "restore only this table, into data that is there; may be given several times"
    )
    truncate: bool = switch("PostgreSQL: replace the rows that a table of --table has")
    schema_only: bool = switch("PostgreSQL: structure without rows")
    no_owner: bool = switch("PostgreSQL: everything belongs to the role that restores")
    no_acl: bool = switch("PostgreSQL: leave rights (GRANT, REVOKE) away")
    yes: bool = switch("really replace what is there; it is kept as a safety backup first")
    from_other_source: bool = switch(
        "with --yes: also where the backup is of another series than the live data that it replaces"
    )
    accept: tuple[str, ...] = several(
        "restore although this code is found, like sqlite.foreign_key; backup.checksum_mismatch only with --to NEW"
    )
    dry_run: bool = switch("say what would be done, step by step, and do nothing")
    verify: bool = switch("accepted for scripts; every restore is verified")
    wait: float = parsed(WAIT, seconds, default="0")


@command("backup.drill")
class Drill:
    """Restore into a scratch place, check, assert, time it, keep the evidence."""

    source: tuple[str, ...] = several(SOURCES)
    from_: str = text(f"{BACKUP} (default: the latest of each source)")
    table: tuple[str, ...] = several(
        "a partial drill of this PostgreSQL table, which proves nothing; may be given several times"
    )
    junit: str = text("also write the result as JUnit XML to this file")
    keep: bool = switch("leave the restored copy in its scratch place and say where")


@command("backup.prune", writes=True)
class Prune:
    """Delete the backups that no rule keeps."""

    source: tuple[str, ...] = several(SOURCES)
    yes: bool = switch("really delete")
    many: bool = switch("also where ten or more backups, and most of what is there, would go")
    series: str = text(
        "instead: the backups of another series whose source is gone, by the digits that backup.list shows"
    )
    policy: str = text("with --series: by which policy")
    dry_run: bool = switch("say what would be deleted, and by which rule the others stay; delete nothing")
    wait: float = parsed(WAIT, seconds, default="0")


@command("backup.adopt", writes=True, remembers=True)
class Adopt:
    """Make the backups of a source before it was moved or renamed a part of its own."""

    series: str = required("the 8 digits that backup.list shows")
    source: str = text("the source whose former backups they are")
    undo: bool = switch("separate it again")
    yes: bool = switch("also a series whose newest backup is young: another machine may still write it")


@command("backup.keep")
class Keep:
    """Pin a backup: no retention deletes it."""

    backup: str = required(BACKUP)
    reason: str = text("why it must stay")
    until: str = text('a day like 2027-03-01 or a duration like "90d" (default: until it is released)')
    source: str = text("whose latest")


@command("backup.release")
class Release:
    """Take back all pins of a backup."""

    backup: str = required(BACKUP)
    source: str = text("whose latest")
