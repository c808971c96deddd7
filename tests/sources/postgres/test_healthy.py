"""Healthy databases are proven, and restored over themselves, however their objects are numbered."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.model.findings import Severity, Verdict
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.healthy import HEALTHY
from tests.sources.postgres.shop import back_up, bad, drill, psql, restore, source_of, store_in

pytestmark = pytest.mark.long


@pytest.mark.parametrize("case", HEALTHY)
@pytest.mark.parametrize("major", [15, 17])
def test_it_is_proven(
    request: pytest.FixtureRequest, fresh_database: FreshDatabases, tmp_path: Path, major: int, case: str
) -> None:
    """A drill finds nothing wrong."""
    server: RunningServer = request.getfixturevalue(f"pg{major}")
    database = fresh_database(server)
    psql(server, database.name, "-c", HEALTHY[case])
    source = source_of(server, database.name)
    evidence = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED


@pytest.mark.parametrize("case", HEALTHY)
def test_it_is_restored(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, case: str
) -> None:
    """It is restored over itself, and nothing of it is lost."""
    database = fresh_database(pg17)
    psql(pg17, database.name, "-c", HEALTHY[case])
    source, store = source_of(pg17, database.name), store_in(tmp_path)
    backup = back_up(source, store)
    restored = restore(backup, source, tmp_path)
    assert [item.code for item in restored.findings if item.severity is Severity.CRITICAL] == []
    again = back_up(source, store)
    assert again.manifest.measures.tables == backup.manifest.measures.tables
