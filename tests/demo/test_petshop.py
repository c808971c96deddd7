"""The demo's pet shop: equal rows on every server, figures that fit together, checks that see what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops.demo import petshop
from ops.demo.petshop import petshop_checks, petshop_script
from tests.petshop_damages import DAMAGES, REFUSED
from tests.petshop_server import Server, broken_checks, running_server

pytestmark = [pytest.mark.alone, pytest.mark.long]

if TYPE_CHECKING:
    import subprocess

CONTENT = "166badefdf01dd9d3c2660199241da08"
"""The digest of every row at scale 1; it changes only with the SQL files."""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
ROWS_BY_TENANT = "SELECT tenant_id, count(*) FROM {} GROUP BY tenant_id ORDER BY tenant_id"
PER_TENANT = (
    "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id'"
    " AND table_schema = 'public' AND table_name !~ '_[0-9]{4}_[0-9]{2}$|_outros$'"
)
LAST_SALE = "SELECT max(realizada_em AT TIME ZONE INTERVAL '-03:00')::date FROM vendas"
LAST_DAYS = [
    (date(2024, 2, 29), date(2024, 2, 29)),
    (date(2025, 6, 1), date(2025, 6, 1)),
    (date(2025, 12, 25), date(2025, 12, 24)),
]
"""The last day asked for, and the one with the last sale: a leap day, a Sunday that is a first, a holiday."""


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[int], Server]]:
    """Servers by major version, each started when it is first asked for."""
    started: dict[int, Server] = {}
    with ExitStack() as stack:

        def server(major: int) -> Server:
            if major not in started:
                started[major] = stack.enter_context(running_server(major))
            return started[major]

        yield server


@pytest.fixture(scope="session", params=[15, 17, 18])
def server(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Server:
    """Each of the versions in turn."""
    return servers(request.param)


@pytest.fixture(scope="session")
def shop(server: Server) -> str:
    """A shop of scale 1 on each version that no test changes for good."""
    return server.build(server.create())


@pytest.fixture(scope="session")
def fifteen(servers: Callable[[int], Server]) -> Server:
    """The version with ICU, for what does not depend on the version."""
    return servers(15)


@pytest.fixture(scope="session")
def old_shop(fifteen: Server) -> str:
    """A shop on one version that no test changes for good."""
    return fifteen.build(fifteen.create())


def try_to_build(server: Server, database: str, *more: str) -> subprocess.CompletedProcess[str]:
    """How psql ended with these further arguments before the files."""
    *options, last = petshop_script().psql_arguments()
    first_file = next(place for place, option in enumerate(options) if option.startswith("--file"))
    options[first_file:first_file] = more
    return server.program("psql", *options, last, f"--dbname={database}")


class TestRows:
    def test_equal_on_every_version(self, server: Server, shop: str) -> None:
        """Each version holds the very rows whose digest is written down here."""
        assert server.content(shop) == CONTENT

    def test_equal_a_second_time(self, server: Server, shop: str) -> None:
        """A second build gives the same rows and leaves every sequence at the same place."""
        other = server.build(server.create())
        assert server.digests(other) == server.digests(shop)
        assert server.ask(other, SEQUENCES) == server.ask(shop, SEQUENCES)

    @pytest.mark.parametrize("options", ["LOCALE 'C'", "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'"])
    def test_equal_in_other_locales(self, fifteen: Server, options: str) -> None:
        """Neither byte order nor Turkish rules for letters change a row."""
        assert fifteen.content(fifteen.build(fifteen.create(options))) == CONTENT

    def test_equal_whatever_the_database_prefers(self, fifteen: Server) -> None:
        """Time zone, date style and byte form that a database prescribes do not change a row."""
        name = fifteen.create()
        for setting in ("timezone TO '+5:45'", "datestyle TO 'SQL, DMY'", "bytea_output TO 'escape'"):
            fifteen.order("postgres", f"ALTER DATABASE {name} SET {setting}")
        assert fifteen.content(fifteen.build(name)) == CONTENT

    def test_checks_hold(self, server: Server, shop: str) -> None:
        """No check finds anything, and only the partition for other months is empty."""
        with closing(server.connect(shop)) as connection:
            assert broken_checks(connection) == set()
        digests = server.digests(shop)
        assert len(digests) == 29
        assert [name for name, digest in digests.items() if digest is None] == ["estoque_movimentos_outros"]

    @pytest.mark.parametrize(("until", "worked"), LAST_DAYS)
    def test_other_last_days(self, fifteen: Server, until: date, worked: date) -> None:
        """Checks hold with a leap day, the first of a month, a Sunday; the last sale is of the last day worked."""
        name = fifteen.build(fifteen.create(), until=until)
        with closing(fifteen.connect(name)) as connection:
            assert broken_checks(connection) == set()
        assert fifteen.ask(name, LAST_SALE) == [(worked,)]

    def test_larger_scale(self, fifteen: Server) -> None:
        """Checks hold at scale 20 with its sixteenfold sales, and there are more shops and goods."""
        name = fifteen.build(fifteen.create(), scale=20)
        with closing(fifteen.connect(name)) as connection:
            assert broken_checks(connection) == set()
        counts = "SELECT (SELECT count(*) FROM vendas), (SELECT count(*) FROM lojas), (SELECT count(*) FROM produtos)"
        assert fifteen.ask(name, counts) == [(15000, 4, 240)]

    def test_tenants(self, fifteen: Server, old_shop: str) -> None:
        """Both tenants own rows in every table that has a tenant, the first more than the second."""
        tables = [name for (name,) in fifteen.ask(old_shop, PER_TENANT)]
        assert len(tables) == 14
        for table in tables:
            (one, first), (two, second) = fifteen.ask(old_shop, ROWS_BY_TENANT.format(table))
            assert (one, two) == (1, 2)
            assert first >= second > 0


class TestChecks:
    def test_each_has_its_damage(self) -> None:
        """There is a damage for every check in the file, and every query was found there."""
        text = petshop_script().files[0].with_name("checks.sql").read_text(encoding="utf-8")
        assert list(petshop_checks()) == re.findall(r"(?m)^-- check: (\w+)", text) == list(DAMAGES)

    @pytest.mark.parametrize("check", DAMAGES)
    def test_sees_its_damage(self, fifteen: Server, old_shop: str, check: str) -> None:
        """A check reports the harm that it is there for; the harm is undone again."""
        with closing(fifteen.connect(old_shop)) as connection:
            connection.execute("BEGIN")
            connection.execute(DAMAGES[check].encode())
            assert check in broken_checks(connection)


class TestSchema:
    def test_survives_dump_and_restore(self, server: Server, shop: str, tmp_path: Path) -> None:
        """pg_dump and pg_restore of each version bring back the same rows, and every check holds."""
        archive = str(tmp_path / "shop.dump")
        other = server.create()
        assert server.program("pg_dump", "-Fc", f"--file={archive}", shop).returncode == 0
        restored = server.program("pg_restore", "--exit-on-error", f"--dbname={other}", archive)
        assert (restored.returncode, restored.stderr) == (0, "")
        assert server.digests(other) == server.digests(shop)
        with closing(server.connect(other)) as connection:
            assert broken_checks(connection) == set()

    def test_triggers_and_sequences_work_on(self, server: Server) -> None:
        """A movement changes the stock, an update its time, new rows get free numbers, in a month to come too."""
        with closing(server.connect(server.build(server.create()))) as connection:
            before = connection.execute("SELECT max(atualizado_em) FROM produtos").fetchall()
            connection.execute("UPDATE produtos SET ativo = false WHERE id = 1")
            assert connection.execute("SELECT max(atualizado_em) FROM produtos").fetchall() > before
            connection.execute(
                "INSERT INTO estoque_movimentos (ocorrido_em, tenant_id, loja_id, produto_id, tipo, quantidade)"
                " SELECT '2031-05-05', tenant_id, loja_id, produto_id, 'entrada', 5 FROM estoques"
            )
            assert broken_checks(connection) == set()
            note = connection.execute(
                "SELECT proxima_nota_fiscal() - max(nota_fiscal) FROM vendas"
            ).fetchall()
            assert note[0][0] >= 1

    def test_deleting_takes_along_what_belongs(self, fifteen: Server, old_shop: str) -> None:
        """A customer without sales takes addresses and animals along; one with sales cannot be deleted."""
        import psycopg

        with closing(fifteen.connect(old_shop)) as connection:
            connection.execute("BEGIN")
            connection.execute("UPDATE vendas SET cliente_id = NULL; DELETE FROM agendamentos")
            connection.execute("DELETE FROM clientes")
            left = "SELECT (SELECT count(*) FROM enderecos) + (SELECT count(*) FROM animais)"
            assert connection.execute(left).fetchall() == [(0,)]
            connection.execute("ROLLBACK")
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                connection.execute("DELETE FROM clientes")

    def test_owner_and_reader(self, server: Server, shop: str) -> None:
        """The application owns everything; the reader reads sales and new tables, but no password digest."""
        import psycopg

        owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert server.ask(shop, owners) == [(petshop.ROLES[0],)]
        with closing(server.connect(shop)) as connection:
            connection.execute(
                "BEGIN; SET ROLE petshop_app; CREATE TABLE novidade (); SET ROLE petshop_leitura"
            )
            connection.execute("SELECT count(*) FROM vendas, novidade, relatorios.vendas_por_dia")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT senha_resumo FROM usuarios")


class TestBuild:
    @pytest.mark.parametrize("variable", REFUSED)
    def test_refuses_nonsense(self, fifteen: Server, variable: str) -> None:
        """Variables of psql that make no sense end the build with their value, and nothing has been made."""
        name = fifteen.create()
        ended = try_to_build(fifteen, name, f"--set={variable}")
        assert ended.returncode == 3
        assert REFUSED[variable] in ended.stderr
        assert fifteen.digests(name) == {}

    def test_refuses_another_encoding(self, fifteen: Server) -> None:
        """A database that is not UTF-8 is refused by its encoding's name."""
        name = fifteen.create("ENCODING 'LATIN1' LOCALE 'C'")
        ended = try_to_build(fifteen, name)
        assert "the database has the encoding LATIN1" in ended.stderr
        assert fifteen.digests(name) == {}

    def test_second_build_changes_nothing(self, fifteen: Server) -> None:
        """Building into a shop fails and leaves it as it was, also when somebody worked in it."""
        name = fifteen.build(fifteen.create())
        fifteen.order(name, "UPDATE produtos SET ativo = false")
        before = fifteen.digests(name)
        assert try_to_build(fifteen, name).returncode == 3
        assert fifteen.digests(name) == before

    def test_all_or_nothing(self, fifteen: Server, tmp_path: Path) -> None:
        """A failure after the last file leaves an empty database."""
        name = fifteen.create()
        (tmp_path / "last.sql").write_text("SELECT 1 / 0", encoding="utf-8")
        arguments = (*petshop_script().psql_arguments(), f"--file={tmp_path / 'last.sql'}")
        assert fifteen.program("psql", *arguments, f"--dbname={name}").returncode == 3
        assert fifteen.digests(name) == {}
