"""Builds the demo's journal of decisions: a hash-chained event log, from the rows of a CSV file.

The bytes depend on that file alone. The log is built beside its place and put there as a whole.
"""

from __future__ import annotations

import csv
import json
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ops.fsio.atomic import (
    PRIVATE_FOLDER,
    publish_folder,
    staged_folder,
    translated_write_errors,
    write_new_file,
)
from ops.fsio.remove import remove_tree
from ops.sources.eventlog.chain.event_hash import event_hash
from ops.sources.eventlog.log.layout import FOLDER, SNAPSHOT, segment_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EVENTS: Final = "events"
PER_SEGMENT: Final = 25
"""The program's own default is 10,000; this log is small and shall have several segments."""
_SOURCE: Final = Path("journal/events.csv")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS: Final = 6

Event = dict[str, Any]


def build_journal(place: Path, fixtures: Path) -> Mapping[str, int]:
    """Build the log and put it at the data folder `place`; how many events it has.

    Raises SpaceError or StoreError when it cannot be written; then what was at `place` is still there.
    """
    events = list(_chained(fixtures / _SOURCE))
    former = place.with_name(f".tmp-{place.name}.former")
    with staged_folder(place.parent, place.name) as staged:
        with translated_write_errors(place):
            remove_tree(former)
            (staged.path / FOLDER).mkdir(PRIVATE_FOLDER)
        for path, content in _files(events).items():
            write_new_file(staged.path / path, content)
        with translated_write_errors(place):
            # A kill between the two leaves none, and the next build cures it.
            if place.exists():
                place.rename(former)
            publish_folder(staged.path, place)
            remove_tree(former)
    return MappingProxyType({EVENTS: len(events)})


def _chained(path: Path) -> Iterator[Event]:
    """The events of the CSV file, each with what the program adds to it."""
    previous = None
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            digest = sha256(row.pop("payload").encode()).hexdigest()
            event = {
                "id": _event_id(row["timestamp"], digest),
                **row,
                "payload_hash": digest,
                "previous_hash": previous,
            }
            event["current_hash"] = previous = event_hash(event)
            yield event


def _event_id(timestamp: str, digest: str) -> str:
    """The moment and some digits, as the program makes it; the digits are those of the payload, not of chance."""
    milliseconds = round(datetime.fromisoformat(timestamp).timestamp() * 1000)
    return f"evt-{_base36(milliseconds)}-{_base36(int(digest, 16))[-_RANDOM_DIGITS:]}"


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def _files(events: Sequence[Event]) -> dict[str, bytes]:
    """The segments, and the snapshot that the program wrote when the last full one was full."""
    segments = [events[start : start + PER_SEGMENT] for start in range(0, len(events), PER_SEGMENT)]
    full = len(events) // PER_SEGMENT
    last = events[full * PER_SEGMENT - 1]
    snapshot = {
        "version": 1,
        "last_segment": full,
        "last_index_in_segment": PER_SEGMENT - 1,
        "last_event_id": last["id"],
        "last_current_hash": last["current_hash"],
        "last_timestamp": last["timestamp"],
        "total_events": full * PER_SEGMENT,
    }
    files = {segment_path(number): _printed(segment) for number, segment in enumerate(segments, 1)}
    return {**files, SNAPSHOT: _printed(snapshot)}


def _printed(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()
