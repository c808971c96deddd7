"""Drills of single tables: quick, told as partial, and no proof of the backup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from ops.actions.drill import DrillRequest, run_drill
from ops.errors import ConfigError
from ops.model.evidence import Evidence
from ops.model.findings import Verdict
from ops.report.drills import drills_text
from ops.repository.backup import Backup
from ops.repository.catalog import read_named
from ops.run.job import Job
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import back_up, bad, drill, fill_with_petshop, source_of, store_in, verify

pytestmark = pytest.mark.long


@pytest.fixture
def source(pg17: RunningServer, fresh_database: FreshDatabases) -> PostgresSource:
    """The pet shop."""
    database = fresh_database(pg17)
    fill_with_petshop(pg17, database.name)
    return source_of(pg17, database.name)


def partial(backup: Backup, source: PostgresSource, folder: Path, *tables: str) -> Evidence:
    """A drill of these tables alone."""
    return run_drill(backup, source, DrillRequest(scratch=folder / "scratch", tables=tables), Job())


@pytest.mark.parametrize("form", ["directory", "custom"])
def test_it_compares_these_tables_and_proves_nothing(
    source: PostgresSource, tmp_path: Path, form: Literal["directory", "custom"]
) -> None:
    """A partitioned table is compared with all its partitions; the backup is neither proven by it nor by its text."""
    source = replace(source, options=replace(source.options, format=form))
    backup = back_up(source, store_in(tmp_path))
    evidence = partial(backup, source, tmp_path, "vendas", "clientes")
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED
    (compared,) = [item for item in evidence.findings if item.code == "measure.equal"]
    rows = sum(
        item.rows
        for name, item in backup.manifest.measures.tables.items()
        if name.startswith(("public.vendas", "public.clientes"))
    )
    assert compared.found.startswith(f"{rows} rows")
    assert (evidence.action, evidence.level, evidence.rto_ms) == ("partial", "tables", None)
    kept = read_named(backup.store, backup.name)
    assert [item.action for item in kept.evidence] == ["partial"]
    assert not kept.proven
    text = drills_text([evidence])
    assert "passed, partial" in text
    assert "nothing is proven" in text
    assert drill(backup, source, tmp_path).proves


def with_other_rows(backup: Backup, table: str) -> Backup:
    """The backup, whose manifest says something else of one table."""
    measures = backup.manifest.measures
    wrong = replace(measures.tables[table], rows=7, digest="0" * 64)
    measures = replace(measures, tables={**measures.tables, table: wrong})
    return replace(backup, manifest=replace(backup.manifest, measures=measures))


def test_it_takes_back_no_failure(source: PostgresSource, tmp_path: Path) -> None:
    """A backup that a drill found bad stays so, whatever some of its tables say."""
    backup = back_up(source, store_in(tmp_path))
    assert drill(with_other_rows(backup, "public.clientes"), source, tmp_path).verdict is Verdict.FAILED
    assert partial(backup, source, tmp_path, "clientes").verdict is Verdict.PASSED
    assert read_named(backup.store, backup.name).good is False


def test_what_it_found_is_not_taken_back_by_less(source: PostgresSource, tmp_path: Path) -> None:
    """Rows that were wrong in a restored copy stay so for a quick look at the stored bytes, which says nothing of them."""
    backup = back_up(source, store_in(tmp_path))
    lying = with_other_rows(backup, "public.clientes")
    assert partial(lying, source, tmp_path, "clientes").verdict is Verdict.FAILED
    assert verify(backup, source, tmp_path).verdict is Verdict.PASSED
    assert read_named(backup.store, backup.name).good is False
    assert drill(backup, source, tmp_path).proves
    assert read_named(backup.store, backup.name).good is True


def test_rows_that_differ_are_found(source: PostgresSource, tmp_path: Path) -> None:
    """What differs in one of these tables fails it; what differs elsewhere is not looked at."""
    backup = back_up(source, store_in(tmp_path))
    lying = with_other_rows(backup, "public.clientes")
    assert partial(lying, source, tmp_path, "clientes").verdict is Verdict.FAILED
    assert partial(lying, source, tmp_path, "produtos").verdict is Verdict.PASSED


def test_a_table_that_is_not_there(source: PostgresSource, tmp_path: Path) -> None:
    """The name is told, and it is no verdict about the backup."""
    evidence = partial(back_up(source, store_in(tmp_path)), source, tmp_path, "nothing")
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "the backup has no table public.nothing" in " ".join(bad(evidence.findings))


def test_a_kind_that_cannot(source: PostgresSource, tmp_path: Path) -> None:
    """Of an SQLite file a drill always takes all; that is said before anything is begun."""
    other = SqliteSource("a", SqliteOptions(path=tmp_path / "a.db"))
    with pytest.raises(ConfigError, match="a drill always takes all"):
        run_drill(
            back_up(source, store_in(tmp_path)),
            other,
            DrillRequest(scratch=tmp_path, tables=("notes",)),
            Job(),
        )
