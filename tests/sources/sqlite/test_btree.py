"""What lies on the pages, read by us, against what SQLite says that it stored."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import SourceError
from ops.sources.sqlite import btree, measures
from ops.sources.sqlite.btree import MalformedPageError, PageFile, page_file, sum_pages, walk_tree
from ops.sources.sqlite.measures import measure_database
from tests.conftest import execute

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=60),
    st.binary(max_size=60),
    st.integers(0, 20_000).map(lambda size: b"\xa5" * size),
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[PageFile]:
    """The file as pages."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield page_file(descriptor, os.pread(descriptor, 100, 0))
    finally:
        os.close(descriptor)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint, decoded by the book."""
    value = 0
    for index in range(9):
        byte = data[at + index]
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    raise AssertionError


def decode(record: bytes) -> tuple[object, ...]:
    """The values of a record, by the file format's description."""
    size, at = varint(record, 0)
    body, values = size, list[object]()
    while at < size:
        kind, at = varint(record, at)
        lengths = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
        length = lengths[kind] if kind < 10 else (kind - 12) // 2
        data, body = record[body : body + length], body + length
        if kind == 0:
            values.append(None)
        elif kind in {8, 9}:
            values.append(kind - 8)
        elif kind == 7:
            values.append(struct.unpack(">d", data)[0])
        elif kind < 7:
            values.append(int.from_bytes(data, "big", signed=True))
        else:
            values.append(data if kind % 2 == 0 else data.decode())
    assert body == len(record)
    return tuple(values)


def stored_records(path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The very bytes that are hashed for a table."""
    seen: list[bytes] = []

    def remember(rows: list[bytes]) -> int:
        seen.extend(rows)
        return 0

    monkeypatch.setattr(btree, "sum_encoded", remember)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    with opened(path) as file:
        tree = walk_tree(file, root)
        count, _ = sum_pages(file, tree.pages, is_index=tree.is_index, with_rowid=False)
    monkeypatch.undo()
    assert count == len(seen)
    return seen


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=80),
    page_size=st.sampled_from([512, 1024, 4096, 65536]),
    seed=st.integers(0, 9),
)
def test_pages_hold_what_sqlite_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[object, ...]], page_size: int, seed: int
) -> None:
    """Any values, page size, overflow and deletion: the records found are exactly the rows that SQL returns."""
    path = tmp_path / "t.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.execute("CREATE TABLE w (k INTEGER, a, b, PRIMARY KEY (k)) WITHOUT ROWID")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.executemany(
            "INSERT INTO w VALUES (?, ?, ?)", [(n, *row[1:]) for n, row in enumerate(rows)]
        )
        connection.execute("DELETE FROM t WHERE rowid % 10 = ?", (seed,))
        connection.execute("DELETE FROM w WHERE k % 10 = ?", (seed,))
        connection.commit()
        expected = {
            table: Counter(map(repr, connection.execute(f"SELECT * FROM {table}").fetchall()))
            for table in "tw"
        }
    for table in "tw":
        found = Counter(repr(decode(record)) for record in stored_records(path, table, monkeypatch))
        assert found == expected[table]


def test_large_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees of several levels, filled in random order and full of holes: every row once."""
    path = tmp_path / "t.db"
    chance = random.Random(7)
    keys = list(range(20_000))
    chance.shuffle(keys)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)", [(key * 10**12 - 10**15, f"v{key}") for key in keys]
        )
        connection.executemany("INSERT INTO w VALUES (?, ?)", [(f"k{key}", key) for key in keys])
        connection.execute("DELETE FROM t WHERE v LIKE '%7'")
        connection.commit()
        values = Counter(value for (value,) in connection.execute("SELECT v FROM t"))
    assert Counter(decode(record)[1] for record in stored_records(path, "t", monkeypatch)) == values
    kept = Counter(decode(record)[1] for record in stored_records(path, "w", monkeypatch))
    assert kept == Counter(range(20_000))


def test_rowid_counts_where_it_is_a_value(tmp_path: Path) -> None:
    """In a table with an INTEGER PRIMARY KEY the key is content; elsewhere the rowid is only a place."""
    digests = {}
    for name, declared in {
        "alias": "id INTEGER PRIMARY KEY, v",
        "quoted": '"id" "INTEGER" PRIMARY KEY AUTOINCREMENT, v',
        "descending": "id INTEGER PRIMARY KEY DESC, v",
        "int": "id INT PRIMARY KEY, v",
        "none": "id, v",
    }.items():
        for shift in (0, 100):
            path = tmp_path / f"{name}{shift}.db"
            execute(
                path,
                f"CREATE TABLE t ({declared}); INSERT INTO t (rowid, id, v) VALUES ({shift + 1}, 1, 'x');",
            )
            if name in {"alias", "quoted"}:
                execute(path, f"DELETE FROM t; INSERT INTO t (id, v) VALUES ({shift + 1}, 'x');")
            digests[name, shift] = measure_database(path, digests=True).tables["t"].digest
    for name in ("alias", "quoted"):
        assert digests[name, 0] != digests[name, 100], name
    for name in ("descending", "int", "none"):
        assert digests[name, 0] == digests[name, 100], name


def test_reserved_bytes(tmp_path: Path) -> None:
    """Pages whose end is reserved (as encryption and checksum extensions do) are read to their usable end only."""
    path = tmp_path / "t.db"
    execute(
        path,
        "PRAGMA page_size=1024; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(900)), (zeroblob(5000));",
    )
    with opened(path) as file:
        assert (file.page_size, file.usable) == (1024, 1024)
    header = bytearray(path.read_bytes()[:100])
    header[20] = 32
    with path.open("rb") as file:
        assert page_file(file.fileno(), bytes(header)).usable == 992


@pytest.mark.parametrize("seed", range(40))
def test_damaged_pages_are_never_an_answer(tmp_path: Path, seed: int) -> None:
    """Random damage to any page gives a SourceError or an ordinary result: no hang, no other error."""
    path = tmp_path / "t.db"
    execute(
        path,
        """
        PRAGMA page_size=512;
        CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO t SELECT i, zeroblob(i * 5) FROM n;
        INSERT INTO w SELECT 'k' || id, v FROM t;
        """,
    )
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 5, 50])):
        at = chance.randrange(512, len(content))
        content[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", chance.randbytes(4)])
    path.write_bytes(content[: len(content) // 512 * 512])
    with contextlib.suppress(SourceError):
        measure_database(path, digests=True)


def test_a_tree_that_bites_its_tail(tmp_path: Path) -> None:
    """A page that is its own child ends in an error, not in an endless walk."""
    path = tmp_path / "t.db"
    page = bytearray(512)
    page[0] = 5
    page[8:12] = (1).to_bytes(4, "big")
    path.write_bytes(bytes(page) * 2)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(MalformedPageError):
            walk_tree(PageFile(descriptor, 512, 512, 1024), 1)
    finally:
        os.close(descriptor)


def test_rows_that_sqlite_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the rows on the pages are not as many as SQLite counts, there is no digest but an error."""
    path = tmp_path / "t.db"
    execute(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    monkeypatch.setattr(measures, "_count", lambda path, table: 3)
    with pytest.raises(SourceError, match="2 rows on its pages, SQLite counts 3") as caught:
        measure_database(path, digests=True)
    assert caught.value.code == "source.corrupt"
