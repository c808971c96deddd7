from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from ops.fsio.scratch import SCRATCH_PREFIX, remove_stale_scratch

WRITER = 'cd "$0" && for i in $(seq 5000); do echo x > "$i" || exit; done'


def test_what_dying_children_still_write_is_removed_too(tmp_path: Path) -> None:
    """A dead run's folder is gone although children of it wrote there while it was being removed."""
    folder = tmp_path / f"{SCRATCH_PREFIX}dead"
    with contextlib.ExitStack() as stack:
        for number in range(8):
            place = folder / str(number)
            place.mkdir(mode=0o700, parents=True)
            writer = subprocess.Popen(["/bin/sh", "-c", WRITER, str(place)], stderr=subprocess.DEVNULL)
            stack.enter_context(writer)
        while not all((folder / str(number) / "5").exists() for number in range(8)):
            pass
        assert remove_stale_scratch(tmp_path) == [folder]
        assert list(tmp_path.iterdir()) == []
