"""Laying out tables: as `rich` does, of which a hundred thousand rows would take a minute.

On a terminal a table takes no more than its width: columns are left out, and where not even the first four of those that
should be there fit, each row becomes a few lines of its own. Nothing is ever cut: a name is there to be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

_BETWEEN: Final = "   "
_CLOSE: Final = "  "
"""What stands between columns where that makes the difference."""
_LEAST: Final = 4
"""So many of the first columns make a table; fewer are told one below the other, and all of the first then."""
_LEAST_WIDTH: Final = 20
_LINE: Final = "\u2500"


def lay_out(columns: Sequence[str], cells: Sequence[Sequence[str]], between: str = _BETWEEN) -> str:
    """A heading, a line, and the rows; `cells` has those of each column.

    Cells are printable. Rows without any text are left out.
    """
    widths, padded = [], []
    for name, column in zip(columns, cells, strict=True):
        measure = _measure(column)
        width = max(len(name), max(map(measure, column), default=0))
        widths.append(width)
        padded.append(_padded([name, *column], width, measure))
    lines = list(map(str.rstrip, map(between.join, zip(*padded, strict=True))))
    lines[1:1] = [_LINE * (sum(widths) + len(between) * (len(widths) - 1))]
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


def fitted(
    columns: Mapping[str, Sequence[str]], width: int, first: Sequence[str] = (), *, everything: bool = False
) -> str:
    """Return the table as it fits a terminal of that width: with the columns that should be there, and those that find room.

    `first`: those that should, the most telling first; without it, all. `everything`: leave none out.
    """
    widths = {name: _width_of(name, column) for name, column in columns.items()}
    wanted, least = [name for name in first if name in columns], _LEAST
    if everything or not wanted:
        wanted, least = list(columns), len(columns)
    shown, between = _as_many_as_fit(widths, wanted, width)
    if len(shown) < min(len(wanted), least):
        return _one_below_the_other(columns, wanted, width)
    if shown == wanted:
        shown += [name for name in columns if name not in shown]
        shown, between = _as_many_as_fit(widths, shown, width)
    # In the order of the table, whatever found room first.
    names = [name for name in columns if name in shown]
    return lay_out(names, [columns[name] for name in names], between)


def _as_many_as_fit(widths: Mapping[str, int], names: Sequence[str], width: int) -> tuple[list[str], str]:
    """The first of these columns that fit, and what stands between them."""
    for number in range(len(names), 0, -1):
        for between in (_BETWEEN, _CLOSE):
            if sum(widths[name] for name in names[:number]) + len(between) * (number - 1) <= width:
                return list(names[:number]), between
    return [], _CLOSE


def _width_of(name: str, column: Sequence[str]) -> int:
    return max(len(name), max(map(_measure(column), column), default=0))


def _one_below_the_other(columns: Mapping[str, Sequence[str]], names: Sequence[str], width: int) -> str:
    """Each row as lines of name and value, the first value alone above them."""
    import textwrap  # only for a narrow terminal

    title, *others = names
    label = max((len(name) for name in others), default=0)
    blocks = []
    for number, value in enumerate(columns[title]):
        lines = [
            textwrap.fill(
                columns[name][number],
                max(width, _LEAST_WIDTH + label),
                initial_indent=f"  {name:<{label}}  ",
                subsequent_indent=" " * (label + 4),
                break_long_words=False,
                break_on_hyphens=False,
            )
            for name in others
            if columns[name][number]
        ]
        blocks.append("\n".join([value, *lines]))
    return "\n\n".join(blocks)
