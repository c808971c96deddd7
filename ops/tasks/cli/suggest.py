"""What may have been meant by a task or an option that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_ALIKE: Final = 0.7
"""How much of a word must be the same, from 0 to 1: less, and names of sources look like tasks."""


def with_suggestion(message: str, given: str, known: Iterable[str]) -> str:
    """Return the message with the nearest of the known words behind it, where one is near."""
    near = _nearest(given.partition("=")[0], list(known))
    return f"{message} Did you mean {' or '.join(near)}?" if near else message


def _nearest(given: str, known: list[str]) -> list[str]:
    """Return those that end with what was given (`create`: `backup.create`), else the one that is spelled most alike."""
    import difflib

    if ending := [word for word in known if word.rpartition(".")[2] == given.rpartition(".")[2]]:
        return ending
    return difflib.get_close_matches(given, known, 1, _ALIKE)
