"""Every task on terminals and behind streams that are not what they should be: no traceback, and its own exit code."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CONSOLE, clean_environment, run_drillbook
from tests.terminals import on_a_terminal

pytestmark = pytest.mark.long

TASKS: Final = {
    "backup.adopt": "backup.adopt 00000000 --source prices",
    "backup.create": "backup.create --source prices --dry-run",
    "backup.drill": "backup.drill --source prices",
    "backup.keep": "backup.keep latest --source prices --reason test",
    "backup.list": "backup.list",
    "backup.prune": "backup.prune --dry-run",
    "backup.release": "backup.release latest --source prices",
    "backup.restore": "backup.restore --source prices --dry-run",
    "backup.show": "backup.show latest --source prices",
    "backup.verify": "backup.verify --all",
    "demo": "demo --out demo",
    "doctor": "doctor --source prices",
    "explain": "explain backup.checksum",
    "logs": "logs",
    "metrics": "metrics",
    "snapshot.create": "snapshot.create PETR4 --dry-run",
    "snapshot.purge": "snapshot.purge --dry-run",
    "snapshot.restore-verify": "snapshot.restore-verify",
    "snapshot.verify": "snapshot.verify",
    "store.check": "store.check local",
    "store.pull": "store.pull local:latest",
    "store.push": "store.push",
    "store.reencrypt": "store.reencrypt local",
    "test-conn": "test-conn nobody",
}
"""A run of each task that changes nothing that another one sees."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, with one backup of one source."""
    folder = tmp_path_factory.mktemp("every")
    run_drillbook("demo", "--out", "demo", cwd=folder)
    run_drillbook("backup.create", "--source", "prices", "--config", "demo/ops.toml", cwd=folder)
    return folder


def words_of(task: str) -> list[str]:
    """The command line of its run."""
    config = [] if task in {"demo", "explain"} else ["--config", "demo/ops.toml"]
    return [*TASKS[task].split(), *config]


def usual(place: Path, task: str) -> int:
    """How its run ends when all is as it should be."""
    return run_drillbook(*words_of(task), cwd=place).returncode


def shell(place: Path, line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which `drillbook` is ours."""
    env = {**clean_environment({}), "PATH": f"{CONSOLE.parent}:{os.environ['PATH']}", **environ}
    return subprocess.run(
        ["sh", "-c", line], cwd=place, capture_output=True, check=False, text=True, timeout=120, env=env
    )


def require_quiet(said: str) -> None:
    """There is nothing of Python's in what was said."""
    for word in ("Traceback", "Exception ignored", "BrokenPipeError", "OSError"):
        assert word not in said


def test_no_task_is_forgotten(place: Path) -> None:
    """Each task that `--list` names has a run here."""
    listed = json.loads(run_drillbook("--list", "--list-format", "json", cwd=place).stdout)
    names = {task["name"] for task in listed["tasks"]} | {
        f"{group['name']}.{task['name']}" for group in listed["collections"] for task in group["tasks"]
    }
    assert names == TASKS.keys()


@pytest.mark.parametrize("task", TASKS)
def test_closed_streams(place: Path, task: str) -> None:
    """A stream that was closed before the start: the work is done, and what could not be said changes only an OK."""
    code = usual(place, task)
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = shell(place, f"drillbook {shlex.join(words_of(task))} {closed}")
        require_quiet(done.stdout + done.stderr)
        assert done.returncode in {code, 2 if ">&-" in closed else code}, closed


@pytest.mark.parametrize("task", TASKS)
def test_a_reader_that_goes_away(place: Path, task: str) -> None:
    """`| head -1` ends no task with a traceback."""
    done = shell(place, f"drillbook {shlex.join(words_of(task))} | head -1")
    require_quiet(done.stdout + done.stderr)


@pytest.mark.parametrize("task", TASKS)
def test_in_the_plainest_locale(place: Path, task: str) -> None:
    """`LC_ALL=C`: the same end, and nothing that cannot be written."""
    done = shell(place, f"drillbook {shlex.join(words_of(task))}", LC_ALL="C", LANG="C", PYTHONUTF8="0")
    require_quiet(done.stdout + done.stderr)
    assert done.returncode == usual(place, task)


@pytest.mark.parametrize("task", TASKS)
def test_a_narrow_terminal(place: Path, task: str) -> None:
    """At 40 columns the same end; no line is cut in the middle of a colour."""
    done = on_a_terminal([CONSOLE, *words_of(task)], place, clean_environment({}), 40)
    require_quiet(done.stdout)
    assert done.returncode == usual(place, task)


@pytest.mark.parametrize("words", ["--list", "--help", "--version", "--list --list-format json"])
def test_lists_for_a_reader_that_goes_away(place: Path, words: str) -> None:
    """Whoever has seen enough is not an error."""
    done = shell(place, f"{{ drillbook {words}; echo $? >&2; }} | head -c 1")
    assert done.stderr == "0\n"


@pytest.mark.parametrize("sort", ["database", "configuration", "backup", "pipe", "link", "device"])
def test_a_report_replaces_nothing_but_a_report(place: Path, tmp_path: Path, sort: str) -> None:
    """`--junit` with a name that something else has is refused before anything is drilled, and that stays."""
    (backup,) = (place / "demo" / "backups").glob("*.db")
    paths = {
        "database": place / "demo" / "dados" / "data.db",
        "configuration": place / "demo" / "ops.toml",
        "backup": backup,
        "pipe": tmp_path / "pipe",
        "link": tmp_path / "link",
        "device": Path("/dev/null"),
    }
    os.mkfifo(paths["pipe"])
    (tmp_path / "old.xml").write_text("<testsuites/>")
    paths["link"].symlink_to(tmp_path / "old.xml")
    path = paths[sort]
    before = path.lstat()
    done = run_drillbook(*words_of("backup.drill"), "--junit", str(path), cwd=place)
    assert (done.returncode, "refused.name_taken" in done.stdout) == (2, True), done.stdout
    after = path.lstat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_mode,
    )


def test_a_report_replaces_a_report(place: Path, tmp_path: Path) -> None:
    """That of a former run, and an empty file, as `mktemp` makes it."""
    path = tmp_path / "junit.xml"
    path.touch()
    for _ in range(2):
        done = run_drillbook(*words_of("backup.drill"), "--junit", str(path), cwd=place)
        assert "<testsuite" in path.read_text(), done.stdout
