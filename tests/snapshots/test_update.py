from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ops.model.findings import Severity
from ops.run.job import Job
from ops.snapshots.folder_manifest import read_manifest
from ops.snapshots.update import Changes, former_manifest, update_snapshots
from ops.snapshots.verify import Verified, verify_snapshots
from tests.conftest import run_drillbook

CONTENT = b"close,date\n1.5,2026-01-02\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "PETR4-20260102.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `snapshots` with one CSV and no record of it."""
    place = tmp_path / "snapshots"
    place.mkdir()
    (place / NAME).write_bytes(CONTENT)
    return place


def codes(verified: Verified, *, worst: bool = True) -> set[str]:
    """Codes of all findings that are not ok, or of all."""
    found = [*verified.findings, *(finding for looked in verified.looked for finding in looked.findings)]
    return {finding.code for finding in found if finding.severity is not Severity.OK or not worst}


def manifest_of(folder: Path, document: object) -> Path:
    """A manifest with this content in the folder."""
    path = folder / "checksums.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def update(folder: Path) -> Changes:
    """What `--update` does."""
    manifest = folder / "checksums.json"
    former, _ = former_manifest(manifest)
    return update_snapshots(verify_snapshots(folder, manifest if former else None, Job()), manifest, Job())


def test_update_says_what_changed_and_is_then_right(folder: Path) -> None:
    """Added, changed and removed paths are named; afterwards everything is proven, and a second update writes nothing."""
    (folder / "gone.csv").write_bytes(b"a\n")
    assert update(folder) == Changes((NAME, "gone.csv"), (), ())
    assert codes(verify_snapshots(folder, folder / "checksums.json", Job())) == set()
    (folder / "gone.csv").unlink()
    (folder / "new.csv").write_bytes(b"b\n")
    (folder / NAME).write_bytes(b"c\n")
    assert update(folder) == Changes(("new.csv",), (NAME,), ("gone.csv",))
    before = (folder / "checksums.json").stat().st_mtime_ns
    assert update(folder) == Changes((), (), ())
    assert (folder / "checksums.json").stat().st_mtime_ns == before
    assert list(read_manifest(folder / "checksums.json")) == [f"snapshots/{NAME}", "snapshots/new.csv"]
    assert (folder / "checksums.json").stat().st_mode & 0o777 == 0o600


def test_update_blesses_nothing_that_its_checksum_file_contradicts(folder: Path) -> None:
    """A damaged snapshot keeps its former entry, or gets none, and stays critical."""
    (folder / f"{NAME}.checksum").write_text(SHA256)
    update(folder)
    (folder / NAME).write_bytes(b"damaged\n")
    (folder / "bad.csv").write_bytes(b"a\n")
    (folder / "bad.csv.checksum").write_text("0" * 64)
    assert update(folder) == Changes((), (), ())
    assert read_manifest(folder / "checksums.json")[f"snapshots/{NAME}"].sha256 == SHA256
    assert "snapshot.checksum_mismatch" in codes(verify_snapshots(folder, folder / "checksums.json", Job()))


def test_a_mismatch_shows_what_was_kept(folder: Path) -> None:
    """A manifest of our own tells the header and the last lines of then; a bare digest tells nothing, and that is said."""
    update(folder)
    (folder / NAME).write_bytes(b"date,close,high\n2026-01-02,1.5,2\ncut")
    done = run_drillbook("snapshot.verify", cwd=folder.parent)
    assert done.returncode == 2
    for part in (SHA256, "new: high", "1.5,2026-01-02", "2026-01-02,1.5,2", "cut (no line end)"):
        assert part in done.stdout
    manifest_of(folder, {"files": {f"snapshots/{NAME}": SHA256}})
    done = run_drillbook("snapshot.verify", cwd=folder.parent)
    assert done.returncode == 2
    assert "nothing is left but its digest" in done.stdout
    document = json.loads(run_drillbook("snapshot.verify", "--format", "json", cwd=folder.parent).stdout)
    (mismatch,) = document["results"][0]["snapshots"][0]["mismatches"]
    assert mismatch["expected"] == SHA256
    assert mismatch["expected_header"] is None
    assert mismatch["found_header"] == "date,close,high"


def test_an_update_over_a_broken_manifest_says_so(folder: Path) -> None:
    """With --update a manifest that cannot be read is replaced, which is a warning."""
    manifest_of(folder, "broken")
    assert run_drillbook("snapshot.verify", cwd=folder.parent).returncode == 2
    done = run_drillbook("snapshot.verify", "--update", cwd=folder.parent)
    assert done.returncode == 1
    assert "snapshot.manifest_replaced" in done.stdout
    assert run_drillbook("snapshot.verify", cwd=folder.parent).returncode == 0


def test_a_named_manifest_that_is_not_there_is_an_error(folder: Path) -> None:
    """--manifest of nothing is no reason to compare with nothing."""
    (folder / f"{NAME}.checksum").write_text(SHA256)
    flags = ("snapshot.verify", "--manifest", "snapshots/sums.json")
    done = run_drillbook(*flags, cwd=folder.parent)
    assert done.returncode == 2
    assert "snapshot.not_found" in done.stdout
    assert run_drillbook(*flags, "--update", cwd=folder.parent).returncode == 0
    assert run_drillbook(*flags, cwd=folder.parent).returncode == 0
