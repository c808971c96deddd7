from __future__ import annotations

import io
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.report.printable import printable
from ops.report.text import table

# A joiner or a mark that follows nothing joins, for rich, with the blanks behind it: such cells are left out here.
_LETTERS = st.characters(exclude_categories=["Cf", "Mn", "Mc", "Me"])
_CELLS = st.one_of(
    st.text(_LETTERS, max_size=12),
    st.text(alphabet="aé漢ｶ🐘 \u00a0\t\x1b", max_size=8),
    st.sampled_from(["", " ", "x  ", "  x", "[bold]no markup[/]", ":smile:", "\u202eevil", "\ud800"]),
    st.sampled_from(["e\u0301te\u0301", "👩\u200d🔧", "❤\ufe0f", "한글", "\u0e01\u0e33"]),
)


def by_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table, laid out by rich."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    output = io.StringIO()
    Console(file=output, width=10_000, color_system=None, legacy_windows=False).print(grid)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines() if line.strip())


@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), max_size=6))
def test_as_rich_lays_it_out(rows: list[tuple[str, str, str]]) -> None:
    """Whatever stands in the cells, wide, combining, empty or unprintable, the table is byte for byte that of rich."""
    columns = ["Backup", "Rows", "Tags"]
    assert table(columns, rows) == by_rich(columns, rows)


def test_never_cut() -> None:
    """A cell of any length stands there whole, on one line."""
    long = "x" * 50_000
    assert table(["Backup", "Tags"], [[long, "y"]]).splitlines()[-1] == f"{long}   y"
