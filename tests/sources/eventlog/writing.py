"""Logs written by the rules of the program that writes them: its text form, its segments, its chain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def made_events(
    count: int, *, previous: str | None = None, first: int = 0, actor: str = "José"
) -> list[Event]:
    """A right chain of events behind `previous`."""
    events = []
    for number in range(first, first + count):
        event: Event = {
            "id": f"evt-{number:08x}-abc",
            "timestamp": f"2026-03-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00.{number % 1000:03}Z",
            "actor": actor,
            "evento": "TEXTO_SALVO|x" if number % 5 == 0 else "TEXTO_SALVO",
            "entidade": "Observação 😀" if number % 3 == 0 else "Texto",
            "entidade_id": f"ent-{number}" if number % 7 else "",
            "payload_hash": sha256(str(number).encode()).hexdigest(),
            "previous_hash": previous,
        }
        event["current_hash"] = previous = hash_of(event)
        events.append(event)
    return events


def hash_of(event: Event) -> str:
    """The hash of an event whose fields are texts, and whose time stamp is as it is printed."""
    names = ("timestamp", "actor", "evento", "entidade", "entidade_id", "payload_hash")
    parts = [event["previous_hash"] or "", *(event[name] for name in names)]
    return sha256("|".join(parts).encode()).hexdigest()


def segment_text(events: Sequence[Event]) -> bytes:
    """A segment as the program writes it."""
    return json.dumps(events, indent=2, ensure_ascii=False).encode()


def segments_of(events: Sequence[Event], size: int) -> dict[int, bytes]:
    """The segments of a log, by number."""
    return {
        number: segment_text(events[start : start + size])
        for number, start in enumerate(range(0, len(events), size), 1)
    }


def written_log(folder: Path, events: Sequence[Event], size: int, *, snapshot: bool = True) -> Path:
    """A data folder with that log in it, and a snapshot of its last event."""
    (folder / "event-log").mkdir(parents=True, exist_ok=True)
    segments = segments_of(events, size)
    for number, content in segments.items():
        (folder / f"event-log/segment-{number:06}.json").write_bytes(content)
    if snapshot and events:
        (folder / "event-log-snapshot.json").write_text(json.dumps(snapshot_of(events, size), indent=2))
    return folder


def snapshot_of(events: Sequence[Event], size: int) -> Event:
    """The snapshot that names the last event."""
    last = len(events) - 1
    return {
        "version": 1,
        "last_segment": last // size + 1,
        "last_index_in_segment": last % size,
        "last_event_id": events[last]["id"],
        "last_current_hash": events[last]["current_hash"],
        "last_timestamp": events[last]["timestamp"],
        "total_events": len(events),
    }
