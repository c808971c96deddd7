"""The tasks of `snapshot` as they are declared; their work is in the modules beside this one."""

from __future__ import annotations

from typing import Final

from ops.tasks.cli.command import command
from ops.tasks.cli.flags import parsed, required, switch, text
from ops.tasks.cli.values import days, number, seconds

_WAIT: Final = (
    'how long to wait while another run works on the same snapshots, like "30s" (a bare number is seconds)'
)


@command("snapshot.create")
class Create:
    """Write a snapshot of a table, the same bytes for the same rows."""

    ticker: str = text("the rows of this ticker, like PETR4.SA (default: the whole table)")
    source: str = text("the SQLite source to read (default: as configured, or the only one)")
    name: str = text(
        "what it is a snapshot of: prices, or a [snapshot.NAME] of the configuration", default="prices"
    )
    as_: str = text("csv or json", default="csv")
    out: str = text("path of the file (default: TICKER-YYYYMMDD in SNAPSHOT_DIR)")
    replace: bool = switch("put it in the place of one with other content")
    wait: float = parsed(_WAIT, seconds, default="0")


@command("snapshot.verify")
class Verify:
    """Recompute the checksums of snapshots, or of any folder."""

    manifest: str = text(
        "manifest of checksums to compare with (default: checksums.json in the folder, if there)"
    )
    path: str = text(
        "any folder: all files in it against its manifest (default: the snapshots in SNAPSHOT_DIR)"
    )
    update: bool = switch("write the manifest anew from what is there, and say what changed")


@command("snapshot.purge")
class Purge:
    """Remove old snapshots with their checksum files."""

    older_than: int | None = parsed(
        'days, or a duration like "3mo"; younger ones stay (default: SNAPSHOT_RETENTION_DAYS, 90)', days
    )
    keep_latest: int = parsed(
        "of each ticker or table this many of the newest stay, however old", number, default="1"
    )
    archive_dir: str = text("copy them to this folder first")
    dry_run: bool = switch("say which would go, change nothing")
    confirm: bool = switch("really do it")
    wait: float = parsed(_WAIT, seconds, default="0")


@command("snapshot.restore-verify")
class RestoreVerify:
    """Load a snapshot into a temporary database and compare rows and digest."""

    path: str = required("the CSV file of a snapshot")
    name: str = text("what it is a snapshot of (default: by its file name, else prices)")
    source: str = text("compare it with the rows that this SQLite source has now, too")
