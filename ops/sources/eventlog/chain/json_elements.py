"""The elements of a JSON array, one after the other, out of a text that comes in parts. Pure.

What is read is what `parse_json` reads of the whole, and refused is what it refuses, only later: elements in front of a
mistake have been given out by then. No more than a part and an element is held at a time, and no element of more than 16 Mi
characters is read: what is held must not depend on what the text says.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ops.sources.eventlog.chain.event_hash import refuse_constant

_SPACE: Final = re.compile(r"[ \t\n\r]*+")
_LONGEST_WORD: Final = 16
"""A word or an escape that was cut is reported at most so far in front of the end: `-Infinity` and `\\ud83d\\ude00`."""
_CUT_OFF_A_NUMBER: Final = 2
"""A number that was cut is taken for a shorter one with at most so much behind it: `1` of `1e+5`."""
_UNTERMINATED: Final = "Unterminated string"
_LARGEST: Final = 16 * 1024 * 1024
"""Characters of an element. The values of JSON need up to twenty times the room of their text."""


class TooLargeError(ValueError):
    """An element is too large to be read; nothing is wrong with it as far as is known."""


def array_elements(parts: Iterable[bytes]) -> Iterator[Any]:
    """The elements of the array; none for `null`. Raises ValueError when the whole is neither.

    Raises TooLargeError for an element that is too large.
    """
    window = _Window(parts)
    if window.peek() == "n":
        if window.value() is not None:
            raise ValueError("it is no array")
    elif window.take() != "[":
        raise ValueError("it is no array")
    elif window.peek() == "]":
        window.take()
    else:
        while True:
            yield window.value()
            follows = window.take()
            if follows == "]":
                break
            if follows != ",":
                raise ValueError(f"an element is followed by {follows!r}")
    if window.peek():
        raise ValueError("something follows behind its end")


def _require_small(characters: int) -> None:
    if characters > _LARGEST:
        raise TooLargeError(f"it has more than {_LARGEST} characters")


class _Window:
    """The part of the text that is looked at."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder(parse_constant=refuse_constant)
        self._text, self._at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no white space; nothing at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read_more()

    def take(self) -> str:
        """The same, and go on behind it."""
        character = self.peek()
        self._at += 1
        return character

    def value(self) -> Any:  # noqa: ANN401 - whatever the text says
        """The next value; raises ValueError when there is none."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._may_be_cut(error):
                    raise
            except RecursionError as error:
                raise ValueError("nested too deeply") from error
            else:
                if end + _CUT_OFF_A_NUMBER < len(self._text) or self._ended:
                    _require_small(end - self._at)
                    self._at = end
                    return value
            # The element is not over, or a number that may be: then it is not longer than what is there.
            _require_small(len(self._text) - self._at - _LONGEST_WORD)
            self._read_more()

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more text could cure it."""
        return error.msg.startswith(_UNTERMINATED) or error.pos >= len(self._text) - _LONGEST_WORD

    def _read_more(self) -> None:
        """Another part, or as much as is there: a large value is begun anew seldom enough to be read in linear time."""
        texts, wanted = [self._text[self._at :]], len(self._text) - self._at
        self._at = 0
        while wanted >= 0 and not self._ended:
            part = next(self._parts, None)
            self._ended = part is None
            texts.append(self._utf8.decode(part or b"", self._ended))
            wanted -= max(1, len(texts[-1]))
        self._text = "".join(texts)
