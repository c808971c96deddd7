from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from ops.model.findings import Severity
from ops.run.job import Job
from ops.snapshots.definition import BUILT_IN, Definition
from ops.snapshots.restore_verify import RestoreRequest, prove_snapshot
from ops.snapshots.verify import verify_snapshots
from tests.fixtures_ci.frozen import ARTIFACTS, differing

FROZEN = Path(__file__).parents[2] / "fixtures" / "snapshots"
FILES = sorted(path for path in FROZEN.rglob("*.csv"))


def build() -> ModuleType:
    """The script that wrote the frozen files."""
    spec = importlib.util.spec_from_file_location("build_snapshots", FROZEN / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_snapshots_are_written_as_ever(tmp_path: Path) -> None:
    """What is exported from the demo now is, byte for byte, what was frozen; what differs is left in the artifacts."""
    script = build()
    made = script.write_all(tmp_path / "snapshots", tmp_path)
    assert len(made) == len(script.CASES) == 4
    assert differing(FROZEN, tmp_path / "snapshots", ARTIFACTS) == []


@pytest.mark.parametrize("suffix", ["", ".checksum"])
def test_one_byte_is_enough_to_fail_and_is_kept(tmp_path: Path, suffix: str) -> None:
    """Where one byte of a snapshot or its checksum file is another, it is named, and both lie in the artifacts."""
    made = tmp_path / "made"
    shutil.copytree(FROZEN, made)
    name = "PETR4-20250331.csv"
    file = made / f"{name}{suffix}"
    changed = bytearray(file.read_bytes())
    changed[-2] ^= 1
    file.write_bytes(changed)
    assert differing(FROZEN, made, tmp_path / "artifacts") == [name]
    assert (tmp_path / "artifacts" / f"{name}{suffix}").read_bytes() == changed
    assert sorted(path.name for path in (tmp_path / "artifacts").iterdir()) == [name, f"{name}.checksum"]


def test_a_snapshot_that_is_not_made_any_more_differs(tmp_path: Path) -> None:
    """One that only one side has is a difference, whichever side that is."""
    made = tmp_path / "made"
    shutil.copytree(FROZEN, made)
    (made / "PETR4-20250331.csv").unlink()
    (made / "new-20250331.csv").write_text("a\n")
    assert differing(FROZEN, made, tmp_path / "artifacts") == ["PETR4-20250331.csv", "new-20250331.csv"]


def test_frozen_snapshots_are_what_is_recorded(tmp_path: Path) -> None:
    """Every checksum file and the manifest agree with the frozen files, and a copy with one byte changed does not pass."""
    verified = verify_snapshots(FROZEN, FROZEN / "checksums.json", Job())
    assert verified.findings == ()
    assert len(verified.looked) == 5
    assert {finding.severity for looked in verified.looked for finding in looked.findings} == {Severity.OK}
    shutil.copytree(FROZEN, tmp_path / "snapshots")
    for path in (tmp_path / "snapshots").rglob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    again = verify_snapshots(tmp_path / "snapshots", tmp_path / "snapshots/checksums.json", Job())
    assert sum(looked.bad for looked in again.looked) == 4


def test_there_are_frozen_files() -> None:
    """An empty list of cases would pass in silence."""
    assert len(FILES) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_frozen_snapshots_can_be_restored(path: Path, tmp_path: Path) -> None:
    """Each frozen CSV, the application's own too, is loaded into a database and read back."""
    prices = path.name.startswith("PETR4")
    definition = BUILT_IN["prices"] if prices else Definition(name="any", table="any")
    proof = prove_snapshot(RestoreRequest(path=path, scratch=tmp_path, definition=definition), Job())
    assert {finding.severity for finding in proof.findings} == {Severity.OK}
    assert proof.rows > 0
