"""Every folder of damaged event logs and backups is found to be what the tables of their README say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import Exit
from invoke.program import Program

from ops import __version__
from ops.model.manifest import SourceInfo
from ops.model.series import first_version_series
from ops.tasks import collection
from tests.conftest import files_below

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "fixtures/eventlogs"
CONFIG = 'scratch_dir = "scratch"\n[source.log]\nkind = "eventlog"\npath = "data"\n[store.local]\nkind = "local"\npath = "store"\n'
LOGS, BACKUPS = "Logs", "Backups"
Outcome = tuple[set[str], int]


def rows_of(heading: str) -> dict[str, tuple[Outcome, Outcome]]:
    """The table below a heading: what is expected of each folder, in both ways."""
    section = (FOLDER / "README.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            one, other = (set(re.findall(r"`([a-z_.]+)`", cells[at])) for at in (2, 4))
            assert cells[0].strip("`") not in rows
            rows[cells[0].strip("`")] = (one, int(cells[3])), (other, int(cells[5]))
    return rows


def folders_of(kind: str) -> set[str]:
    """The folders that are there."""
    return {path.name for path in (FOLDER / kind).iterdir()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, which is the current one."""
    (tmp_path / "ops.toml").write_text(CONFIG)
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "jobs.log"))
    return tmp_path


def outcome_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, str], int]:
    """The codes of all findings and errors, with their severities, and the exit code of a task."""
    code = 0
    try:
        program = Program(name="drillbook", binary="drillbook", version=__version__, namespace=collection())
        program.run(["drillbook", *arguments, "--format", "json"])
    except SystemExit as end:
        code = int(end.code or 0)
    except Exit as end:
        code = end.code
    document = json.loads(capsys.readouterr().out)
    findings = [
        *document["findings"],
        *(item for result in document["results"] for item in result["findings"]),
    ]
    found = {item["code"]: item["severity"] for item in findings}
    return found | {item["code"]: "critical" for item in document["errors"]}, code


def test_every_folder_has_a_row_and_every_row_a_folder() -> None:
    """Nothing is looked at without an expectation, nothing is expected of what is not there, and all is small."""
    assert set(rows_of(LOGS)) == folders_of("logs")
    assert set(rows_of(BACKUPS)) == folders_of("backups")
    assert (len(rows_of(LOGS)), len(rows_of(BACKUPS))) == (31, 25)
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 300 * 1024


def test_built_anew_they_are_the_same(tmp_path: Path) -> None:
    """The script makes every folder again, byte for byte, but the two that all others are made of."""
    command = [sys.executable, "-m", "fixtures.eventlogs.build", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    for kind, rows in (("logs", rows_of(LOGS)), ("backups", rows_of(BACKUPS))):
        assert {path.name for path in (tmp_path / kind).iterdir()} == set(rows) - {"good"}
        for name in set(rows) - {"good"}:
            assert files_below(tmp_path / kind / name) == files_below(FOLDER / kind / name), name


@pytest.mark.parametrize("former", [False, True], ids=["alone", "after"])
@pytest.mark.parametrize("name", sorted(folders_of("logs")))
def test_logs(name: str, former: bool, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A create says of each log the very codes of the table, and ends with its exit code; the log stays as it is."""
    shutil.copytree(FOLDER / "logs" / name, place / "data")
    if former:
        shutil.copytree(FOLDER / "backups/good", place / "store")
        series = first_version_series(SourceInfo("log", "eventlog", "/srv/log/data"), "")
        assert outcome_of(capsys, "backup.adopt", series[:8])[1] == 0  # the log was moved here
    found, code = outcome_of(capsys, "backup.create")
    assert (set(found), code) == rows_of(LOGS)[name][former]
    assert files_below(place / "data") == files_below(FOLDER / "logs" / name)


@pytest.mark.parametrize("name", sorted(folders_of("backups")))
def test_backups(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A verify finds the very codes of the table on each level; what is damaged is neither proven nor restored."""
    shutil.copytree(FOLDER / "backups" / name, place / "store")
    for level, expected in zip(("quick", "full"), rows_of(BACKUPS)[name], strict=True):
        found, code = outcome_of(capsys, "backup.verify", "--all", "--level", level)
        assert ({item for item, severity in found.items() if severity != "ok"}, code) == expected
    good = 0 if name == "good" else 2
    meant = (
        "--from",
        "local:backup-eventlog-20260102T030405Z.tar.gz",
    )  # of another place than the configured one
    assert outcome_of(capsys, "backup.drill", *meant)[1] == good
    restored = outcome_of(capsys, "backup.restore", *meant, "--to", str(place / "new"))
    assert restored[1] == good
    assert (place / "new").exists() == (name == "good")
    assert list((place / "scratch").iterdir()) == []
    assert not list(place.parent.rglob("escaped.json"))
