from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.driverkit.row_digest import Row, Value
from ops.errors import SnapshotError
from ops.snapshots.csv_read import opened_csv
from ops.snapshots.csv_write import CsvEncoder
from tests.snapshots.tables import ODD_VALUES

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text(
    "01-+.eEinfX'\",\r\n\0\ufeff ", max_size=6
)
VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False).map(lambda number: number or 0.0)
    | TEXTS
    | st.binary(max_size=5)
)


def read_rows(path: Path) -> list[Row]:
    """All rows of a file."""
    with opened_csv(path) as file:
        return [row for batch in file.rows for row in batch]


def read_text(tmp_path: Path, content: bytes) -> list[Row]:
    """The rows of a file with this content."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    return read_rows(path)


def written(columns: list[str], rows: list[Row]) -> bytes:
    """The file with these rows."""
    encoder = CsvEncoder(columns)
    return encoder.begin() + encoder.encode(rows) + encoder.end()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        ("", '""'),
        (7, "7"),
        ("7", '"7"'),
        (7.0, "7.0"),
        ("7.0", '"7.0"'),
        ("007", "007"),
        (1e16, "1e+16"),
        (1 / 3, "0.3333333333333333"),
        (-0.0, "0.0"),
        (float("-inf"), "-inf"),
        ("inf", '"inf"'),
        ("nan", "nan"),
        (b"\0\xff", "X'00ff'"),
        ("X'00'", "\"X'00'\""),
        ('say "x"', '"say ""x"""'),
        ("a,b", '"a,b"'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("a\0b", '"a\0b"'),
        ("\ufeffa", '"\ufeffa"'),
        ("2026-01-02", "2026-01-02"),
        (" a ", " a "),
        ("ação", "ação"),
    ],
)
def test_each_value_has_one_spelling(value: Value, field: str) -> None:
    """A value is written as documented, alone and among values of its own type."""
    assert written(["a"], [(value,)]) == f"a\n{field}\n".encode()
    assert written(["a", "b"], [(value, 1), (value, 2)]) == f"a,b\n{field},1\n{field},2\n".encode()


def test_no_two_values_share_a_spelling() -> None:
    """All odd values of all storage classes have different lines."""
    lines = [written(["a"], [(value,)]) for value in ODD_VALUES]  # type: ignore[list-item] # SQLite's own types
    assert len(set(lines)) == len(lines)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), min_size=1, max_size=6))
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    """Whatever the rows hold, the same values of the same types come back, and the same bytes from them."""
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    columns = [f"c{number}" for number in range(len(rows[0]))]
    path.write_bytes(written(columns, rows))
    found = read_rows(path)
    assert [[(type(value), value) for value in row] for row in found] == [
        [(type(value), value) for value in row] for row in rows
    ]
    assert written(columns, found) == path.read_bytes()


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_other_readers_see_the_same_texts(rows: list[tuple[str, str]]) -> None:
    """Python's own csv module reads every text as it was."""
    text = written(["a", "b"], list(rows)).decode()
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))][1:] == rows


def test_texts_that_are_not_utf8_keep_their_bytes() -> None:
    """A byte that is no UTF-8 stands in the file as it is."""
    assert written(["a"], [("caf\udce9",)]) == b"a\ncaf\xe9\n"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"\xef\xbb\xbfa,b\n1,x\n", [(1, "x")]),
        (b"a,b\r\n1,x\r\n", [(1, "x")]),
        (b"a,b\n1,x", [(1, "x")]),
        (b'"a","b"\n"1","x"\n', [("1", "x")]),
        (b'a,b\n1,"x\r\ny"\n', [(1, "x\r\ny")]),
        (b"a,b\n", []),
        (b"a,b\n1,\n,\n", [(1, None), (None, None)]),
        (b"a,b\n99999999999999999999,-0\n", [(1e20, -0.0)]),
        (b"a,b\n" + b"9" * 5000 + b",1\n", [(float("inf"), 1)]),
        (b"a,b\n0.3333333333,1e+10\n", [(0.3333333333, 1e10)]),
    ],
)
def test_files_of_other_programs_are_read(tmp_path: Path, content: bytes, rows: list[Row]) -> None:
    """A BOM, CRLF, a missing last line end, superfluous quotes and ten-digit floats are understood."""
    assert read_text(tmp_path, content) == rows


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "line 1"),
        (b"\n", "line 2"),
        (b"a,A\n1,2\n", "line 1"),
        (b"a,\n1,2\n", "line 1"),
        (b"a,b\n1\n", "line 2"),
        (b"a,b\n1,2,3\n", "line 2"),
        (b"a,b\n1,2\n3", "line 3"),
        (b'a,b\n1,"x\n', "line 3"),
        (b'a,b\n1,x"y"\n', "line 2"),
        (b'a,b\n1,"x"y\n', "line 2"),
        (b"a,b\n1,x\0y\n", "line 2"),
        (b"a,b\n\0\0\0\0", "line 2"),
        (b"a,b\n1,x\ry\n", "line 2"),
    ],
)
def test_damage_is_no_value(tmp_path: Path, content: bytes, line: str) -> None:
    """Lines that break off, stray quotes, NULs of a lost page and wrong widths are errors that name the line."""
    with pytest.raises(SnapshotError, match=line) as caught:
        read_text(tmp_path, content)
    assert caught.value.code == "snapshot.malformed"


def test_many_different_numbers_take_no_more_memory() -> None:
    """What is remembered of numbers is bounded, and forgetting changes nothing."""
    encoder = CsvEncoder(["a"])
    for start in range(0, 300_000, 50_000):
        rows: list[Row] = [(number / 8,) for number in range(start, start + 50_000)]
        assert encoder.encode(rows).count(b"\n") == 50_000
    assert len(encoder._reals) <= 100_001
    assert math.inf not in encoder._reals
