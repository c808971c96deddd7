"""`backup.list` as people run it: what it remembers changes nothing that it says."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from ops.repository.listing_cache import Memory
from ops.stores.local.store import LocalStore
from tests.conftest import CONSOLE, run_drillbook
from tests.histories import stored_backup
from tests.listings import day, put_all_kinds

CONFIG = '[store.local]\nkind = "local"\npath = "backups"\n'


def listing_of(folder: Path, cache: Path | None, *arguments: str) -> tuple[int, str]:
    """Exit code and output of `backup.list` as a process of its own."""
    environment = {"HOME": "", "XDG_CACHE_HOME": "" if cache is None else str(cache)}
    ended = run_drillbook("backup.list", *arguments, cwd=folder, environment=environment)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout


def test_the_command_line(store: LocalStore, tmp_path: Path) -> None:
    """Text and JSON are byte for byte the same without a cache, with a new, a filled and a broken one, for each source."""
    put_all_kinds(store)
    (tmp_path / "ops.toml").write_text(CONFIG)
    time.sleep(2.1)
    cache = tmp_path / "own"
    for arguments in ([], ["--format", "json"]):
        expected = listing_of(tmp_path, None, *arguments)
        assert expected[0] == 2, "there are damaged ones"
        assert [listing_of(tmp_path, cache, *arguments) for _ in range(2)] == [expected, expected]
        (path,) = (cache / "drillbook").iterdir()
        path.write_bytes(path.read_bytes()[:-9])
        assert listing_of(tmp_path, cache, *arguments) == expected
        assert listing_of(tmp_path, tmp_path / "ops.toml", *arguments) == expected, "no folder can be there"
        path.unlink()
    assert json.loads(expected[1])["results"][0]["stores"] == ["local"]


def test_copies_in_several_stores(store: LocalStore, tmp_path: Path) -> None:
    """With two stores each backup is one row that says where its copies are, the same from the cache."""
    stored_backup(store, day(0))
    (tmp_path / "away").mkdir()
    for path in store.options.path.iterdir():
        (tmp_path / "away" / path.name).write_bytes(path.read_bytes())
    stored_backup(store, day(1))
    (tmp_path / "ops.toml").write_text(f'{CONFIG}[store.away]\nkind = "local"\npath = "away"\n')
    time.sleep(2.1)
    expected = listing_of(tmp_path, None)
    assert [line.split("  ")[-1].strip() for line in expected[1].splitlines()[2:]] == ["local", "local, away"]
    assert [listing_of(tmp_path, tmp_path / "own") for _ in range(2)] == [expected, expected]


def test_only_places_that_want_it_are_counted(store: LocalStore, tmp_path: Path) -> None:
    """A store with a policy of its own counts where it has the backup; one without counts always."""
    stored_backup(store, day(0), location=str(tmp_path / "data.db"))
    for name in ("monthly", "mirror"):
        (tmp_path / name).mkdir()
        config = f'[store.{name}]\nkind = "local"\npath = "{name}"\n'
        (tmp_path / "ops.toml").write_text(
            f'[source.prices]\nkind = "sqlite"\npath = "data.db"\nstores = ["local", "{name}"]\n{CONFIG}{config}'
            + ('policy = "rare"\n[policy.rare]\nkeep_monthly = "1y"\n' if name == "monthly" else "")
        )
        (line,) = listing_of(tmp_path, None)[1].splitlines()[2:]
        assert line.endswith("1 of 1: local" if name == "monthly" else "1 of 2: local")


def test_several_at_once(store: LocalStore, tmp_path: Path) -> None:
    """Processes that list at the same time and share a new cache all say the same, and leave one that is whole."""
    put_all_kinds(store)
    (tmp_path / "ops.toml").write_text(CONFIG)
    time.sleep(2.1)
    expected = listing_of(tmp_path, None, "--format", "json")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "own"), "LOG_LEVEL": "ERROR"}
    command = [str(CONSOLE), "backup.list", "--format", "json"]
    started = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [(process.communicate(timeout=60)[0], process.returncode) for process in started]
    assert answers == [(expected[1], expected[0])] * 4
    (path,) = (tmp_path / "own" / "drillbook").iterdir()
    assert Memory(path.parent, store.location).recall().keys
