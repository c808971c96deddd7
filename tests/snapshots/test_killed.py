from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import SnapshotError
from ops.run.job import Job
from ops.snapshots.verify import verify_snapshots
from tests.snapshots.tables import answer, drive, make_prices, price, set_close

pytestmark = pytest.mark.long

NAME = "PETR4-20260315.csv"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database of three days of PETR4."""
    make_prices(tmp_path / "data.db", [price("PETR4", day) for day in (1, 2, 3)])
    return tmp_path


def options(place: Path, **more: object) -> dict[str, object]:
    """What the driver is told."""
    return {"database": str(place / "data.db"), "folder": str(place / "out"), "ticker": "PETR4", **more}


def bad_findings(folder: Path) -> set[str]:
    """Codes of what a verify calls critical; empty when all is right or there is nothing at all."""
    try:
        verified = verify_snapshots(folder, None, Job())
    except SnapshotError:
        return set()
    return {finding.code for looked in verified.looked if looked.bad for finding in looked.findings}


def is_whole(folder: Path) -> bool:
    """Whether the pair is there and nothing else is left."""
    subprocess.run(["sha256sum", "--check", f"{NAME}.checksum"], cwd=folder, check=True, capture_output=True)
    return {path.name for path in folder.iterdir()} == {".locks", NAME, f"{NAME}.checksum"}


def test_a_create_that_is_killed_at_any_step_is_named_and_repaired(place: Path) -> None:
    """At each step a verify sees nothing, a whole pair, or says what is missing; the next create makes it whole."""
    seen: set[str] = set()
    for step in range(1, 20):
        for path in (place / "out").glob("*PETR4*"):
            path.unlink()
        for path in (place / "out").glob(".tmp-*"):
            path.unlink()
        ended = drive("create", options(place, kill_at=step))
        if ended.returncode == 0:
            break
        assert ended.returncode == -9
        seen |= bad_findings(place / "out")
        assert answer(drive("create", options(place)))["status"] in {"created", "repaired", "unchanged"}
        assert is_whole(place / "out")
        assert bad_findings(place / "out") == set()
    assert step > 3
    assert seen == {"snapshot.missing"}


def test_a_replace_that_is_killed_at_any_step_is_named_and_finished(place: Path) -> None:
    """At each step there is the old pair, the new pair, or a mismatch that a verify names; the same create finishes it."""
    seen: set[str] = set()
    for step in range(1, 20):
        set_close(place / "data.db", 36.5)
        answer(drive("create", options(place, replace=True)))
        set_close(place / "data.db", 99.0)
        ended = drive("create", options(place, replace=True, kill_at=step))
        if ended.returncode == 0:
            break
        bad = bad_findings(place / "out")
        seen |= bad
        # Without a mismatch the old pair is still whole, and only --replace may take its place.
        again = drive("create", options(place, replace=not bad))
        assert answer(again)["status"] in ({"repaired"} if bad else {"replaced", "unchanged"})
        assert is_whole(place / "out")
        assert b"99.0" in (place / "out" / NAME).read_bytes()
    assert step > 3
    assert seen == {"snapshot.checksum_mismatch"}


@pytest.mark.parametrize("archive", [False, True])
def test_a_purge_that_is_killed_at_any_step_is_finished_by_the_next(place: Path, archive: bool) -> None:
    """At no step is a snapshot lost that should stay or be archived, and the next purge ends where this one would have."""
    for step in range(1, 30):
        old = place / "out" / "PETR4-20250101.csv"
        answer(drive("create", options(place)))
        old.write_bytes((place / "out" / NAME).read_bytes())
        (digest, _) = (place / "out" / f"{NAME}.checksum").read_text().split()
        old.with_name(f"{old.name}.checksum").write_text(f"{digest}  {old.name}\n")
        content = old.read_bytes()
        told: dict[str, object] = {"folder": str(place / "out"), "older_than": 30, "keep_latest": 1}
        if archive:
            told["archive"] = str(place / f"archive-{step}")
        ended = drive("purge", {**told, "kill_at": step})
        if ended.returncode == 0:
            break
        kept = place / f"archive-{step}" / old.name
        assert not archive or old.exists() or kept.read_bytes() == content
        answer(drive("purge", told))
        assert is_whole(place / "out")
        if archive:
            subprocess.run(["sha256sum", "--check", f"{old.name}.checksum"], cwd=kept.parent, check=True)
            assert not list(kept.parent.glob(".tmp-*"))
    assert step > 2


@pytest.mark.needs_root
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    """Where the disk fills up while a snapshot is written, the old pair stays whole and nothing half done is left."""
    make_prices(tmp_path / "data.db", [price("PETR4", 2)])
    disk = small_disk(256 << 10)
    told = options(tmp_path, folder=str(disk / "out"))
    answer(drive("create", told))
    make_prices(
        tmp_path / "large.db",
        [(*price("PETR4", 2)[:1], f"d{day:06}", *price("PETR4", 2)[2:]) for day in range(5000)],
    )
    ended = drive("create", {**told, "database": str(tmp_path / "large.db"), "replace": True})
    assert "the disk ran full" in ended.stderr
    assert is_whole(disk / "out")
    assert os.statvfs(disk).f_bavail > 40
