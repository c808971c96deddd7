"""What a person sees on terminals of several widths, and what a pipe, a mail and a dumb terminal get."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.findings import Finding, Severity
from ops.report.listing import _verdict_of
from ops.report.next_moves import codes, move_of
from ops.report.paint import painted
from ops.report.screen import Screen, printing_on, screen_of
from ops.report.tables import fitted, lay_out
from ops.report.text import findings_text
from tests.conftest import CONSOLE, clean_environment, execute, run_drillbook
from tests.terminals import on_a_terminal

COLOURED: Final = {"TERM": "xterm-256color"}
ESCAPE: Final = "\x1b"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three databases with a backup each: one verified, one drilled, one that nobody looked at."""
    folder = tmp_path_factory.mktemp("place")
    config = ""
    for name in ("customers", "orders", "stock"):
        execute(folder / f"{name}.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        config += f'[source.{name}]\nkind = "sqlite"\npath = "{name}.db"\nrto = "15m"\nrpo = "24h"\n'
    (folder / "ops.toml").write_text(config)
    for name in ("customers", "orders"):
        assert run_drillbook("backup.create", "--verify", "--source", name, cwd=folder).returncode == 0
    assert run_drillbook("backup.drill", "--from", "latest", "--source", "orders", cwd=folder).returncode == 0
    assert run_drillbook("backup.create", "--source", "stock", cwd=folder).returncode == 0
    return folder


def seen(
    place: Path, *words: str, columns: int = 80, environment: Mapping[str, str] = COLOURED
) -> subprocess.CompletedProcess[str]:
    """What `drillbook` shows on a terminal that is so wide."""
    return on_a_terminal([CONSOLE, *words], place, clean_environment(environment), columns)


def plain(text: str) -> list[str]:
    """The lines without their colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_a_listing_at_80_columns(place: Path) -> None:
    """Source, backup, verdict, age, RTO and RPO fit, on one line each; the summary is the last line."""
    lines = plain(seen(place, "backup.list").stdout)
    assert lines[0].split()[:6] == ["Backup", "Source", "Verdict", "Age", "RTO", "RPO"]
    assert max(map(len, lines)) <= 80
    words = {line.split("   ")[0].strip(): line for line in lines[2:5]}
    assert len(words) == 3
    assert sum(" proven " in line for line in lines) == 1
    assert sum(" verified " in line for line in lines) == 1
    assert sum("UNVERIFIED" in line for line in lines) == 1
    assert lines[-1] == "3 backups"


def test_a_wide_terminal_shows_the_rest(place: Path) -> None:
    """Where there is room, more columns stand; with --verbose all do, one below the other where they must."""
    wide = plain(seen(place, "backup.list", columns=200).stdout)
    assert {"Size", "Rows", "Verified", "Proven", "Tags", "RTO"} <= set(wide[0].split())
    between = plain(seen(place, "backup.list", columns=100).stdout)
    assert max(map(len, between)) <= 100
    assert {"Size", "RPO"} <= set(between[0].split())
    told = plain(seen(place, "backup.list", "--verbose").stdout)
    assert any(re.fullmatch(r"  Proven +yes, \d{4}-\d\d-\d\d", line) for line in told)
    assert max(map(len, told)) <= 80


def test_40_columns_are_still_readable(place: Path) -> None:
    """Where a table does not fit, each row is a few lines; no name is cut."""
    for words in (("backup.list",), ("doctor",), ("backup.show", "latest", "--source", "orders")):
        lines = plain(seen(place, *words, columns=40, environment={"TERM": "dumb"}).stdout)
        whole = [line for line in lines if max(map(len, line.split()), default=0) < 24]
        assert max(map(len, whole)) <= 40, words
    names = {path.name for path in (place / "backups").glob("*.db")}
    listed = plain(seen(place, "backup.list", columns=40).stdout)
    assert names == {line for line in listed if line.endswith(".db")}


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": ""}]
)
def test_no_colour_where_none_is_wanted(place: Path, environment: dict[str, str]) -> None:
    """NO_COLOR, a dumb terminal and one that does not say what it is get the same words, without colours."""
    cleaned = {"TERM": "dumb", **environment} if "TERM" in environment else {"TERM": ""}
    dull = seen(place, "backup.list", environment=cleaned).stdout
    assert ESCAPE not in dull
    coloured = seen(place, "backup.list").stdout
    assert f"{ESCAPE}[32mproven{ESCAPE}[0m" in coloured
    words = [[word for word in line.split() if word[0].isalpha()] for line in plain(coloured)]
    assert words == [[word for word in line.split() if word[0].isalpha()] for line in dull.splitlines()]


def test_a_pipe_gets_no_colour_and_no_summary(place: Path) -> None:
    """Where no one looks there is the plain table, whatever TERM says."""
    done = run_drillbook("backup.list", cwd=place, environment=COLOURED)
    assert ESCAPE not in done.stdout
    assert not done.stdout.rstrip().endswith("backups")


def test_json_is_one_document_on_a_terminal_too(place: Path) -> None:
    """`--format json` on a terminal is the document alone."""
    done = seen(
        place, "backup.verify", "--source", "orders", "--format", "json", environment={"TERM": "dumb"}
    )
    assert json.loads(done.stdout)["status"] == "ok"


def test_digests_and_job_ids_are_for_verbose(place: Path) -> None:
    """A person sees neither; with --verbose both, each on a line of its own."""
    brief = seen(place, "backup.verify", "--source", "orders", environment={"TERM": "dumb"}).stdout
    assert "sha256" not in brief
    assert "  job" not in brief
    told = seen(place, "backup.verify", "--source", "orders", "-v", environment={"TERM": "dumb"}).stdout
    assert re.search(r"^  sha256    [0-9a-f]{64}$", told, re.MULTILINE)
    assert re.search(r"^  job       [0-9a-f-]{36}$", told, re.MULTILINE)


def test_the_summary_names_the_first_move(place: Path, tmp_path: Path) -> None:
    """The last line says how much went wrong, and what to run for the worst of it."""
    (tmp_path / "ops.toml").write_text(
        "".join(f'[source.{name}]\nkind = "sqlite"\npath = "{name}.db"\n' for name in ("a", "b"))
    )
    done = seen(tmp_path, "doctor", columns=400, environment={"TERM": "dumb"})
    assert done.returncode == 2
    last = done.stdout.splitlines()[-1]
    assert re.match(r"2 critical, \d warnings?; next: check the path", last), last


def test_a_next_move_below_each_finding() -> None:
    """What needs a look says what to run, with the source's name in it; several of one kind say it once."""
    found = [
        Finding(severity=Severity.WARNING, code="drill.overdue", message="late"),
        Finding(severity=Severity.WARNING, code="copy.missing", message="one: run store.push"),
        Finding(severity=Severity.CRITICAL, code="measure.rows_differ", message="x"),
        Finding(severity=Severity.CRITICAL, code="measure.rows_differ", message="y"),
        Finding(severity=Severity.WARNING, code="a.b", message="own", hint="do this"),
        Finding(severity=Severity.OK, code="drill.overdue", message="fine"),
    ]
    lines = findings_text(found, all_of_them=True, source="prices").splitlines()
    marks = [line.split()[0] for line in lines]
    assert marks == ["WARNING", "next", "WARNING", "CRITICAL", "CRITICAL", "next", "WARNING", "next", "ok"]
    assert lines[1] == "    next    run backup.drill --source prices, and put it into the schedule"
    assert lines[7] == "    next    do this"
    assert move_of(found[-1]) == ""


def test_long_messages_are_folded_and_paths_are_not() -> None:
    """A finding takes as many lines as it must; a name is never broken."""
    path = "/srv/" + "x" * 60
    found = [
        Finding(severity=Severity.CRITICAL, code="a.b", message=f"the file {path} is not there any more")
    ]
    with printing_on(Screen(width=50)):
        lines = findings_text(found).splitlines()
    assert path in {line.strip() for line in lines}
    assert all(len(line) <= 50 for line in lines if path not in line)
    assert all(line.startswith(" " * 12) for line in lines[1:])


@pytest.mark.parametrize(
    ("good", "verified", "drilled", "said"),
    [
        ("", "", "", "UNVERIFIED"),
        ("yes", "passed", "", "verified"),
        ("yes", "passed", "passed", "proven"),
        ("yes", "", "passed", "proven"),
        ("no", "passed", "passed", "FAILED"),
        ("", "failed", "passed", "FAILED"),
        ("", "passed", "failed", "FAILED"),
        ("", "inconclusive", "passed", "INCONCLUSIVE"),
        ("", "passed", "inconclusive", "INCONCLUSIVE"),
        ("", "not whole", "passed", "NOT WHOLE"),
    ],
)
def test_one_verdict_of_all_looks(good: str, verified: str, drilled: str, said: str) -> None:
    """The worst that any look said decides; only what a drill proved is called proven."""
    assert _verdict_of(good, verified, drilled) == said


def test_words_that_are_painted() -> None:
    """Marks at the beginning of a line and verdicts are; names that look like them are not."""
    text = "  WARNING   x  (passed.db)\nCRITICAL (ok): FAILED\nokay   passed\n  next    WARNINGs"
    found = re.findall(r"\x1b\[[0-9;]+m([^\x1b]+)\x1b\[0m", painted(text))
    assert found == ["WARNING", "CRITICAL", "FAILED", "passed"]
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted(text)) == text


CELLS: Final = st.lists(st.text(alphabet="ab é漢", max_size=15), min_size=2, max_size=2)


@given(st.lists(CELLS, min_size=3, max_size=3), st.integers(min_value=1, max_value=60))
def test_tables_fit_whatever_is_in_them(cells: list[list[str]], width: int) -> None:
    """Rows of a table that is shown as one are never wider than the terminal, and hold what must be there."""
    columns = dict(zip(("One", "Two", "Three"), cells, strict=True))
    laid = fitted(columns, width, ("One",))
    if "\u2500" in laid:
        from rich.cells import cell_len

        assert all(cell_len(line) <= width for line in laid.splitlines())
    assert all(cell.strip() in laid for cell in cells[0])
    assert fitted(columns, 1000) == lay_out(list(columns), cells)


def test_every_code_can_be_explained() -> None:
    """`explain` knows every code, and says the nearest one where a code is spelt wrong."""
    for code in ("backup.overdue", "source.missing", "`verify.overdue`", "(sqlite.damaged)"):
        done = run_drillbook("explain", code, cwd=Path("/"))
        assert done.returncode == 0
        assert codes()[code.strip("()`")].meaning in done.stdout
    listed = run_drillbook("explain", cwd=Path("/"))
    assert {line.split()[0] for line in listed.stdout.splitlines()} == codes().keys()
    document = json.loads(run_drillbook("explain", "copy.made", "--format", "json", cwd=Path("/")).stdout)
    assert document["results"][0]["next"] is None


def test_no_terminal_is_no_terminal(tmp_path: Path) -> None:
    """A file is none, and what is not brief there is what was asked for."""
    with (tmp_path / "out").open("w") as stream:
        assert screen_of(stream, COLOURED, "backup.create", verbose=False) == Screen(is_brief=True)
        assert screen_of(stream, COLOURED, "backup.list", verbose=False) == Screen()
        assert screen_of(stream, COLOURED, "backup.create", verbose=True) == Screen(verbose=True)
