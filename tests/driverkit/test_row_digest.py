from __future__ import annotations

import math
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.driverkit.row_digest import Row, add_sums, document_seal, sum_rows, table_digest
from ops.sources.sqlite import measures
from ops.sources.sqlite.measures import measure_database
from tests.conftest import execute

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec=None)),
    st.binary(max_size=40),
)
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=30)


@given(ROWS, st.randoms())
def test_order_does_not_matter(rows: list[Row], chance: random.Random) -> None:
    """Any order and any partition of the rows give the same sum."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    cut = chance.randint(0, len(rows))
    assert (
        sum_rows(shuffled) == sum_rows(rows) == add_sums([sum_rows(shuffled[:cut]), sum_rows(shuffled[cut:])])
    )


@given(ROWS, st.tuples(VALUES, VALUES))
def test_every_row_counts(rows: list[Row], extra: Row) -> None:
    """A row more, even one that is there already, changes the digest; so does its absence."""
    without = table_digest(("a", "b"), len(rows), sum_rows(rows))
    with_it = table_digest(("a", "b"), len(rows) + 1, sum_rows([*rows, extra]))
    assert without != with_it


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0.0,), (-0.0,)),
        ((1,), (1.0,)),
        ((1,), ("1",)),
        (("1",), (b"1",)),
        ((None,), ("",)),
        (("",), (b"",)),
        (("a", "bc"), ("ab", "c")),
        (("a\0b",), ("a",)),
        (("\udcff",), ("ÿ",)),
        ((2**31,), (-(2**31),)),
        ((math.inf,), (1.7976931348623157e308,)),
        ((5e-324,), (0.0,)),
    ],
)
def test_alike_is_not_equal(one: Row, other: Row) -> None:
    """Values that look alike and are not the same have different digests."""
    assert sum_rows([one]) != sum_rows([other])


def test_swapped_values_are_seen() -> None:
    """Two rows that exchange a value are other rows, although every column holds the same values."""
    assert sum_rows([(1, "a"), (2, "b")]) != sum_rows([(1, "b"), (2, "a")])


def test_known_digest() -> None:
    """The digest of a known table never changes: it stands in manifests that were released."""
    rows: list[Row] = [(1, None, -0.0, "é", b"\0"), (2**40, 1.5, "x", "", b"")]
    assert table_digest(("a", "b", "c", "d", "e"), 2, sum_rows(rows)) == (
        "4c877556657cc894ef7e763c91cb364daca0a1f149925548fd362469e45569c0"
    )


def test_seal_ignores_form_only() -> None:
    """The seal of a document is that of its content: order of keys does not matter, every value does."""
    assert document_seal({"a": 1, "b": [2]}) == document_seal({"b": [2], "a": 1, "seal": "anything"})
    assert document_seal({"a": 1, "b": [2]}) != document_seal({"a": 1, "b": [3]})


CLASSES = """
CREATE TABLE t (k, v);
INSERT INTO t VALUES
    (1, NULL), (2, 0), (3, 9223372036854775807), (4, -9223372036854775808), (5, 1e999), (6, -1e999), (7, 0.1),
    (8, ''), (9, x''), (10, 'a' || char(0) || 'b'), (11, '𝄞'), (12, CAST(x'fffe00c3' AS TEXT)), (13, x'fffe00c3');
INSERT INTO t VALUES (14, -0.0), (15, 0.0);
"""


def test_page_layout_does_not_matter(tmp_path: Path) -> None:
    """Another page size, another order of insertion, a VACUUM, another text encoding: the same digests."""
    digests = set()
    for number, preface in enumerate(
        ["", "PRAGMA page_size=512;", "PRAGMA page_size=65536;", "PRAGMA auto_vacuum=1;"]
    ):
        path = tmp_path / f"{number}.db"
        execute(path, preface + CLASSES)
        if number % 2:
            execute(
                path,
                "CREATE TEMP TABLE s AS SELECT * FROM t; DELETE FROM t;"
                "INSERT INTO t SELECT * FROM s ORDER BY k DESC; VACUUM;",
            )
        digests.add(measure_database(path, digests=True).tables["t"].digest)
    assert len(digests) == 1


def test_every_storage_class_is_covered(tmp_path: Path) -> None:
    """Changing any single value of any storage class changes the table's digest."""
    path = tmp_path / "t.db"
    execute(path, CLASSES)
    seen = {measure_database(path, digests=True).tables["t"].digest}
    for key in range(1, 16):
        execute(path, f"UPDATE t SET v = 'changed' WHERE k = {key}")
        seen.add(measure_database(path, digests=True).tables["t"].digest)
    assert len(seen) == 16


def test_text_encoding_is_content(tmp_path: Path) -> None:
    """The same text in a UTF-16 database is other bytes: the encoding is recorded, and so is the difference."""
    found = []
    for encoding in ("UTF-8", "UTF-16le", "UTF-16be"):
        path = tmp_path / f"{encoding}.db"
        execute(path, f"PRAGMA encoding='{encoding}'; CREATE TABLE t (a); INSERT INTO t VALUES ('é𝄞'), ('');")
        found.append(measure_database(path, digests=True))
    assert len({measured.facts["encoding"] for measured in found}) == 3
    assert len({measured.tables["t"].digest for measured in found}) == 3


def test_workers_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in worker processes some pages each, or at once: the same digests and counts."""
    path = tmp_path / "t.db"
    execute(
        path,
        """
        CREATE TABLE gaps (v);
        INSERT INTO gaps (rowid, v) VALUES (-9223372036854775808, 'low'), (0, 'mid'), (9223372036854775807, 'high');
        CREATE TABLE many (id INTEGER PRIMARY KEY, v);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO many SELECT i, hex(randomblob(10)) FROM n;
        CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        INSERT INTO w SELECT v, id FROM many;
        CREATE TABLE named (rowid TEXT, oid TEXT, _rowid_ TEXT);
        INSERT INTO named VALUES ('a', 'b', 'c');
        CREATE TABLE empty (a);
        """,
    )
    alone = measure_database(path, digests=True)
    monkeypatch.setattr(measures, "_WORKERS_FROM_BYTES", 0)
    assert measure_database(path, digests=True) == alone
    assert {name: table.rows for name, table in alone.tables.items()} == {
        "gaps": 3, "many": 5000, "w": 5000, "named": 1, "empty": 0,
    }  # fmt: skip
    counted = measure_database(path, digests=False)
    assert {name: table.rows for name, table in counted.tables.items()} == {
        name: table.rows for name, table in alone.tables.items()
    }


def test_reals_that_are_no_numbers(tmp_path: Path) -> None:
    """A NaN can only be put into a file by hand; SQLite reads it as NULL, the digest sees that it is none."""
    path = tmp_path / "nan.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", (1234.5678,))
        connection.commit()
    content = path.read_bytes()
    bits = bytes.fromhex("40934a456d5cfaad")
    assert content.count(bits) == 1
    digests = set()
    for other in ("7ff8000000000001", "7ff8000000000002", "fff8000000000001"):
        path.write_bytes(content.replace(bits, bytes.fromhex(other)))
        digests.add(measure_database(path, digests=True).tables["t"].digest)
    execute(tmp_path / "null.db", "CREATE TABLE t (v); INSERT INTO t VALUES (NULL);")
    digests.add(measure_database(tmp_path / "null.db", digests=True).tables["t"].digest)
    assert len(digests) == 4
