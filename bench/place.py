"""The folder in which one part works: a database of its own, a configuration, a store, a scratch place."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.timing import program, say

WRITER_RATE = 50
WARM_UPS = 3

CONFIG = """scratch_dir = "scratch"

[source.bench]
kind = "sqlite"
path = "data.db"

[store.local]
kind = "local"
path = "store"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Files of one part of the benchmark."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "data.db"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "ops.toml"

    def drillbook(self, *arguments: str) -> str:
        """What one task of ours prints as JSON."""
        return program(*drillbook(*arguments), "--config", self.config, "--format", "json")

    def empty(self) -> None:
        """Remove what the runs made; the database stays."""
        for folder in (self.store, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

    def fresh(self) -> Callable[[], None]:
        """`prepare` of a candidate with nobody at work: start empty, leave nothing."""
        self.empty()
        return self.empty

    def fresh_with_writer(self) -> Callable[[], None]:
        """The same, with a process that writes to the database meanwhile."""
        self.empty()
        writer = _start_writer(self.database)

        def clean() -> None:
            _stop(writer)
            self.empty()

        return clean


def drillbook(*arguments: str) -> list[str]:
    """The argument vector of the console command of this environment."""
    return [str(installed("drillbook")), *arguments]


def installed(name: str) -> Path:
    """A program that the packages of this environment brought, else from PATH; ends the run without it."""
    beside = Path(sys.executable).parent / name
    found = beside if beside.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(f"program {name!r} is not installed; `nox -s bench` brings what it needs")
    return Path(found)


@contextmanager
def place_for(database: Path) -> Iterator[Place]:
    """A place with its own copy of `database`, warmed up, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=database.parent) as folder:
        place = Place(Path(folder))
        place.empty()
        place.config.write_text(CONFIG, encoding="utf-8")
        _warm_up(database, place)
        shutil.copyfile(database, place.database)
        place.database.chmod(0o600)
        os.sync()
        yield place


def _warm_up(database: Path, place: Place) -> None:
    """Write and delete files of the same size: the first use of fresh memory can cost seconds on a guest."""
    say("warming up")
    for _ in range(WARM_UPS):
        for name in ("warm-1", "warm-2"):
            shutil.copyfile(database, place.scratch / name)
        place.empty()
    os.sync()


def _start_writer(database: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "ops.demo.writer", str(database), "--rate", str(WRITER_RATE)]
    writer = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    if writer.stdout is None or not writer.stdout.readline():
        raise SystemExit("the writer did not start")
    return writer


def _stop(writer: subprocess.Popen[str]) -> None:
    writer.terminate()
    writer.communicate()
    if writer.returncode:
        raise SystemExit("the writer failed while it was measured against")
