"""Reading what people and pg_restore write: addresses, names, tables of contents. No server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import ConfigError
from ops.sources.postgres.catalog.identifiers import parse_column, parse_shown, qualified, quoted, shown
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.connect.address import client_environment, parse_address
from ops.sources.postgres.dump.archive import after_rows, parse_listing, without_keys
from ops.sources.postgres.dump.tenant import loading_order
from tests.sources.postgres.tables import table

pytestmark = pytest.mark.long

LISTING = """;
; Archive created at 2026-01-01 00:00:00 UTC
;     TOC Entries: 12
;
215; 1259 16390 TABLE public vendas dono
3500; 0 16390 TABLE DATA public vendas dono
3300; 2606 16400 CONSTRAINT public vendas vendas_pkey dono
3301; 1259 16401 INDEX public i dono
3302; 2606 16402 FK CONSTRAINT public vendas vendas_loja_fkey dono
3303; 2620 16403 TRIGGER public estoque aplica dono
3304; 2606 16404 CHECK CONSTRAINT public vendas positivo dono
3305; 2618 16405 RULE public v _RETURN dono
3306; 2618 16406 RULE public leer nada dono
3307; 0 0 COMMENT public TRIGGER aplica ON estoque dono
3308; 0 0 MATERIALIZED VIEW DATA public mv dono
3309; 3466 16407 EVENT TRIGGER - wacht dono
"""


def test_what_waits_for_all_rows() -> None:
    """Triggers, foreign keys, checks, rules and comments wait; rows, indexes, unique keys and view rules do not."""
    waiting = {entry.id for entry in parse_listing(LISTING) if after_rows(entry)}
    assert waiting == {3302, 3303, 3304, 3306, 3307, 3309}
    left = {entry.id for entry in without_keys(parse_listing(LISTING), ["public vendas vendas_loja_fkey"])}
    assert left == {entry.id for entry in parse_listing(LISTING)} - {3302}


@pytest.mark.parametrize(
    ("dsn", "location"),
    [
        ("postgresql://ops@db.internal/petshop_db", "postgresql://ops@db.internal/petshop_db"),
        ("postgres://db.internal:5433/x?sslmode=verify-full", "postgresql://db.internal:5433/x"),
        ("postgresql://a%40b@[::1]:5432,h2/d%20b", "postgresql://a%40b@[::1]:5432,h2/d%20b"),
        ("postgresql:///x?host=/run/pg&port=6", "postgresql:///x?host=/run/pg&port=6"),
        ("host=/run/pg dbname='a b' user = o\\'x", "postgresql://o%27x@/a%20b?host=/run/pg"),
        ("service=shop", "postgresql:///?service=shop"),
        ("", "postgresql:///"),
    ],
)
def test_addresses(dsn: str, location: str) -> None:
    """URIs and keyword texts are read as libpq reads them, and shown as a URI that reads back the same."""
    address = parse_address(dsn)
    assert address.location == location
    assert parse_address(address.location).location == location


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:secret@h/d",
        "host=h password=secret",
        "postgresql://h/d?password=secret",
        "postgresql://u:@h/d",
    ],
)
def test_passwords_in_addresses_are_refused(dsn: str) -> None:
    """A password in an address is refused in every form, without being shown."""
    with pytest.raises(ConfigError) as caught:
        parse_address(dsn)
    assert caught.value.code == "config.secret_in_file"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("dsn", ["what is this", "host", "postgresql://h:x/d", "= x", "host='unclosed"])
def test_addresses_that_are_none(dsn: str) -> None:
    """Nonsense is refused."""
    with pytest.raises(ConfigError):
        parse_address(dsn)


@given(st.text(min_size=1), st.text(min_size=1))
def test_conninfo_reads_back(database: str, user: str) -> None:
    """Whatever a database or user is called, the conninfo text means it."""
    if "\0" in database + user:
        return
    address = parse_address("host=h").with_parameters(dbname=database, user=user)
    assert parse_address(address.conninfo) == address


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_read_back(schema: str, name: str) -> None:
    """A table's name in a manifest means its schema and name, whatever they are."""
    assert parse_shown(shown(schema, name)) == (schema, name)
    assert parse_column(f"{shown(schema, name)}.{quoted('c')}") == (qualified(schema, name), quoted("c"))


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", '"a', 'a"b', '""', "a..b"])
def test_names_that_are_none(text: str) -> None:
    """Nonsense is no name."""
    with pytest.raises(ValueError, match="no name"):
        parse_shown(text)


def test_the_environment_of_clients() -> None:
    """Clients get libpq's names, locale and paths, and no secret of anybody else."""
    environ = {
        "PATH": "/bin",
        "PGHOST": "h",
        "LC_ALL": "C",
        "AWS_SECRET_ACCESS_KEY": "Canary",
        "DB_PASSWORD": "Canary",
    }
    assert client_environment(environ) == {"PATH": "/bin", "PGHOST": "h", "LC_ALL": "C"}


def test_loading_order_follows_keys_and_survives_circles() -> None:
    """Parents come before children; a circle is broken at the first name."""
    a, b, c, d = (table(oid, name) for oid, name in enumerate("abcd", 1))
    order = loading_order([d, c, b, a], {1: set(), 2: {1}, 3: {2, 4}, 4: {3}})
    assert [item.name for item in order][:2] == ["a", "b"]
    assert {item.name for item in order} == set("abcd")
    assert order.index(d) > order.index(c)


@pytest.mark.parametrize("extra", [{}, {"postgres": 1}, {"postgres": {}}, {"postgres": {"nonsense": 1}}])
def test_manifests_without_needs(extra: dict[str, object]) -> None:
    """A manifest that does not say what its archive needs is invalid, not a crash."""
    from ops.errors import BackupError

    with pytest.raises(BackupError) as caught:
        needs_of(extra)
    assert caught.value.code == "backup.manifest_invalid"
