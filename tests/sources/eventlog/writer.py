"""A process that writes a log as the program does that such logs come from, and remembers each state that it was in.

Each append writes the whole newest segment beside itself and renames it; nothing is fsynced. A full segment is followed
by a snapshot and by the next number. Sometimes it is started anew on a full segment: the next event then still goes
into that one. Pruning removes the oldest segments, one file after the other.

    python -m tests.sources.eventlog.writer FOLDER STATES [EVENTS_BETWEEN_PRUNES]

It writes until its standard input ends; then STATES holds a JSON list of [first number, last number, head, snapshot's head].
"""

from __future__ import annotations

import json
import select
import sys
from pathlib import Path

from tests.sources.eventlog.writing import Event, made_events, segment_text

SEGMENT_SIZE = 7
SNAPSHOT_EVERY = 25
RESTART_EVERY = 60
KEPT_SEGMENTS = 30
State = tuple[int, int, str | None, str | None]


class Writer:
    """The log in a data folder, and all its states so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first, self._number = 1, 1
        self._segment: list[Event] = []
        self._total, self._head = 0, ""
        self._since_snapshot, self._snapshot_head = 0, ""
        self.states: list[State] = []
        (folder / "event-log").mkdir(parents=True)
        self._remember()

    def append(self) -> None:
        """One more event, and what follows from it."""
        if len(self._segment) >= SEGMENT_SIZE and not self._starts_anew():
            self._number += 1
            self._segment = []
        (event,) = made_events(1, previous=self._head or None, first=self._total)
        self._segment.append(event)
        self._put(self._path(self._number), segment_text(self._segment))
        self._total, self._head = self._total + 1, str(event["current_hash"])
        self._since_snapshot += 1
        self._remember()
        if len(self._segment) == SEGMENT_SIZE or self._since_snapshot == SNAPSHOT_EVERY:
            self._write_snapshot(event)

    def prune(self) -> None:
        """Nothing but the newest segments is kept."""
        while self._number - self._first >= KEPT_SEGMENTS:
            self._path(self._first).unlink()
            self._first += 1
            self._remember()

    def _starts_anew(self) -> bool:
        """Whether the program was started again on a full segment, which then takes one more."""
        return len(self._segment) == SEGMENT_SIZE and self._number % RESTART_EVERY == 0

    def _write_snapshot(self, event: Event) -> None:
        snapshot = {
            "version": 1,
            "last_segment": self._number,
            "last_index_in_segment": len(self._segment) - 1,
            "last_event_id": event["id"],
            "last_current_hash": event["current_hash"],
            "last_timestamp": event["timestamp"],
            "total_events": self._total,
        }
        self._put(self._folder / "event-log-snapshot.json", json.dumps(snapshot, indent=2).encode())
        self._since_snapshot, self._snapshot_head = 0, self._head
        self._remember()

    def _path(self, number: int) -> Path:
        return self._folder / f"event-log/segment-{number:06}.json"

    @staticmethod
    def _put(path: Path, content: bytes) -> None:
        beside = path.with_name(path.name + ".tmp")
        beside.write_bytes(content)
        beside.rename(path)

    def _remember(self) -> None:
        last = self._number if self._total else 0
        self.states.append((self._first, last, self._head or None, self._snapshot_head or None))


def main(folder: str, states: str, prune_every: int) -> None:
    """Write until nobody listens any more."""
    writer = Writer(Path(folder))
    print("writing", flush=True)
    count = 0
    while not select.select([0], [], [], 0)[0]:
        writer.append()
        count += 1
        if count % prune_every == 0:
            writer.prune()
    Path(states).write_text(json.dumps(writer.states))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 100)
