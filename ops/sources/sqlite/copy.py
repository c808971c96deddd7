"""A restored database file, as an action sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.model.evidence import Level
from ops.model.findings import Finding
from ops.model.manifest import Measures
from ops.sources.sqlite import queries as questions
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.measures import measure_database


@dataclass(frozen=True, slots=True)
class SqliteCopy:
    """The database file at `path`, which nobody writes."""

    path: Path
    foreign_keys: ForeignKeys = "check"

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
        """Opening a file leaves nothing to say."""
        return ()

    def expected(self, recorded: Measures) -> Measures:
        """All of it."""
        return recorded

    def check(self) -> list[Finding]:
        """All that SQLite's own checks find."""
        return check_database(self.path, Level.FULL, self.foreign_keys)

    def measure(self, like: Measures) -> Measures:
        """Rows, header facts, and digests where `like` has them."""
        return measure_database(self.path, digests=like.digest_algorithm is not None)

    def count_rows(self, table: str) -> int:
        """Rows of `table`."""
        return questions.count_rows(self.path, table)

    def newest(self, column: str) -> object:
        """The greatest value of `table.column`."""
        return questions.newest(self.path, column)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement."""
        return questions.answer(self.path, sql)
