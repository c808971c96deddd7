"""A segment in the form that the program writes, checked with a decoder that is made for it (msgspec).

It only ever says that a segment is right as a whole. Whatever it does not know, or finds wrong, is looked at by the exact
rule, which also says what and where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
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
_WITHOUT_A_CUT: Final = 2
"""How many times the least size of a group is read in search of an event's end."""


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


class RightGroups:
    """The ends of groups of events out of a segment's text that comes in parts, for as long as all events are right.

    It is cut only where the program's form ends an event: what is before and what follows are arrays by themselves, so that
    whoever reads on by the exact rule can begin there. `rest` is then what was read and belongs to no group: the begin
    of an array that goes on with the next part; None when all was right.
    """

    def __init__(self, parts: Iterator[bytes], least: int) -> None:
        self._parts, self._least = parts, least
        self.rest: bytes | None = None

    def __iter__(self) -> Iterator[Ends]:
        """A group of at least so many bytes after the other, but the last; nothing where msgspec is not installed."""
        text, before, ended = b"", None, _decoder() is None
        self.rest = text
        while not ended:
            texts, ended = self._more()
            self.rest = text = b"".join([text, *texts])
            if not text.startswith(b"["):
                return
            cut = len(text) if ended else text.rfind(_BETWEEN) + len(_END_OF_EVENT)
            if cut <= len(_END_OF_EVENT):
                if len(text) > _WITHOUT_A_CUT * self._least:
                    return
                continue  # the last event may be alone in it, with its end
            group = ends_of_right(text if ended else text[:cut] + b"]")
            if group is None or (before is not None and group.first_previous != before.last_hash):
                return
            text, before = b"[" + text[cut + 1 :], group
            self.rest = None if ended else text
            yield group

    def _more(self) -> tuple[list[bytes], bool]:
        """The next parts, together of that size, and whether there are no others."""
        texts: list[bytes] = []
        size = 0
        while size < self._least:
            part = next(self._parts, None)
            if part is None:
                return texts, True
            texts.append(part)
            size += len(part)
        return texts, False


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
