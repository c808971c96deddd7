"""A restored database file, as an action sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops.errors import SourceError
from ops.model.evidence import Level
from ops.model.findings import Finding
from ops.model.manifest import IN_PAYLOAD, Measures, TableMeasure
from ops.sources.sqlite import queries as questions
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.complain import ForeignKeys, not_loaded
from ops.sources.sqlite.connection import Extensions, connect_still, translated_errors, unloadable
from ops.sources.sqlite.measures import countable_tables, measure_database, not_counted
from ops.sources.sqlite.options import SqliteOptions


@dataclass(frozen=True, slots=True)
class SqliteCopy:
    """The database file at `path`, which nobody writes."""

    path: Path
    foreign_keys: ForeignKeys = "check"
    extensions: Extensions = ()

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def environment(self) -> Mapping[str, str]:
        """A path is enough."""
        return {}

    @property
    def findings(self) -> Sequence[Finding]:
        """Return what the configuration has SQLite load and cannot be loaded here: what needs it is an open question."""
        return [not_loaded(path, why, blocking=True) for path, why in unloadable(self.extensions).items()]

    def expected(self, recorded: Measures) -> Measures:
        """Return the row counts of all tables that can be counted here; what rows hold is in the payload's SHA-256.

        Digests of tables, which manifests of earlier versions have, say nothing beyond it.
        """
        refused = countable_tables(self.path, self.extensions).refused
        tables = {
            name: TableMeasure(table.rows) for name, table in recorded.tables.items() if name not in refused
        }
        return replace(recorded, tables=tables, digest_algorithm=IN_PAYLOAD)

    def check(self) -> list[Finding]:
        """All that SQLite's own checks find, and which tables cannot be counted here."""
        found = check_database(self.path, Level.FULL, self.foreign_keys, self.extensions)
        try:
            refused = countable_tables(self.path, self.extensions).refused
        except SourceError:
            return found  # measuring says so
        return [*found, *(not_counted(name, why) for name, why in refused.items())]

    def measure(self, like: Measures) -> Measures:
        """Return rows of the tables that `like` has, and header facts, to which the schema belongs."""
        found = measure_database(self.path, self.extensions)
        tables = {name: table for name, table in found.tables.items() if name in like.tables}
        return replace(found, tables=tables, digest_algorithm=IN_PAYLOAD)

    def count_rows(self, table: str) -> int:
        """Rows of `table`."""
        return questions.count_rows(self.path, table, self.extensions)

    def newest(self, column: str) -> object:
        """The greatest value of `table.column`."""
        return questions.newest(self.path, column, self.extensions)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement."""
        return questions.answer(self.path, sql, self.extensions)


@contextlib.contextmanager
def opened_copy(path: Path, options: SqliteOptions) -> Iterator[SqliteCopy]:
    """Yield the database file as a copy that is checked as `options` say, once SQLite has read its schema.

    Raises SourceError when SQLite cannot open it.
    """
    with translated_errors(path, "opening"), contextlib.closing(connect_still(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    yield SqliteCopy(path, options.foreign_keys, options.load_extension)
