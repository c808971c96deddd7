"""A store that cannot be listed is told, and never taken for one without backups."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.config.reading import read_config
from ops.errors import StoreError
from ops.ports.store import StoredFile
from ops.report.outcome import Outcome
from ops.run.job import Job
from ops.stores.local.store import LocalStore
from ops.tasks.backup.commands import List
from ops.tasks.backup.list import run
from ops.tasks.cli.command import Flags, command_of
from ops.tasks.session import Session
from tests.conftest import CONSOLE, clean_environment, execute, run_drillbook
from tests.other_user import as_other_user

pytestmark = pytest.mark.long

CONFIG = """
[source.app]
kind = "sqlite"
path = "app.db"
series = "app"
stores = ["home", "away"]
[store.home]
kind = "local"
path = "stores/home"
[store.away]
kind = "local"
path = "stores/away"
"""
NONE_YET = "no backup yet"
READING = (
    ("backup.list",),
    ("backup.list", "--source", "app"),
    ("backup.show", "latest"),
    ("doctor",),
    ("metrics",),
    ("backup.verify",),
    ("backup.drill",),
    ("backup.restore", "--from", "latest", "--to", "new.db"),
    ("store.pull", "away:latest"),
    ("backup.prune", "--dry-run"),
    ("backup.keep", "latest", "--reason", "asked"),
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A source with two stores, and nothing in them."""
    execute(tmp_path / "app.db", "CREATE TABLE t (a)")
    (tmp_path / "ops.toml").write_text(CONFIG)
    (tmp_path / "stores").mkdir()
    return tmp_path


def said_by(site: Path, *words: str) -> tuple[int, str]:
    """Exit code and all output of a task."""
    done = run_drillbook(*words, cwd=site)
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("bad", ["home", "away"])
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_one_of_two_stores_is_no_folder(site: Path, bad: str, words: tuple[str, ...]) -> None:
    """With a file in the place of one store and nothing in the other, no verb says that there is no backup yet, or ends with 0."""
    (site / "stores" / bad).write_text("not a folder")
    code, said = said_by(site, *words)
    # metrics looks only where backups are made, and tells their ages: where there is none yet, it has nothing to say.
    looks_at_home = words == ("metrics",) and bad == "away"
    assert code in ({0} if looks_at_home else {1, 2})
    assert NONE_YET not in said


def test_a_name_is_found_past_a_store_that_cannot_be_read(site: Path) -> None:
    """A backup that is meant by its name is restored from the store that has it, though another one cannot be read."""
    assert said_by(site, "backup.create")[0] == 0
    (name,) = [path.name for path in (site / "stores" / "home").iterdir() if path.suffix == ".db"]
    (site / "stores" / "home").rename(site / "kept")
    (site / "stores" / "home").write_text("not a folder")
    assert said_by(site, "backup.show", name)[0] == 0
    code, said = said_by(site, "backup.show", "backup-20200101T000000Z.db")
    assert (code, "not a directory" in said) == (2, True)


@pytest.mark.needs_root
def test_a_store_of_another_user(site: Path) -> None:
    """A folder that this user may not read is told by that, and is not an empty store."""
    for name in ("home", "away"):
        (site / "stores" / name).mkdir(0o700)
    for path in (site, *site.parents):
        if path != Path("/tmp") and path != Path("/"):
            path.chmod(0o755)
    environment = clean_environment({"OPS_STATE_DIR": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"})
    for words in (("backup.list",), ("metrics",), ("backup.verify",)):
        done = subprocess.run(
            as_other_user([CONSOLE, *words]),
            cwd=site,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Permission denied" in done.stdout + done.stderr
        assert NONE_YET not in done.stdout.lower()


class _Failing:
    """A look that fails, as a server that goes away in the middle does."""

    def __init__(self, store: str) -> None:
        self.store = store

    def __call__(self, *_: object) -> Iterator[StoredFile]:
        raise StoreError(f"store {self.store!r} does not answer", code="store.unreachable")


def test_a_listing_that_raises(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose listing raises is an error of `backup.list`, and what is not in the others is not called nothing."""
    config = read_config(None, {}, site)
    monkeypatch.setattr(LocalStore, "stamps", _Failing("home"))
    session = Session(command_of(List), Flags(), config, Job(), Outcome("backup.list"))
    run(session, List())
    assert session.outcome.exit_code == 2
    assert [item["code"] for item in json.loads(session.outcome.to_json())["errors"]] == [
        "store.unreachable"
    ] * 2
    assert NONE_YET not in session.outcome.to_text().lower()
