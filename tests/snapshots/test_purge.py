from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.run.job import Job
from ops.snapshots.folder_manifest import read_manifest
from ops.snapshots.publish import series_lock
from ops.snapshots.purge import Purged, PurgeRequest, purge_snapshots
from ops.snapshots.update import update_snapshots
from ops.snapshots.verify import verify_snapshots
from tests.conftest import run_drillbook

pytestmark = pytest.mark.long

JOB = Job(clock=lambda: datetime(2026, 3, 15, tzinfo=UTC))


def put(folder: Path, name: str, content: bytes = b"a\n1\n") -> Path:
    """A snapshot with its checksum file."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    (folder / f"{name}.checksum").write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Snapshots of two tickers over three months."""
    place = tmp_path / "snapshots"
    for name in ("PETR4-20251201", "PETR4-20260101", "PETR4-20260301", "PETR4-20260315", "VALE3-20251201"):
        put(place, f"{name}.csv")
    return place


def purge(folder: Path, older_than: int = 30, keep_latest: int = 1, **options: object) -> Purged:
    """A purge on the 15th of March."""
    request = PurgeRequest(folder=folder, older_than=older_than, keep_latest=keep_latest, **options)  # type: ignore[arg-type] # by name
    return purge_snapshots(request, JOB)


def names(folder: Path) -> list[str]:
    """Names of the CSV files that are there."""
    return sorted(path.name for path in folder.glob("*.csv"))


def test_old_ones_go_with_their_checksum_files(folder: Path) -> None:
    """What is older goes as a pair; the newest of each ticker stays, however old it is."""
    purged = purge(folder)
    assert sorted(path.name for path in purged.removed) == ["PETR4-20251201.csv", "PETR4-20260101.csv"]
    assert names(folder) == ["PETR4-20260301.csv", "PETR4-20260315.csv", "VALE3-20251201.csv"]
    assert len(list(folder.glob("*.checksum"))) == 3
    assert purged.findings == ()


@pytest.mark.parametrize(
    ("older_than", "keep_latest", "left"),
    [
        (30, 3, 4),
        (30, 9, 5),
        (14, 0, 2),
        (13, 0, 1),
        (0, 0, 1),
        (0, 1, 2),
        (36500, 0, 5),
        (73, 0, 3),
        (72, 0, 2),
        (103, 0, 3),
        (104, 0, 5),
    ],
)
def test_the_limits_are_exact(folder: Path, older_than: int, keep_latest: int, left: int) -> None:
    """Exactly N days old is not older than N days, today's always stays, and K of each ticker stay."""
    purge(folder, older_than, keep_latest)
    assert len(names(folder)) == left


def test_nothing_that_is_not_ours_is_touched(folder: Path) -> None:
    """Other names, files without a checksum file of our form, links, folders and pipes stay, however old."""
    (folder / "PETR4-20200101.csv").write_text("no checksum file")
    put(folder, "PETR4-20200101T120000Z.csv")
    put(folder, "PETR4_snapshot.csv")
    put(folder, "PETR4-20209999.csv")
    bare = put(folder, "PETR4-20200102.csv")
    (folder / f"{bare.name}.checksum").write_text(hashlib.sha256(bare.read_bytes()).hexdigest())
    linked = put(folder, "PETR4-20200103.csv")
    linked.rename(folder.parent / "target.csv")
    linked.symlink_to(folder.parent / "target.csv")
    os.mkfifo(folder / "PETR4-20200104.csv")
    (folder / "PETR4-20200105.csv").mkdir()
    (folder / "notes.txt").write_text("mine")
    before = {path.name for path in folder.iterdir()}
    purge(folder)
    gone = before - {path.name for path in folder.iterdir()}
    assert {name.removesuffix(".checksum") for name in gone} == {"PETR4-20251201.csv", "PETR4-20260101.csv"}
    assert (folder.parent / "target.csv").exists()


def test_nothing_goes_while_the_newest_is_doubtful(folder: Path) -> None:
    """Where the newest that stays is damaged, an older one may be the last good one: that ticker is left alone."""
    (folder / "PETR4-20260315.csv").write_bytes(b"damaged")
    put(folder, "VALE3-20260315.csv")
    purged = purge(folder)
    assert [finding.code for finding in purged.findings] == ["snapshot.purge_refused"]
    assert [path.name for path in purged.removed] == ["VALE3-20251201.csv"]
    assert len(names(folder)) == 5


def test_each_form_is_counted_apart(folder: Path) -> None:
    """The newest JSON does not stand for the newest CSV."""
    put(folder, "VALE3-20260315.json")
    assert "VALE3-20251201.csv" not in {path.name for path in purge(folder).removed}


def test_the_archive_has_what_is_gone(folder: Path, tmp_path: Path) -> None:
    """What goes lies in the archive with a checksum file that sha256sum accepts, private, before it is removed."""
    archive = tmp_path / "archive"
    purge(folder, archive=archive)
    assert names(archive) == ["PETR4-20251201.csv", "PETR4-20260101.csv"]
    for name in names(archive):
        subprocess.run(["sha256sum", "--check", f"{name}.checksum"], cwd=archive, check=True)
        assert (archive / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.needs_root
def test_the_archive_may_be_another_file_system_and_full(folder: Path, tmp_path: Path) -> None:
    """On another file system the copies are whole, and where it is full nothing is removed here."""
    disk = tmp_path / "disk"
    disk.mkdir()
    large = put(folder, "PETR4-20251202.csv", b"x" * 200_000)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", disk], check=True)
    try:
        purged = purge(folder, archive=disk / "archive")
        assert [finding.code for finding in purged.findings] == ["space.disk_full"]
        assert purged.removed == ()
        assert large.exists()
        assert not list((disk / "archive").glob(".tmp-*"))
        large.unlink()
        large.with_name(f"{large.name}.checksum").unlink()
        purge(folder, archive=disk / "archive")
        assert names(disk / "archive") == ["PETR4-20251201.csv", "PETR4-20260101.csv"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_is_damaged_or_taken_is_not_archived_and_stays(folder: Path, tmp_path: Path) -> None:
    """A snapshot that is not what its checksum file says, and one whose name the archive has with other content, stay."""
    archive = tmp_path / "archive"
    (folder / "PETR4-20251201.csv").write_bytes(b"damaged")
    put(archive, "PETR4-20260101.csv", b"other")
    purged = purge(folder, archive=archive)
    assert {finding.code for finding in purged.findings} == {
        "snapshot.checksum_mismatch",
        "refused.snapshot_differs",
    }
    assert purged.removed == ()
    assert len(names(folder)) == 5
    assert (archive / "PETR4-20260101.csv").read_bytes() == b"other"


def test_the_manifest_forgets_what_is_gone(folder: Path) -> None:
    """Entries of what was removed go, all others stay under their keys; a manifest that is broken stops the purge."""
    manifest = folder / "checksums.json"
    update_snapshots(verify_snapshots(folder, None, JOB), manifest, JOB)
    purge(folder)
    assert sorted(read_manifest(manifest)) == [f"snapshots/{name}" for name in names(folder)]
    put(folder, "PETR4-20251201.csv")
    manifest.write_text("broken")
    purged = purge(folder)
    assert [finding.code for finding in purged.findings] == ["snapshot.manifest_invalid"]
    assert "PETR4-20251201.csv" in names(folder)


def test_a_manifest_of_another_shape_keeps_its_keys(folder: Path) -> None:
    """Keys that were written elsewhere stay as they are, and only those of what went are taken out."""
    sha256 = hashlib.sha256(b"a\n1\n").hexdigest()
    keys = [f"/elsewhere/{name}" for name in names(folder)]
    (folder / "checksums.json").write_text(json.dumps(dict.fromkeys(keys, sha256)))
    purge(folder)
    assert sorted(read_manifest(folder / "checksums.json")) == [
        f"/elsewhere/{name}" for name in names(folder)
    ]


def test_a_ticker_that_is_written_now_is_left_alone(folder: Path) -> None:
    """Where a create holds the lock, that ticker's snapshots stay and the holder is named."""
    with series_lock(folder, "PETR4", JOB):
        purged = purge(folder)
    assert [finding.code for finding in purged.findings] == ["lock.held"]
    assert len(names(folder)) == 5


def test_the_command_asks_before_it_removes(folder: Path) -> None:
    """Without --confirm and a terminal it refuses, with --dry-run it changes nothing, with both it refuses."""
    flags = ("snapshot.purge", "--older-than", "30")
    refused = run_drillbook(*flags, cwd=folder.parent)
    assert (refused.returncode, "refused.interactive_only" in refused.stdout) == (2, True)
    dry = run_drillbook(*flags, "--dry-run", "--format", "json", cwd=folder.parent)
    assert dry.returncode == 0
    assert json.loads(dry.stdout)["results"][0]["removed"] == []
    assert run_drillbook(*flags, "--dry-run", "--confirm", cwd=folder.parent).returncode == 2
    archive = ("--archive-dir", "snapshots")
    assert run_drillbook(*flags, *archive, "--confirm", cwd=folder.parent).returncode == 2
    assert len(names(folder)) == 5
    assert run_drillbook(*flags, "--confirm", cwd=folder.parent).returncode == 0
    assert len(names(folder)) < 5


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "99999999999", "³", ""])
def test_bad_numbers_remove_nothing(folder: Path, value: str) -> None:
    """A value that is no number of days, or a variable that is none, is refused before anything is looked at."""
    done = run_drillbook("snapshot.purge", f"--keep-latest={value}", "--confirm", cwd=folder.parent)
    assert done.returncode == 2
    variable = {"SNAPSHOT_RETENTION_DAYS": value or "none"}
    assert (
        run_drillbook("snapshot.purge", "--confirm", cwd=folder.parent, environment=variable).returncode == 2
    )
    assert len(names(folder)) == 5


def test_the_variable_says_how_long(folder: Path) -> None:
    """SNAPSHOT_RETENTION_DAYS is the default of --older-than, and SNAPSHOT_DIR says where."""
    (folder.parent / "elsewhere").mkdir()
    environment = {"SNAPSHOT_RETENTION_DAYS": "36500", "SNAPSHOT_DIR": str(folder)}
    flags = ("snapshot.purge", "--confirm")
    done = run_drillbook(*flags, cwd=folder.parent / "elsewhere", environment=environment)
    assert (done.returncode, len(names(folder))) == (0, 5)
    environment["SNAPSHOT_RETENTION_DAYS"] = "0"
    done = run_drillbook(*flags, cwd=folder.parent / "elsewhere", environment=environment)
    assert (done.returncode, len(names(folder))) == (0, 2)
