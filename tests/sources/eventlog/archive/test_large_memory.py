"""The memory that a process needs for a segment does not depend on the size of the segment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sources.eventlog.capturing import segment as file_of
from tests.sources.eventlog.writing import Event, made_events, segment_text, written_log

ROOT = Path(__file__).parents[4]
EVENTS = made_events(45)
MEASURE = """
import json, re, sys
from datetime import UTC, datetime
from pathlib import Path
from ops.run.progress import silent
from ops.sources.eventlog.log import log
from ops.sources.eventlog.capture import capture_log
from ops.sources.eventlog.copy import LogCopy
from ops.model.manifest import Payload
from ops.sources.eventlog.archive.inspect import inspect_archive
from ops.sources.eventlog.archive.shared_segments import Sharing
from ops.sources.eventlog.archive.unpack import unpack_archive
from tests.sources.eventlog.archive.test_large import manifest_like
log._ALONE_UP_TO = 1 << 40
place = Path(sys.argv[1])
payload = place / "log.tar.gz"
payload.touch()
captured = capture_log(place / "data", payload, None, Sharing(), None, lambda: datetime.now(UTC), silent)
found = inspect_archive(Payload(payload, place, manifest_like(captured)))
unpack_archive(payload, place / "out")
found += LogCopy(log.read_log(place / "out")).check()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([captured.measures.rows, captured.measures.facts["first_broken"], [item.code for item in found], int(peak)]))
"""


def peak_of_a_log(place: Path, events: list[Event], repeated: int) -> tuple[list[Any], int]:
    """What is found by one process that captures a log, checks the archive and the restored copy; its peak in MiB.

    The log is one segment of these events, so many times over, with a snapshot that names one in the middle.
    """
    folder = written_log(place / "data", events, len(events))
    body = segment_text(events)[1:-2]
    with file_of(folder, 1).open("wb") as file:
        file.write(b"[")
        for number in range(repeated):
            file.write(b"," + body if number else body)
        file.write(b"\n]")
    command = [sys.executable, "-c", MEASURE, str(place)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    *found, peak = json.loads(done.stdout)
    return found, peak // 1024


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the kernel does not tell the peak of a process"
)
def test_memory_does_not_grow_with_a_segment(tmp_path: Path) -> None:
    """A segment of 40 MiB whose link is broken half-way needs some MiB for its parts, and no more, than a log of some KiB.

    Up to the broken link it goes the quick way, then each event is looked at by the exact rule; every hash is looked at again
    for the place of the one that is named there.
    """
    (rows, broken, codes), small = peak_of_a_log(tmp_path / "small", EVENTS, 1)
    assert (rows, broken, "eventlog.can_continue" in codes) == (45, "", True)
    (rows, broken, codes), large = peak_of_a_log(tmp_path / "large", made_events(45_000), 2)
    assert (rows, broken[:5], "eventlog.event_inserted" in codes) == (90_000, "45000", True)
    assert file_of(tmp_path / "large/data", 1).stat().st_size > 38 << 20
    assert large < small + 36
