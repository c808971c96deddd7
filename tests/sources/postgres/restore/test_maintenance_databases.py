"""The databases that every server has: postgres, which many images use for their data, template1 and template0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ops.errors import RefusedError, SourceError
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import connect, serving
from tests.sources.postgres.shop import back_up, bad, drill, dsn, psql, restore, source_of, store_in, verify

pytestmark = pytest.mark.long

ROWS = "CREATE TABLE customers (id integer PRIMARY KEY, name text); INSERT INTO customers SELECT n, 'n' || n FROM generate_series(1, 30) n"
COUNT = "SELECT count(*) FROM customers"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server that no other test uses: its databases are replaced."""
    with serving(17) as running:
        for name in ("postgres", "template1"):
            psql(running, name, "-c", ROWS)
        yield running


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_it_is_backed_up_and_proven(server: RunningServer, tmp_path: Path, name: str) -> None:
    """Verified in full and drilled, on a server of its own and beside on the source's server, with every row."""
    source = source_of(server, name)
    backup = back_up(source, store_in(tmp_path))
    assert backup.manifest.measures.tables["public.customers"].rows == 30
    given = source_of(server, name, scratch=dsn(server, ""))
    for evidence in (
        verify(backup, source, tmp_path, Level.FULL),
        drill(backup, source, tmp_path),
        drill(backup, given, tmp_path),
    ):
        assert bad(evidence.findings) == []
        assert evidence.verdict is Verdict.PASSED


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_it_is_restored_beside(server: RunningServer, tmp_path: Path, name: str) -> None:
    """Under a new name, beside the live one."""
    source = source_of(server, name)
    restored = restore(back_up(source, store_in(tmp_path)), source, tmp_path, to=f"beside_{name}")
    assert bad(restored.findings) == []
    assert psql(server, f"beside_{name}", "-c", COUNT) == "30"


def test_postgres_is_restored_over_itself(server: RunningServer, tmp_path: Path) -> None:
    """The live database is replaced though it is the one that tools connect to; its sessions are ended."""
    source = source_of(server, "postgres")
    backup = back_up(source, store_in(tmp_path))
    psql(server, "postgres", "-c", "DELETE FROM customers WHERE id > 10")
    with connect(server, "postgres") as monitor:
        restored = restore(backup, source, tmp_path)
        with pytest.raises(Exception, match=r"terminat|closed"):
            monitor.execute("SELECT 1")
    assert bad(restored.findings) == []
    assert psql(server, "postgres", "-c", COUNT) == "30"
    left = psql(server, "template1", "-c", "SELECT datname FROM pg_database WHERE datname LIKE 'drillbook%'")
    assert left == ""


def test_a_damaged_postgres_is_kept_with_a_command_that_works() -> None:
    """What goes back connects to another database than the one that it renames."""
    for name, place in (("postgres", "template1"), ("shop", "postgres"), ("o'hara", "postgres")):
        source = source_of(server_nowhere(), name)
        with source.target(f"postgresql://me@/{quote(name)}") as target:
            kept, undo = target.keep_damaged("20261127T000000Z")
        assert undo.startswith(f"psql -d {place} -c ")
        assert kept.startswith(name)


def server_nowhere() -> RunningServer:
    """A server that nobody asks."""
    return RunningServer(None, Path("/nowhere"), 1, "me", Path("/nowhere"), 0)  # type: ignore[arg-type]


def test_template1_is_not_replaced(server: RunningServer, tmp_path: Path) -> None:
    """Every CREATE DATABASE copies it: the restore is refused with the reason, and it is as it was."""
    source = source_of(server, "template1")
    backup = back_up(source, store_in(tmp_path))
    with pytest.raises(RefusedError, match=r"template1 is what CREATE DATABASE copies.*--to NAME") as caught:
        restore(backup, source, tmp_path)
    assert caught.value.code == "refused.prerequisites"
    assert psql(server, "template1", "-c", COUNT) == "30"


def test_template0_cannot_be_backed_up(server: RunningServer, tmp_path: Path) -> None:
    """No session may enter it; the message says so, and that there is nothing to back up."""
    with pytest.raises(SourceError, match="not currently accepting connections") as caught:
        back_up(source_of(server, "template0"), store_in(tmp_path))
    assert caught.value.code == "source.refused"
    assert "needs no backup" in caught.value.hint
