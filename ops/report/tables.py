"""Laying out tables: as `rich` does, of which a hundred thousand rows would take a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Final

_BETWEEN: Final = "   "
_LINE: Final = "\u2500"


def lay_out(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A heading, a line, and the rows; `cells` has those of each column.

    Cells are printable. Rows without any text are left out.
    """
    widths, padded = [], []
    for name, column in zip(columns, cells, strict=True):
        measure = _measure(column)
        width = max(len(name), max(map(measure, column), default=0))
        widths.append(width)
        padded.append(_padded([name, *column], width, measure))
    lines = list(map(str.rstrip, map(_BETWEEN.join, zip(*padded, strict=True))))
    lines[1:1] = [_LINE * (sum(widths) + len(_BETWEEN) * (len(widths) - 1))]
    return "\n".join(filter(None, lines))


def _measure(texts: Sequence[str]) -> Callable[[str], int]:
    """What tells how many places a text takes in a terminal: some letters take two or none."""
    if "".join(texts).isascii():
        return len
    from rich.cells import cell_len

    return cell_len


def _padded(texts: Sequence[str], width: int, measure: Callable[[str], int]) -> Iterable[str]:
    if measure is len:
        return map(str.ljust, texts, repeat(width))
    return (text + " " * (width - measure(text)) for text in texts)
