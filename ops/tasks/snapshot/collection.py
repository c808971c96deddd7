"""The collection `snapshot`: flags and help. What the tasks do is in the modules beside this one.

Nothing heavy is imported here, as in `backup`.
"""

from __future__ import annotations

from invoke.collection import Collection

from ops.tasks.command import Flags, command

_WAIT = "seconds to wait while another run works on the same snapshots"


@command(
    help={
        "ticker": "the rows of this ticker, like PETR4.SA (default: the whole table)",
        "source": "the SQLite source to read (default: as configured, or the only one)",
        "name": "what it is a snapshot of: prices, or a [snapshot.NAME] of the configuration",
        "as_": "csv or json",
        "out": "path of the file (default: TICKER-YYYYMMDD in SNAPSHOT_DIR)",
        "replace": "put it in the place of one with other content",
        "wait": _WAIT,
    },
)
def create(
    flags: Flags,
    ticker: str | None = None,
    source: str = "",
    name: str = "prices",
    as_: str = "csv",
    out: str = "",
    replace: bool = False,
    wait: str = "0",
) -> None:
    """Write a snapshot of a table, the same bytes for the same rows."""
    from ops.tasks.session import conduct
    from ops.tasks.snapshot import create as work

    wanted = work.WantedCreate(
        ticker=ticker, source=source, name=name, form=as_, out=out, replace=replace, wait=wait
    )
    conduct("snapshot.create", flags, lambda session: work.create(session, wanted))


@command(
    help={
        "manifest": "manifest of checksums to compare with (default: checksums.json in the folder, if there)",
        "path": "any folder: all files in it against its manifest (default: the snapshots in SNAPSHOT_DIR)",
        "update": "write the manifest anew from what is there, and say what changed",
    },
)
def verify(
    flags: Flags,
    manifest: str = "",
    path: str = "",
    update: bool = False,
) -> None:
    """Recompute the checksums of snapshots, or of any folder."""
    from ops.tasks.session import conduct
    from ops.tasks.snapshot import verify as work

    wanted = work.WantedVerify(manifest=manifest, path=path, update=update)
    conduct("snapshot.verify", flags, lambda session: work.verify(session, wanted))


@command(
    help={
        "older_than": "days; younger ones stay (default: SNAPSHOT_RETENTION_DAYS, 90)",
        "keep_latest": "of each ticker or table this many of the newest stay, however old",
        "archive_dir": "copy them to this folder first",
        "dry_run": "say which would go, change nothing",
        "confirm": "really do it",
        "wait": _WAIT,
    },
)
def purge(
    flags: Flags,
    older_than: str = "",
    keep_latest: str = "1",
    archive_dir: str = "",
    dry_run: bool = False,
    confirm: bool = False,
    wait: str = "0",
) -> None:
    """Remove old snapshots with their checksum files."""
    from ops.tasks.session import conduct
    from ops.tasks.snapshot import purge as work

    wanted = work.Wanted(
        older_than=older_than,
        keep_latest=keep_latest,
        archive_dir=archive_dir,
        dry_run=dry_run,
        confirm=confirm,
        wait=wait,
    )
    conduct("snapshot.purge", flags, lambda session: work.purge(session, wanted))


@command(
    name="restore-verify",
    positional=["path"],
    help={
        "path": "the CSV file of a snapshot",
        "name": "what it is a snapshot of (default: by its file name, else prices)",
        "source": "compare it with the rows that this SQLite source has now, too",
    },
)
def restore_verify(
    flags: Flags,
    path: str,
    name: str = "",
    source: str = "",
) -> None:
    """Load a snapshot into a temporary database and compare rows and digest."""
    from ops.tasks.session import conduct
    from ops.tasks.snapshot import restore_verify as work

    wanted = work.WantedProof(path=path, name=name, source=source)
    conduct("snapshot.restore-verify", flags, lambda session: work.prove(session, wanted))


namespace = Collection("snapshot", create, verify, purge, restore_verify)
