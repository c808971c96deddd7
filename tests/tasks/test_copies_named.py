"""What is missing or damaged in the first store, and whole in another: every verb names the way to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import run_drillbook
from tests.sources.eventlog.writing import made_events, written_log

CONFIG = """
[source.log]
kind = "eventlog"
path = "data"
incremental = true
stores = ["home", "away"]
[store.home]
kind = "local"
path = "home"
[store.away]
kind = "local"
path = "away"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A log with two backups in two stores, the second one built on the first."""
    (tmp_path / "ops.toml").write_text(CONFIG)
    for events in (25, 48):
        written_log(tmp_path / "data", made_events(events), 10)
        done = run_drillbook("backup.create", "--verify", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path


def said_by(site: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of a task."""
    done = run_drillbook(*words, cwd=site)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_needed_backup_that_only_the_other_store_has(site: Path) -> None:
    """It is taken from there, with a warning that names the command that brings it back; that works as it is named."""
    first, second = sorted(path.name for path in (site / "home").glob("*.tar.gz"))
    for path in (site / "home").glob(f"{first}*"):
        path.unlink()
    for words in (("backup.verify", "latest"), ("backup.restore", "--to", "new"), ("backup.drill",)):
        code, said = said_by(site, *words)
        assert code == 1
        assert f"store.pull away:{first}" in said
    assert (site / "new" / "event-log").is_dir()
    assert said_by(site, "backup.verify", f"away:{second}")[0] == 0
    assert said_by(site, "store.pull", f"away:{first}")[0] == 0
    assert said_by(site, "backup.verify", "latest")[0] == 0


def test_manifests_that_cannot_be_read(site: Path) -> None:
    """The latest backup is not called missing: its damage is told, and the copies that are whole."""
    for path in (site / "home").glob("*.manifest.json"):
        path.write_text("x")
    code, said = said_by(site, "backup.verify", "latest")
    assert code == 2
    assert "backup.manifest_invalid" in said
    assert "away:latest --source log" in said
    assert "take one first" not in said
    assert said_by(site, "backup.verify", "away:latest", "--source", "log")[0] == 0


def test_a_manifest_that_cannot_be_read_anywhere(site: Path) -> None:
    """The damage is told where no store has a whole copy either."""
    for path in site.glob("*/*.manifest.json"):
        path.write_text("x")
    code, said = said_by(site, "backup.restore")
    assert code == 2
    assert "backup.manifest_invalid" in said
    assert "take one first" not in said


def test_a_damaged_payload(site: Path) -> None:
    """A restore that is refused for its bytes names the copy of that very backup, and that one is restored."""
    name = min(path.name for path in (site / "home").glob("*.tar.gz"))
    path = site / "home" / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, said = said_by(site, "backup.restore", "--from", name, "--to", "new")
    assert (code, "backup.not_restorable" in said) == (2, True)
    assert f"drillbook backup.restore --from away:{name}" in said
    assert said_by(site, "backup.restore", "--from", f"away:{name}", "--to", "new")[0] == 0
    copy = site / "away" / name
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    assert said_by(site, "backup.verify", f"away:{name}")[0] == 2
    assert f"away:{name}" not in said_by(site, "backup.restore", "--from", name, "--to", "other")[1]


def test_a_copy_that_is_lost_is_not_counted(site: Path) -> None:
    """A list says where a backup is, not where its manifest is."""
    name = min(path.name for path in (site / "away").glob("*.tar.gz"))
    (site / "away" / name).unlink()
    code, said = said_by(site, "backup.list")
    assert (code, "1 of 2: home, away (not whole)" in said, "2 of 2: home, away" in said) == (2, True, True)
    listed = json.loads(run_drillbook("backup.list", "--format", "json", cwd=site).stdout)["results"]
    assert {item["name"]: item["stores"] for item in listed}[name] == ["home"]
