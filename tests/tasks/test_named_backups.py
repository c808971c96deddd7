from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import execute, run_drillbook

CONFIG = """
[store.near]
kind = "local"
path = "near"
[store.far]
kind = "local"
path = "far"
[source.a]
kind = "sqlite"
path = "a.db"
stores = ["near", "far"]
[source.b]
kind = "sqlite"
path = "b.db"
stores = ["near", "far"]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two sources with a backup each in two stores."""
    (tmp_path / "ops.toml").write_text(CONFIG)
    for name in ("a", "b"):
        execute(tmp_path / f"{name}.db", f"CREATE TABLE {name} (x); INSERT INTO {name} VALUES (1)")
        assert run(tmp_path, "backup.create", "--source", name)[0] == 0
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a task, and all that it says."""
    done = run_drillbook(*arguments, cwd=folder, environment={"OPS_STATE_DIR": str(folder / "state")})
    return done.returncode, done.stdout + done.stderr


def backup_of(site: Path, source: str) -> str:
    """The payload's name."""
    code, text = run(site, "backup.show", "latest", "--source", source)
    assert code == 0
    return text.splitlines()[0]


@pytest.mark.parametrize("task", ["backup.restore", "backup.drill"])
def test_a_source_that_contradicts(site: Path, task: str) -> None:
    """A backup that is named together with another source is refused: one of the two words is wrong."""
    code, text = run(site, task, "--from", backup_of(site, "b"), "--source", "a")
    assert code == 2
    assert "is a backup of source 'b', and --source says 'a'" in text


@pytest.mark.parametrize("reference", ["name", "latest"])
def test_pull_brings_back_a_payload_that_is_gone(site: Path, reference: str) -> None:
    """What the first store has not whole any more comes from the one that has it, by its name alone."""
    name = backup_of(site, "a")
    (site / "near" / name).unlink()
    asked = [name] if reference == "name" else ["latest", "--source", "a"]
    code, text = run(site, "store.pull", *asked)
    assert code == 0, text
    assert (site / "near" / name).read_bytes() == (site / "far" / name).read_bytes()
    (site / "near" / name).unlink()
    (site / "far" / name).unlink()
    code, text = run(site, "store.pull", *asked)
    assert code == 2
    assert "not whole in store 'near'" in text
