"""A segment in the form that the program writes, checked with a decoder that is made for it (msgspec).

It only ever says that a segment is right as a whole. Whatever it does not know, or finds wrong, is looked at by the exact
rule, which also says what and where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from typing import Protocol

    class _Event(Protocol):
        id: str
        timestamp: str
        actor: str
        evento: str
        entidade: str
        entidade_id: str
        payload_hash: str
        previous_hash: str | None
        current_hash: str


_INSTANTS: Final = re.compile(
    r"(?:\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z\n)*+",
    re.ASCII,
)


_END_OF_EVENT: Final = b"\n  }"
_BETWEEN: Final = _END_OF_EVENT + b",\n  {"


class Ends(NamedTuple):
    """What is left to know of a segment whose every event is right."""

    events: int
    first_id: str
    last_id: str
    first_previous: str | None
    last_hash: str


def ends_of_right(content: bytes) -> Ends | None:
    """The ends of a segment that is right; None when it has no events, is not right, or is not for this decoder."""
    decode = _decoder()
    if decode is None:
        return None
    try:
        events = decode(content)
        if not events or not _are_canonical([event.timestamp for event in events]):
            return None
        found = [
            sha256(
                f"{event.previous_hash or ''}|{event.timestamp}|{event.actor}|{event.evento}"
                f"|{event.entidade}|{event.entidade_id}|{event.payload_hash}".encode()
            ).hexdigest()
            for event in events
        ]
    except ValueError:  # no JSON, other types, unpaired surrogates
        return None
    if found != [event.current_hash for event in events]:
        return None
    if [event.previous_hash for event in events[1:]] != found[:-1]:
        return None
    first, last = events[0], events[-1]
    return Ends(len(events), first.id, last.id, first.previous_hash, last.current_hash)


def ends_of_right_in_parts(content: bytes, most: int) -> Ends | None:
    """The same, of a segment that is decoded in parts of at most that many bytes.

    It is cut only where the program's form ends an event; a part that holds whole events is an array by itself.
    """
    ends, at = None, 1
    while content.startswith(b"["):
        is_last = len(content) - at <= most
        cut = len(content) - 1 if is_last else content.rfind(_BETWEEN, at, at + most) + len(_END_OF_EVENT)
        if cut <= at:
            return None
        part = ends_of_right(b"[" + content[at:] if is_last else b"[" + content[at:cut] + b"]")
        if part is None or (ends is not None and part.first_previous != ends.last_hash):
            return None
        ends = part if ends is None else _joined(ends, part)
        if is_last:
            return ends
        at = cut + 1
    return None


def _joined(ends: Ends, part: Ends) -> Ends:
    return Ends(ends.events + part.events, ends.first_id, part.last_id, ends.first_previous, part.last_hash)


def _are_canonical(instants: Sequence[str]) -> bool:
    """Whether each is printed as it would be printed again, and is a day of the calendar."""
    if _INSTANTS.fullmatch("\n".join([*instants, ""])) is None:
        return False
    try:
        for day in {instant[:10] for instant in instants}:
            date.fromisoformat(day)
    except ValueError:
        return False
    return True


@cache
def _decoder() -> Callable[[bytes], Sequence[_Event]] | None:
    """What reads a segment; None where msgspec is not installed."""
    try:
        import msgspec
    except ImportError:
        return None
    texts = ("timestamp", "actor", "evento", "entidade", "entidade_id", "payload_hash", "current_hash", "id")
    fields = [*((name, str) for name in texts), ("previous_hash", str | None)]
    event = msgspec.defstruct("Event", fields, gc=False)
    return msgspec.json.Decoder(list[event]).decode  # type: ignore[valid-type] # made a line before
