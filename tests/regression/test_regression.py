from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.model.findings import Verdict
from ops.repository.backup import Backup
from ops.sources.postgres.catalog.identifiers import quoted
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from tests.regression.build import DATABASE, build, build_library, fetch
from tests.sources.postgres.conftest import serving
from tests.sources.postgres.shop import back_up, bad, drill, dsn, psql, restore, source_of, store_in

KEPT = "DRILLBOOK_REGRESSION"
LEAST_TABLES = 500
LEAST_ROWS = 400_000


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where the sources are kept; readable for the user that servers run as."""
    if given := os.environ.get(KEPT):
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
        return
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@dataclass(frozen=True, slots=True)
class Regression:
    """The database on one server, and a backup of it."""

    server: RunningServer
    source: PostgresSource
    backup: Backup
    folder: Path
    seconds: float


@pytest.fixture(scope="module", params=[15, 17, 18])
def regression(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Regression]:
    """Built anew for each version: on 15 with the library of functions in C, elsewhere without."""
    scripts = fetch(folder)
    libraries = build_library(scripts, folder) if request.param == 15 else folder / "none"
    place = tmp_path_factory.mktemp(f"regression-{request.param}")
    with serving(request.param) as server, tempfile.TemporaryDirectory() as results:
        Path(results).chmod(0o755)
        build(server, scripts, libraries, Path(results) / "results")
        source = source_of(server, DATABASE)
        began = time.monotonic()
        backup = back_up(source, store_in(place))
        yield Regression(server, source, backup, place, time.monotonic() - began)


@pytest.mark.timeout(900)
def test_it_is_all_there(regression: Regression) -> None:
    """The scripts made what they are known to make; with the library also functions in C."""
    tables = regression.backup.manifest.measures.tables
    assert len(tables) >= LEAST_TABLES
    assert sum(item.rows for item in tables.values()) >= LEAST_ROWS
    in_c = psql(
        regression.server, DATABASE, "-c", "SELECT count(*) FROM pg_proc WHERE probin LIKE '%/regress.so'"
    )
    assert (int(in_c) > 20) == (regression.server.programs.major == 15)


@pytest.mark.timeout(900)
def test_the_drill_passes(regression: Regression) -> None:
    """A healthy backup of it is proven: nothing is critical, and nothing hinders a verdict."""
    began = time.monotonic()
    evidence = drill(regression.backup, regression.source, regression.folder)
    tables = regression.backup.manifest.measures.tables
    rows = sum(item.rows for item in tables.values())
    print(
        f"\nPostgreSQL {regression.server.programs.major}: {len(tables)} tables, {rows} rows, {evidence.verdict};"
        f" backup {regression.seconds:.1f} s, drill {time.monotonic() - began:.1f} s"
    )
    assert evidence.verdict is Verdict.PASSED, bad(evidence.findings)
    assert {item.code for item in evidence.findings if str(item.severity) != "ok"} <= {
        # The scripts insert past their own sequences.
        "postgres.sequence_behind"
    }


@pytest.mark.timeout(900)
def test_a_restored_copy_is_equal_by_other_means(regression: Regression) -> None:
    """What pg_dump writes of the copy's schema, line by line, and what COPY writes of every table, is that of the source."""
    copy = f"{DATABASE}_copy"
    restore(regression.backup, regression.source, regression.folder, to=dsn(regression.server, copy))
    assert schema_of(regression.server, DATABASE) == schema_of(regression.server, copy)
    assert rows_of(regression.server, DATABASE) == rows_of(regression.server, copy)
    psql(regression.server, "postgres", "-c", f"DROP DATABASE {copy}")


@pytest.mark.timeout(900)
def test_it_is_restored_over_itself(regression: Regression) -> None:
    """A restore over the live database goes through, and what was deleted there is back."""
    psql(regression.server, DATABASE, "-c", "DELETE FROM tenk1")
    done = restore(regression.backup, regression.source, regression.folder)
    assert [item.message for item in done.findings if item.code == "restore.replaced_kept"] == []
    assert psql(regression.server, DATABASE, "-c", "SELECT count(*) FROM tenk1") == "10000"


def schema_of(server: RunningServer, database: str) -> Counter[str]:
    """How often each line stands in the dump: columns of inherited tables may change places, and so their commas."""
    done = subprocess.run(
        [server.programs.path("pg_dump"), "--schema-only", "-d", dsn(server, database)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    lines = done.stdout.replace(database, DATABASE).splitlines()
    return Counter(line.rstrip(",") for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def rows_of(server: RunningServer, database: str) -> dict[str, str]:
    """A digest of the sorted rows of each table, its columns by name."""
    with open_session(parse_address(dsn(server, database)), None) as session:
        tables = [item for item in list_tables(session) if item.kind == "r"]
    found = {}
    for table in tables:
        columns = ", ".join(sorted(quoted(column.name) for column in table.columns if not column.generated))
        text = psql(server, database, "-c", f"COPY (SELECT {columns} FROM ONLY {table.sql}) TO STDOUT")
        found[table.shown] = hashlib.sha256("\n".join(sorted(text.splitlines())).encode()).hexdigest()
    return found
