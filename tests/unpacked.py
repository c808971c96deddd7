"""Archives that tests bring along, unpacked by whatever Python runs them."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, into: Path) -> None:
    """All of an archive of ours; Python before 3.11.4, such as Debian 12's, has no filters."""
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(into, **safe)  # type: ignore[arg-type]
