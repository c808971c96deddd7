from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import run_drillbook
from tests.snapshots.tables import make_prices, price

CONFIG = """
snapshot_dir = "frozen"
[source.market]
kind = "sqlite"
path = "data.db"
[source.log]
kind = "eventlog"
path = "log"
[store.local]
kind = "local"
path = "backups"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database of prices and a configuration that names it."""
    make_prices(tmp_path / "data.db", [price("PETR4", 2), price("VALE3", 2)])
    (tmp_path / "ops.toml").write_text(CONFIG)
    return tmp_path


def configured(place: Path, text: str) -> None:
    """Add to the configuration."""
    (place / "ops.toml").write_text(CONFIG + text)


def test_the_answer_as_json_has_what_scripts_need_at_its_top(place: Path) -> None:
    """Job, status, seconds, file and rows stand at the top of the document, and nothing else is on standard output."""
    done = run_drillbook("snapshot.create", "--ticker", "PETR4.SA", "--format", "json", cwd=place)
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer.keys() >= {"job_id", "status", "elapsed_sec", "snapshot", "rows"}
    assert (answer["status"], answer["rows"], answer["results"][0]["status"]) == ("ok", 1, "created")
    assert Path(answer["snapshot"]).parent == place / "frozen"


@pytest.mark.parametrize("ticker", ["", ".SA"])
def test_an_empty_ticker_is_not_the_whole_table(place: Path, ticker: str) -> None:
    """A variable of a script that is not set gives an error, not an export of everything."""
    done = run_drillbook("snapshot.create", f"--ticker={ticker}", cwd=place)
    assert done.returncode == 2
    assert not list(place.glob("frozen/*.csv"))


def test_other_tables_are_named_in_the_configuration(place: Path) -> None:
    """Source, table, key, suffix, order and columns are those of the table in the file."""
    configured(
        place,
        '[snapshot.closes]\nsource = "market"\ntable = "prices"\nkey = "ticker"\nsuffix = ".SA"\n'
        'order = ["date"]\ncolumns = ["date", "close"]\n',
    )
    done = run_drillbook("snapshot.create", "--name", "closes", "--ticker", "VALE3.SA", cwd=place)
    assert done.returncode == 0
    (file,) = (place / "frozen").glob("closes-VALE3-*.csv")
    assert file.read_text() == "date,close\n2026-01-02,36.5\n"
    assert run_drillbook("snapshot.restore-verify", str(file), cwd=place).returncode == 0
    asked = run_drillbook("snapshot.restore-verify", str(file), "--source", "market", cwd=place)
    assert (asked.returncode, "usage.bad_value" in asked.stdout) == (2, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[snapshot.x]\ncolunms = ["a"]\n', "config.unknown_key"),
        ('[snapshot.x]\nsource = "nowhere"\n', "config.unknown_source"),
        ('[snapshot.x]\norder = ["a", "a"]\n', "config.invalid_value"),
        ("[snapshot]\nx = 1\n", "config.invalid_value"),
    ],
)
def test_a_configuration_that_can_not_be_meant_is_refused(place: Path, text: str, code: str) -> None:
    """An unknown key or source, a column twice, and a value in place of a table are told with their code."""
    configured(place, text)
    done = run_drillbook("snapshot.create", "--ticker", "PETR4", cwd=place)
    assert done.returncode == 2
    assert code in done.stdout


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--name", "returnz"], "config.unknown_snapshot"),
        (["--source", "log"], "usage.bad_value"),
        (["--source", "nowhere"], "config.unknown_source"),
        (["--as", "xml"], "usage.bad_value"),
        (["--wait", "soon"], "usage.bad_value"),
    ],
)
def test_bad_flags_are_refused_with_their_code(place: Path, flags: list[str], code: str) -> None:
    """Each flag that cannot be carried out ends with 2 and leaves no file."""
    done = run_drillbook("snapshot.create", "--ticker", "PETR4", *flags, cwd=place)
    assert done.returncode == 2
    assert code in done.stdout
    assert not list(place.glob("frozen/*.csv"))
