"""Who a PostgreSQL source says it is, and what a database that was made anew or exchanged with another means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import RefusedError
from ops.model.findings import Finding, Severity
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.connect.identify import whereabouts_of
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.postgres.conftest import FreshDatabases, connect

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("options", "text", "local"),
    [
        (PostgresOptions(dsn="postgresql://app@db.example:5433/shop"), "db.example:5433/shop", False),
        (PostgresOptions(dsn="postgresql://other@db.example:5433/shop"), "db.example:5433/shop", False),
        (PostgresOptions(dsn="postgresql://a:1,b:2/shop"), "a,b:1,2/shop", False),
        (PostgresOptions(dsn="postgresql://127.0.0.1/shop"), "127.0.0.1:/shop", True),
        (PostgresOptions(dsn="postgresql://localhost:6000/shop"), "localhost:6000/shop", True),
        (PostgresOptions(dsn="postgresql:///shop?host=/run/pg"), "/run/pg:/shop", True),
        (PostgresOptions(dsn="postgresql:///shop?service=prod"), "service prod:/shop", True),
        (PostgresOptions(dsn="dbname=shop"), ":/shop", True),
        (PostgresOptions(container="pg", database="shop"), "container pg/shop", True),
        (PostgresOptions(cluster=Path("/srv/pg/"), database="shop"), "/srv/pg/shop", True),
    ],
)  # fmt: skip
def test_where_it_is_configured_to_be(
    options: PostgresOptions, text: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address as it is written, without the user; sockets, loopback, containers and clusters are this machine's."""
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGSERVICE", "PGHOSTADDR"):
        monkeypatch.setenv(name, "6000")  # of a shell, and not of cron
    found = whereabouts_of(options)
    assert (found.text, found.local) == (text, local)


def source_of(server: RunningServer, database: str, name: str = "shop") -> PostgresSource:
    """The database as a source."""
    dsn = f"postgresql://{server.user}@/{database}?host={server.socket_dir}&port={server.port}"
    return PostgresSource(name, PostgresOptions(dsn=dsn, globals=False))


@pytest.fixture
def repository(tmp_path: Path, scratch: Path) -> Repository:
    """An empty store."""
    return Repository(store=LocalStore("local", LocalOptions(path=tmp_path / "backups")), scratch=scratch)


@pytest.fixture
def take(repository: Repository) -> Callable[..., dict[str, Severity]]:
    """Makes a backup; the codes of what was said of the source."""

    def make(source: PostgresSource, *accept: str) -> dict[str, Severity]:
        found: tuple[Finding, ...] = take_backup(
            source, repository, BackupRequest(accept=accept), Job()
        ).findings
        return {
            item.code: item.severity for item in found if item.code.startswith(("source.", "backup.other"))
        }

    return make


class TestAsked:
    """A real server is asked."""

    def test_what_it_says(self, pg15: RunningServer, fresh_database: FreshDatabases) -> None:
        """System identifier and number of the database; two databases of one server differ in the number alone."""
        one, two = (source_of(pg15, fresh_database(pg15).name) for _ in range(2))
        first, second = one.identify(), two.identify()
        assert first.system == second.system
        assert first.system.isdigit()
        assert first.member != second.member
        assert first.system in first.text

    def test_a_role_that_may_not_see_the_identifier(
        self, pg15: RunningServer, fresh_database: FreshDatabases, take: Callable[..., dict[str, Severity]]
    ) -> None:
        """Address and database alone are compared then: with and without it, the series is the same."""
        database = fresh_database(pg15)
        source = source_of(pg15, database.name)
        with database.connect() as connection:
            connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
            connection.execute("CREATE ROLE plain LOGIN; GRANT pg_read_all_data TO plain")
            connection.execute("CREATE TABLE t (i int)")
        try:
            plain = replace(
                source,
                options=replace(
                    source.options, dsn=source.options.dsn.replace(f"//{pg15.user}@", "//plain@")
                ),
            )
            assert plain.identify().system == ""
            assert take(plain) == {}
            assert take(source) == {}
            assert take(plain) == {}
        finally:
            with database.connect() as connection:
                connection.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
                connection.execute("DROP OWNED BY plain; DROP ROLE plain")

    def test_made_anew(
        self, pg15: RunningServer, fresh_database: FreshDatabases, take: Callable[..., dict[str, Severity]]
    ) -> None:
        """A database that was dropped and made again is told once; where a restore of ours did it, nothing is said."""
        database = fresh_database(pg15)
        source = source_of(pg15, database.name)
        assert take(source) == {}
        with connect(pg15) as connection:
            connection.execute(f'DROP DATABASE "{database.name}"')
            connection.execute(f'CREATE DATABASE "{database.name}" TEMPLATE template0')
        assert take(source) == {"source.recreated": Severity.WARNING}
        assert take(source) == {}

    def test_restored(
        self,
        pg15: RunningServer,
        fresh_database: FreshDatabases,
        take: Callable[..., dict[str, Severity]],
        repository: Repository,
    ) -> None:
        """What a restore swapped in has another number, and is the same source."""
        database = fresh_database(pg15)
        source = source_of(pg15, database.name)
        backup = take_backup(source, repository, BackupRequest(), Job()).backup
        request = RestoreRequest(scratch=repository.scratch, safety=repository, yes=True)
        restore_backup(backup, source, request, Job())
        assert source.identify().member != backup.manifest.origin.member  # type: ignore[union-attr] # version 2
        assert take(source) == {}

    def test_exchanged(
        self, pg15: RunningServer, fresh_database: FreshDatabases, take: Callable[..., dict[str, Severity]]
    ) -> None:
        """Two databases that exchanged their names are not backed up under each other's, unless that is said."""
        first, second = fresh_database(pg15), fresh_database(pg15)
        shop, stock = source_of(pg15, first.name), source_of(pg15, second.name, "stock")
        assert (take(shop), take(stock)) == ({}, {})
        with connect(pg15) as connection:
            for old, new in ((first.name, "aside"), (second.name, first.name), ("aside", second.name)):
                connection.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"')
        with pytest.raises(RefusedError, match="stock") as caught:
            take(shop)
        assert caught.value.code == "source.swapped"
        assert take(shop, "source.swapped") == {"source.swapped": Severity.WARNING}
        assert take(stock) == {"source.recreated": Severity.WARNING}  # nobody has that number any more
        assert (take(shop), take(stock)) == ({}, {})
