"""Frozen snapshots against those that are written now; what differs is kept for whoever looks at the failed run."""

from __future__ import annotations

import shutil
from pathlib import Path

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "verify_fixtures"
SUFFIXES = ("", ".checksum")


def differing(frozen: Path, made: Path, artifacts: Path) -> list[str]:
    """Names of snapshots of which one byte, or one of their checksum file, is another than frozen, or which one side lacks.

    What was made of them lies in `artifacts` afterwards, with its checksum file.
    """
    names = {path.name for folder in (frozen, made) for path in folder.iterdir() if is_snapshot(path)}
    found = []
    for name in sorted(names):
        if any(
            content(frozen / f"{name}{suffix}") != content(made / f"{name}{suffix}") for suffix in SUFFIXES
        ):
            found.append(name)
            keep(made, name, artifacts)
    return found


def is_snapshot(path: Path) -> bool:
    """Whether a file of one of the two folders is a snapshot."""
    return path.suffix == ".csv" or (path.suffix == ".json" and path.name != "checksums.json")


def content(path: Path) -> bytes | None:
    """What is in a file, None where there is none."""
    return path.read_bytes() if path.is_file() else None


def keep(made: Path, name: str, artifacts: Path) -> None:
    """Copy a snapshot and its checksum file to the artifacts."""
    artifacts.mkdir(parents=True, exist_ok=True)
    for suffix in SUFFIXES:
        if (made / f"{name}{suffix}").is_file():
            shutil.copyfile(made / f"{name}{suffix}", artifacts / f"{name}{suffix}")
