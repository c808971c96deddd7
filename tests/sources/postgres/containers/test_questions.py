"""Questions over psql in a container give what a driver's give: values, measures, errors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ops.errors import OpsError, SourceError
from ops.proc import worker_count
from ops.sources.postgres.catalog.definition_facts import definition_facts
from ops.sources.postgres.catalog.definitions.definitions import read_definitions
from ops.sources.postgres.catalog.objects import invalid_indexes, list_objects
from ops.sources.postgres.catalog.requirements import describe_database, list_extensions, list_roles, uses_icu
from ops.sources.postgres.catalog.sequences import next_values
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.measure.row_digest_sql import RECORD_HASH, TEXT_HASH
from ops.sources.postgres.measure.tables import (
    Measuring,
    estimate_rows,
    measure_large_objects,
    measure_tables,
    newest_values,
)
from tests.containers import wait_for
from tests.sources.postgres.containers.conftest import CLIENTS, ContainerDatabase

pytestmark = [pytest.mark.containers, pytest.mark.long]

ODD = (
    "it's",
    "\\",
    "\\q",
    "\\! touch /tmp/x",
    ":USER :'USER' :\"USER\" :{?USER} ::text",
    "a\nb\r\nc\td",
    "\\.\n\\echo x\n",
    '"; DROP TABLE t; --',
    "$$ $a$ /* -- */",
    "é 🐾 \x7f",
    "exit",
    "{}[],null",
    "\n\n",
    " ",
    "",
)


def outcome(action: Callable[[], object]) -> tuple[str, str]:
    """The class and code of the error that the action raises."""
    with pytest.raises(OpsError) as caught:
        action()
    return type(caught.value).__name__, caught.value.code


def everything(route: Route, session: Session) -> dict[str, Any]:
    """All that a backup asks."""
    tables, objects = list_tables(session), list_objects(session)
    description = describe_database(session)
    return {
        "version": session.version,
        "tables": tables,
        "objects": objects,
        "facts": definition_facts(session),
        "definitions": read_definitions(session),
        "sequences": next_values(session),
        "invalid": invalid_indexes(session),
        "database": description,
        "roles": list_roles(session, objects, description),
        "extensions": list_extensions(session),
        "icu": uses_icu(session, description),
        "estimates": {table.shown: estimate_rows(session, table) for table in tables if table.holds_rows},
        "newest": newest_values(session, ['"Vendas".pedido.quando', "messung.am"]),
        "large": measure_large_objects(session, digests=True),
        **{
            str(algorithm): measure_tables(
                route, session, tables, Measuring(algorithm), join=lambda _: worker_count() > 1
            )
            for algorithm in (None, RECORD_HASH, TEXT_HASH)
        },
    }


def test_measures_are_the_same(featured: ContainerDatabase) -> None:
    """Everything that a backup asks has the same answer over psql in the container as over a driver outside."""
    outside = featured.outside()
    with featured.route() as route, route.session() as inner, outside.session() as outer:
        found, expected = everything(route, inner), everything(outside, outer)
    assert found == expected
    assert found[RECORD_HASH]['"Vendas"."Cliente Nº 1"'].rows == 300


@pytest.mark.parametrize("client", CLIENTS)
def test_any_text_comes_through(database: ContainerDatabase, client: str) -> None:
    """Quotes, backslashes, colons, line ends, psql's own commands: as values, names and in statements."""
    with database.route(client) as route, route.session() as session:
        session.run("SET search_path = public")
        for text in ODD:
            quoted, name = text.replace("'", "''"), text.replace('"', '""') or "empty"
            assert session.rows(f"SELECT '{quoted}' AS value") == [{"value": text}]
            assert session.rows(f"EXPLAIN SELECT '{quoted}'")
            session.run(f'CREATE TABLE "{name}" ("{name}" text); INSERT INTO "{name}" VALUES (\'{quoted}\')')
            assert session.rows(f'TABLE "{name}"') == [{text or "empty": text}]
            session.run(f'DROP TABLE "{name}"')


def test_values_keep_their_types(database: ContainerDatabase) -> None:
    """Numbers, truth, nothing and lists come as the driver gives them; every other type as text."""
    sql = (
        "SELECT 9007199254740993 AS big, 1.50 AS exact, true AS truth, NULL AS nothing, ARRAY[1, NULL] AS list,"
        " ARRAY['a', 'b,c', NULL] AS texts, 'x'::name AS name, '{\"a\": [1]}'::jsonb AS document, 1 AS found,"
        " 7 AS q;  "
    )
    with database.route() as route, route.session() as session, database.outside().session() as outer:
        assert session.rows(sql) == outer.rows(sql)
        assert isinstance(session.rows(sql)[0]["exact"], Decimal)
        assert session.rows("SELECT 1 AS n -- and more") == [{"n": 1}]
        assert session.rows("/* first */ -- second\n (SELECT 1 AS n)") == [{"n": 1}]
        assert session.rows("SELECT 1 AS n WHERE false") == []
        assert session.rows("SELECT FROM generate_series(1, 2)") == [{}, {}]
        assert session.rows("SHOW search_path") == [{"search_path": '""'}]
        assert session.rows("VALUES (1), (2)") == [{"column1": 1}, {"column1": 2}]
        session.run("SET search_path = public; CREATE TABLE t (i int, v text)")
        returned = session.rows("INSERT INTO t VALUES (1, NULL), (2, ''), (3, E'a\n\"b\",') RETURNING v")
        assert returned == [{"v": None}, {"v": ""}, {"v": 'a\n"b",'}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nope",
        "SELECT 'never closed",
        'SELECT "never closed',
        "SELECT (",
        "\\q",
        "\\! true",
        "SELECT 1/0",
        "SELECT 1; SELECT 1/0; SELECT 2",
        "SELECT * FROM nowhere",
        "SELECT pg_read_file('/nowhere')",
        "SET ROLE weak; SELECT * FROM public.secrets",
        "LOCK TABLE public.taken IN ACCESS SHARE MODE NOWAIT",
        "SET statement_timeout = 20; SELECT pg_sleep(10)",
        "DO $$ BEGIN RAISE 'x' USING ERRCODE = 'XX001'; END $$",
        "DO $$ BEGIN RAISE E'two\nlines' USING ERRCODE = '53300'; END $$",
        "COMMENT ON TABLE nowhere IS 'x'",
    ],
)
def test_errors_are_the_same(database: ContainerDatabase, sql: str) -> None:
    """What fails has the error that it has over a driver, and the session goes on."""
    database.run(
        "CREATE TABLE secrets (i int); CREATE TABLE taken (i int); DROP ROLE IF EXISTS weak; CREATE ROLE weak"
    )
    with database.route() as route, route.session() as session, database.outside().session() as outer:
        with contextlib.closing(database.server.connect(database.name)) as holder:
            holder.execute("BEGIN; LOCK TABLE taken")
            assert outcome(lambda: session.run(sql)) == outcome(lambda: outer.run(sql))
        session.run("RESET ALL; RESET ROLE")
        assert session.rows("SELECT 1 AS n") == [{"n": 1}]


def test_a_failed_transaction(database: ContainerDatabase) -> None:
    """After an error inside a transaction nothing is executed until its end, least of all an earlier statement."""
    with database.route() as route, route.session() as session:
        session.run("SET search_path = public; CREATE TABLE t (i int)")
        session.run("INSERT INTO t VALUES ('1')")
        session.run("BEGIN")
        with pytest.raises(SourceError, match="does not exist"):
            session.rows("SELECT 'x' FROM nowhere")
        for sql in ("SELECT 'y'", "INSERT INTO t VALUES ('2')", "SELECT 1"):
            with pytest.raises(SourceError, match="transaction is aborted"):
                session.rows(sql)
        session.run("ROLLBACK")
        assert session.rows("SELECT i FROM t") == [{"i": 1}]
        with pytest.raises(SourceError, match="NUL"):
            session.run("INSERT INTO t VALUES ('\0')")
        assert session.rows("SELECT i FROM t") == [{"i": 1}]


@pytest.mark.parametrize("client", CLIENTS)
def test_cancel(database: ContainerDatabase, client: str) -> None:
    """A statement that is cancelled from another thread ends with the driver's error, and nothing runs on."""
    found: list[OpsError] = []

    def ask(session: Session) -> None:
        try:
            session.rows("SELECT pg_sleep(600)")
        except OpsError as error:
            found.append(error)

    with database.route(client) as route, route.session() as session:
        thread = threading.Thread(target=ask, args=(session,))
        thread.start()
        assert wait_for(lambda: any("pg_sleep" in query for _, _, query in database.server.sessions()))
        session.cancel()
        thread.join(60)
        assert [error.code for error in found] == ["source.locked"]
        assert wait_for(lambda: not database.server.sessions())
    assert wait_for(lambda: not database.server.processes())


def test_long_answers_and_statements(database: ContainerDatabase) -> None:
    """Twenty thousand rows come whole, and a statement of a megabyte is executed."""
    with database.route() as route, route.session() as session:
        rows = session.rows("SELECT i, repeat('x', 100) AS t FROM generate_series(1, 20000) i ORDER BY i")
        assert [row["i"] for row in rows] == list(range(1, 20001))
        text = "é'\\" * 250_000
        assert session.rows("SELECT '" + text.replace("'", "''") + "' AS t") == [{"t": text}]


@pytest.mark.parametrize("client", CLIENTS)
def test_warnings_of_the_server(database: ContainerDatabase, client: str) -> None:
    """What the server warns of is heard over psql, in its order, and notices and errors are not."""
    raised = "DO $$ BEGIN RAISE WARNING 'first'; RAISE NOTICE 'WARNING:  no'; RAISE WARNING 'it''s \\ second'; END $$"
    with database.route(client) as route, route.session() as session:
        session.run(raised)
        with contextlib.suppress(SourceError):
            session.run("SELECT no_such_thing")
        assert list(session.warnings) == ["first", "it's \\ second"]
        session.run("DO $$ BEGIN RAISE WARNING 'third'; END $$")
        assert list(session.warnings)[-1] == "third"
