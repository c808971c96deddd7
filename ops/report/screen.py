"""What results are printed on: a terminal of some width, or a file, a pipe, a mail.

One for a process, so it is a context variable: handed through, it would be an argument of every function that makes a line.
"""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TextIO

_USUAL_WIDTH: Final = 80
_LEAST_WIDTH: Final = 20
_DOING: Final = {
    "backup.create",
    "backup.drill",
    "backup.prune",
    "backup.restore",
    "backup.verify",
    "snapshot.create",
    "snapshot.restore-verify",
    "store.pull",
    "store.push",
}
"""Tasks of which a person who did not start them only wants to know that they did well. Others were asked for what they show."""


@dataclass(frozen=True, slots=True)
class Screen:
    """`width` is None where there is no terminal, and nothing is fitted; `is_brief`: what went well is one line."""

    width: int | None = None
    colour: bool = False
    verbose: bool = False
    is_brief: bool = False

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it now."""
        return self.width is not None

    def folded(self, text: str, indent: int) -> str:
        """Return a line as it fits the terminal, later lines indented; words, paths and names stay whole."""
        if self.width is None or len(text) <= self.width:
            return text
        lead = text[: len(text) - len(text.lstrip())]
        lines = textwrap.wrap(
            text.lstrip(),
            max(self.width, indent + _LEAST_WIDTH),
            initial_indent=lead,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(lines)


def screen_of(stream: TextIO, environ: Mapping[str, str], task: str, *, verbose: bool) -> Screen:
    """Return what this stream is; no colour with `NO_COLOR`, and none where `TERM` is `dumb` or not given."""
    if not stream.isatty():
        return Screen(verbose=verbose, is_brief=task in _DOING and not verbose)
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        width = 0
    colour = not environ.get("NO_COLOR") and environ.get("TERM", "dumb") not in {"dumb", ""}
    return Screen(width=width or _USUAL_WIDTH, colour=colour, verbose=verbose)


_NONE: Final = Screen()
_PRESENT: Final[ContextVar[Screen]] = ContextVar("screen", default=_NONE)


def screen() -> Screen:
    """Return what is printed on now; without `printing_on` no terminal."""
    return _PRESENT.get()


@contextlib.contextmanager
def printing_on(chosen: Screen) -> Iterator[None]:
    """Print on this while the block runs."""
    token = _PRESENT.set(chosen)
    try:
        yield
    finally:
        _PRESENT.reset(token)
