"""Each kind of source in turn, with data that a test can change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.ports.source import Source
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from tests.conftest import ask, execute
from tests.contracts.pair import PairOptions, PairSource
from tests.contracts.plain_file import PlainFileOptions, PlainFileSource
from tests.contracts.tree import TreeSource
from tests.sources.eventlog.writing import made_events, written_log
from tests.sources.postgres.conftest import FreshDatabase

_EVENTS = made_events(25)


@dataclass(frozen=True, slots=True)
class Subject:
    """A source with data, how to change that, what is there now, and how to take it away.

    `elsewhere`: a place that does not exist, as `--to` names it.
    """

    source: Source
    change: Callable[[], object]
    content: Callable[[], object]
    lose: Callable[[], object]
    elsewhere: str


def sqlite_subject(folder: Path) -> Subject:
    """A database of one table."""
    path = folder / "data.db"
    execute(path, "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2)")
    return Subject(
        SqliteSource("numbers", SqliteOptions(path=path)),
        lambda: execute(path, "INSERT INTO t VALUES (3)"),
        lambda: ask(path, "SELECT group_concat(n) FROM t"),
        path.unlink,
        str(folder / "elsewhere.db"),
    )


def eventlog_subject(folder: Path) -> Subject:
    """A log of two segments."""
    data = written_log(folder / "log", _EVENTS[:15], 10)
    return Subject(
        EventLogSource("log", EventLogOptions(path=data)),
        lambda: written_log(data, _EVENTS, 10),
        lambda: [
            event["id"]
            for path in sorted((data / "event-log").glob("segment-*.json"))
            for event in json.loads(path.read_bytes())
        ],
        lambda: shutil.rmtree(data),
        str(folder / "elsewhere"),
    )


def plain_subject(folder: Path) -> Subject:
    """A file of two lines."""
    path = folder / "notes.txt"
    path.write_text("one\ntwo\n")
    return Subject(
        PlainFileSource("notes", PlainFileOptions(path=path)),
        lambda: path.write_text("one\ntwo\nthree\n"),
        path.read_text,
        path.unlink,
        str(folder / "elsewhere.txt"),
    )


def pair_subject(folder: Path) -> Subject:
    """A database and a file, together."""
    database, notes = sqlite_subject(folder), plain_subject(folder)
    members = {item.source.info.name: item.source for item in (database, notes)}

    def change() -> None:
        database.change()
        notes.change()

    def lose() -> None:
        database.lose()
        notes.lose()

    (folder / "elsewhere").mkdir()
    return Subject(
        PairSource("both", PairOptions(members=tuple(members)), members),
        change,
        lambda: (database.content(), notes.content()),
        lose,
        str(folder / "elsewhere"),
    )


def postgres_subject(database: FreshDatabase) -> Subject:
    """A database of one table."""
    server = database.server
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (n integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
    dsn = f"host={server.socket_dir} port={server.port} user={server.user} dbname={database.name}"

    def content() -> object:
        with database.connect() as connection:
            return connection.execute("SELECT n FROM t ORDER BY n").fetchall()

    def change() -> None:
        with database.connect() as connection:
            connection.execute("INSERT INTO t VALUES (3)")

    def lose() -> None:
        with FreshDatabase(server, "postgres").connect() as connection:
            connection.execute(f'DROP DATABASE "{database.name}"'.encode())

    source = PostgresSource("shop", PostgresOptions(dsn=dsn))
    return Subject(source, change, content, lose, f"{database.name}_elsewhere")


def tree_source(
    folder: Path, behind: Callable[[], None] = lambda: None, *, again: bool = False
) -> TreeSource:
    """A folder of files of many sizes."""
    tree = folder / "tree"
    for number, size in enumerate((10, 0, 300_000, 4096, 70_000)):
        path = tree / f"part {number % 2}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * size)
    return TreeSource("tree", PlainFileOptions(path=tree), behind, again)
