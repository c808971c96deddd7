"""Functions that name things without their schema: every pg_restore fails on them, and the operator is told what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import BackupError
from ops.model.findings import Verdict
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import back_up, bad, drill, psql, restore, source_of, store_in

pytestmark = pytest.mark.long

CASES = {
    "a materialized view": (
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'",
        "CREATE MATERIALIZED VIEW m AS SELECT f() AS n",
    ),
    "a query in a text": (
        "CREATE TABLE t AS SELECT to_tsvector('one two') AS words",
        "CREATE FUNCTION f() RETURNS SETOF text LANGUAGE sql AS $$ SELECT word FROM ts_stat('SELECT words FROM t') $$",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM f()",
    ),
    "a check": (
        "CREATE TABLE t AS SELECT 5 AS a",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT max(a) FROM t'",
        "CREATE TABLE c (a int CHECK (a <= f()))",
        "INSERT INTO c VALUES (3)",
    ),
    "an index": (
        "CREATE FUNCTION g(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'begin return upper(a); end'",
        "CREATE FUNCTION f(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'begin return g(a); end'",
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('x')",
        "CREATE INDEX ON t (f(a))",
    ),
    "a generated column": (
        "CREATE FUNCTION g(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(a)'",
        "CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT g(a)'",
        "CREATE TABLE t (a text, b text GENERATED ALWAYS AS (f(a)) STORED)",
        "INSERT INTO t VALUES ('x')",
    ),
}
MEND = "DO $$ BEGIN EXECUTE format('ALTER FUNCTION %s SET search_path = public', 'f'::regproc::regprocedure); END $$"


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_and_can_be_mended(
    pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, case: str
) -> None:
    """The drill fails as every restore would, and names the cure; with the cure done in the source the next one passes."""
    database = fresh_database(pg15)
    for statement in CASES[case]:
        psql(pg15, database.name, "-c", statement)
    source = source_of(pg15, database.name)
    backup = back_up(source, store_in(tmp_path))
    evidence = drill(backup, source, tmp_path)
    assert evidence.verdict is Verdict.FAILED
    assert any("ALTER FUNCTION … SET search_path" in line for line in bad(evidence.findings))
    with pytest.raises(BackupError) as refused:
        restore(backup, source, tmp_path)
    assert "--accept" not in refused.value.hint, "no word would be enough"
    psql(pg15, database.name, "-c", MEND)
    mended = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
    assert bad(mended.findings) == []


def test_it_is_restored_without_what_failed(
    pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """The backup that is there is restored without the index that failed, once the error is allowed and the difference accepted."""
    database = fresh_database(pg15)
    for statement in CASES["an index"]:
        psql(pg15, database.name, "-c", statement)
    allowed = {"function g(text) does not exist": "the index is made by hand"}
    source = source_of(pg15, database.name, allowed_errors=allowed)
    backup = back_up(source, store_in(tmp_path))
    with pytest.raises(BackupError) as refused:
        restore(backup, source, tmp_path)
    codes = refused.value.hint.partition("--accept ")[2].split(" --accept ")
    restore(backup, source, tmp_path, accept=tuple(codes))
    assert psql(pg15, database.name, "-c", "TABLE t") == "x"
