"""Parts of a database that are asked for on the command line, beside backups of the whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.sources.postgres.server.server import RunningServer
from tests.conftest import run_drillbook
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import dsn, fill_with_petshop, psql

pytestmark = pytest.mark.long

TABLE = """
[store.local]
kind = "local"
path = "backups"

[policy.two]
keep_last = 2

[source.shop]
kind = "postgres"
dsn = "{dsn}"
min_size = 1
policy = "two"
policies = {{ schema = "two" }}

[[source.shop.assert]]
row_count = "vendas"
min = 1
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with a configuration of one source, and its server."""

    folder: Path
    server: RunningServer
    database: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A task in a process of its own."""
        environment = {"OPS_STATE_DIR": str(self.folder / "state")}
        return run_drillbook(*arguments, cwd=self.folder, environment=environment)

    def ask(self, *arguments: str, code: int = 0) -> Mapping[str, Any]:
        """What a task answers in JSON; the test fails when it ends with another code."""
        done = self.run(*arguments, "--format", "json")
        assert done.returncode == code, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def create(self, *arguments: str) -> str:
        """The name of a new backup; anything noticed fails the test."""
        (made,) = self.ask("backup.create", "--source", "shop", *arguments)["results"]
        return str(made["name"])

    @property
    def names(self) -> list[str]:
        """All that is listed."""
        return [item["name"] for item in self.ask("backup.list")["results"]]


@pytest.fixture
def site(pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> Site:
    """The pet shop."""
    database = fresh_database(pg15)
    fill_with_petshop(pg15, database.name)
    (tmp_path / "ops.toml").write_text(TABLE.format(dsn=dsn(pg15, database.name)))
    return Site(tmp_path, pg15, database.name)


def test_they_stand_beside_the_whole(site: Site) -> None:
    """A schema, a table and a tenant are backed up with one flag, listed, and never the latest of the source."""
    whole = site.create()
    parts = [
        site.create("--scope", "schema"),
        site.create("--table", "vendas", "--table", "public.clientes"),
        site.create("--tenant", "2"),
        site.create("--schema", "relatorios"),
    ]
    assert site.names == [*reversed(parts), whole]
    (latest,) = site.ask("backup.show", "latest", "--source", "shop")["results"]
    assert latest["name"] == whole
    scopes = [site.ask("backup.show", name)["results"][0]["manifest"]["scope"] for name in parts]
    assert scopes == ["schema", "tables", "tenant", "schemas"]
    assert site.create() not in parts, "and the whole goes on without a word"
    listed = site.run("backup.list").stdout.splitlines()
    assert "Scope" in listed[0]
    assert [
        word for line in listed for word in ("schema", "tables", "tenant", "schemas") if f" {word} " in line
    ]
    selection = site.run("backup.show", parts[2]).stdout
    assert "tenant 2" in selection, "which one, too"


def test_a_drill_of_one(site: Site) -> None:
    """It is proven by itself, without what is asserted of the whole; the whole is not proven by it."""
    whole = site.create()
    part = site.create("--table", "clientes")
    (evidence,) = site.ask("backup.drill", "--from", part)["results"]
    assert evidence["verdict"] == "passed"
    assert "vendas" not in json.dumps(evidence["findings"])
    proven = {item["name"]: item["drilled"] for item in site.ask("backup.list")["results"]}
    assert [bool(proven[part]), bool(proven[whole])] == [True, False]


def test_retention_counts_each_part_by_itself(site: Site) -> None:
    """Backups of one selection never stand for those of another, or of the whole."""
    kept = [site.create(), *(site.create("--table", name) for name in ("vendas", "vendas", "clientes"))]
    old = site.create("--scope", "schema")
    kept += [site.create("--scope", "schema") for _ in range(2)]
    site.ask("backup.verify", "--all")
    done = site.ask("backup.prune", "--source", "shop", "--yes")
    assert done["results"][0]["deleted"] == [old]
    assert "backup.other_series" not in json.dumps(done), (
        "nothing is said of them as of other machines' backups"
    )
    assert sorted(site.names) == sorted(kept)


def test_it_does_not_replace_the_whole(site: Site) -> None:
    """A part is not put over the live database, where all else would be gone; its tables are, and it goes into a new one."""
    part = site.create("--table", "pagamentos")
    refused = site.ask("backup.restore", "--from", part, "--yes", code=2)
    assert [item["code"] for item in refused["errors"]] == ["refused.part"]
    psql(site.server, site.database, "-c", "DELETE FROM pagamentos")
    site.ask("backup.restore", "--from", part, "--table", "pagamentos", "--truncate", "--yes")
    assert int(psql(site.server, site.database, "-c", "SELECT count(*) FROM pagamentos")) > 0
    new = f"{site.database}_part"
    site.ask("backup.restore", "--from", part, "--to", new)
    assert psql(site.server, new, "-c", "SELECT count(*) > 0 FROM pagamentos") == "t"
    psql(site.server, "postgres", "-c", f'DROP DATABASE "{new}"')


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--scope", "half"), "--scope 'half' is not known"),
        (("--scope", "tables"), "--scope tables needs --table"),
        (("--table", "vendas", "--tenant", "1"), "--tenant cannot be combined with --table"),
        (("--scope", "schema", "--table", "vendas"), "--table cannot be combined with --scope schema"),
        (("--table", "nothing"), "tables of scope 'tables' are not there: public.nothing"),
    ],
)
def test_what_is_no_part(site: Site, flags: tuple[str, ...], said: str) -> None:
    """It is refused with the words of the flag, and nothing is made."""
    refused = site.ask("backup.create", *flags, code=2)
    assert said in refused["errors"][0]["message"]
    assert site.names == []


def test_a_name_in_other_letters(site: Site) -> None:
    """A table that is there in other letters, or in another schema, is named."""
    refused = site.ask("backup.create", "--table", "Vendas", code=2)
    assert "there is public.vendas" in refused["errors"][0]["hint"]


def test_the_same_part_from_the_configuration(site: Site) -> None:
    """Several sources of one database, each of another part, stand in one file."""
    table = (site.folder / "ops.toml").read_text()
    more = f'[source.schema]\nkind = "postgres"\ndsn = "{dsn(site.server, site.database)}"\nmin_size = 1\n'
    (site.folder / "ops.toml").write_text(f'{table}\n{more}scope = "schema"\n')
    made = site.ask("backup.create")["results"]
    assert [item["source"] for item in made] == ["shop", "schema"]
    (site.folder / "ops.toml").write_text(f"{table}\n{more}")
    refused = site.ask("backup.list", code=2)
    assert refused["errors"][0]["code"] == "config.duplicate_place"


def test_a_copy_of_a_part_goes_along(site: Site) -> None:
    """Further stores get it as they get the whole."""
    table = (site.folder / "ops.toml").read_text().replace('policy = "two"', 'stores = ["local", "away"]', 1)
    (site.folder / "ops.toml").write_text(f'[store.away]\nkind = "local"\npath = "away"\n{table}')
    part = site.create("--scope", "schema")
    assert (site.folder / "away" / part).is_dir()


@pytest.mark.parametrize(
    ("part", "table"),
    [
        (("--scope", "schema"), "clientes"),
        (("--tenant", "2"), "clientes"),
        (("--table", "produtos"), "clientes"),
        (("--table", "janeiro"), "medidas"),
    ],
)
def test_rows_that_a_part_does_not_hold_stay(site: Site, part: tuple[str, ...], table: str) -> None:
    """A table is not replaced from a part that lacks some of its rows: those of the live one would be gone."""
    for statement in (
        "CREATE TABLE medidas (dia date) PARTITION BY RANGE (dia)",
        "CREATE TABLE janeiro PARTITION OF medidas FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE outros PARTITION OF medidas DEFAULT",
        "INSERT INTO medidas VALUES ('2026-01-05'), ('2026-03-05')",
    ):
        psql(site.server, site.database, "-c", statement)
    name = site.create(*part)
    count = f"SELECT count(*) FROM {table}"
    rows = psql(site.server, site.database, "-c", count)
    refused = site.ask("backup.restore", "--from", name, "--table", table, "--truncate", "--yes", code=2)
    assert refused["errors"][0]["code"] == "refused.table_not_replaced"
    assert "does not hold all rows" in refused["errors"][0]["message"]
    assert psql(site.server, site.database, "-c", count) == rows


ONE_PARTITION = """
CREATE TABLE m (id int GENERATED ALWAYS AS IDENTITY, d date, v text) PARTITION BY RANGE (d);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO m (d, v) VALUES ('2026-01-03', 'a'), ('2026-01-04', 'b');
"""


@pytest.mark.parametrize("major", [15, 17])
def test_one_partition(
    request: pytest.FixtureRequest, fresh_database: FreshDatabases, tmp_path: Path, major: int
) -> None:
    """The counter of its parent is not in the backup, and nobody is warned that it stands behind."""
    server: RunningServer = request.getfixturevalue(f"pg{major}")
    database = fresh_database(server)
    psql(server, database.name, "-c", ONE_PARTITION)
    (tmp_path / "ops.toml").write_text(TABLE.format(dsn=dsn(server, database.name)).partition("[[source")[0])
    site = Site(tmp_path, server, database.name)
    (drilled,) = site.ask("backup.drill", "--from", site.create("--table", "m1"))["results"]
    assert (drilled["verdict"], drilled["rows"]) == ("passed", 2)
