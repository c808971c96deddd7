"""Tasks as they are declared: one dataclass each, from which flags, help and what the work gets follow."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from invoke.context import Context

from ops.errors import ConfigError
from ops.tasks import collection
from ops.tasks.backup.commands import Create, Restore
from ops.tasks.cli.command import CommandTask, command_of
from ops.tasks.cli.values import days, seconds
from tests.conftest import execute, run_drillbook

CONFIG = """
[source.one]
kind = "sqlite"
path = "one.db"
[source.two]
kind = "sqlite"
path = "two.db"
[source.three]
kind = "sqlite"
path = "three.db"
[store.local]
kind = "local"
path = "backups"
[policy.few]
keep_last = 1
"""
TASKS = sorted(collection().task_names)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three sources."""
    for name in ("one", "two", "three"):
        execute(tmp_path / f"{name}.db", "CREATE TABLE t (a)")
    (tmp_path / "ops.toml").write_text(CONFIG)
    return tmp_path


def sources_of(place: Path, *words: str) -> list[str]:
    """The sources of a task's results, in their order."""
    done = run_drillbook(*words, "-f", "json", cwd=place)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = [item["source"] for item in json.loads(done.stdout)["results"]]
    return [item["name"] if isinstance(item, dict) else item for item in found]


@pytest.mark.parametrize("name", TASKS)
def test_a_name_is_a_path(name: str) -> None:
    """The work of `backup.create` is `run` in ops/tasks/backup/create.py, and it takes what the task declares."""
    task = collection()[name]
    assert isinstance(task, CommandTask)
    module = importlib.import_module(f"ops.tasks.{name.replace('-', '_')}")
    first, wanted = inspect.signature(module.run).parameters.values()
    assert first.name == ("session" if task.command.configured else "outcome")
    assert wanted.annotation == task.command.wanted.__name__


@pytest.mark.parametrize("name", TASKS)
def test_every_field_is_a_flag_with_a_help(name: str) -> None:
    """Each field of a declaration is an argument of the command line that says what it is for."""
    task = collection()[name]
    assert isinstance(task, CommandTask)
    assert task.__doc__
    own = {flag.name for flag in task.command.own}
    assert own == set(vars(task.command.wanted)["__annotations__"])
    arguments = {argument.name: argument for argument in task.get_arguments()}
    assert own <= arguments.keys()
    assert all(argument.help for argument in arguments.values())


def test_a_declaration_cannot_be_changed() -> None:
    """What the work gets is frozen."""
    wanted = Create()
    assert wanted == Create() != Create(out="here")
    with pytest.raises(FrozenInstanceError):
        wanted.out = "elsewhere"  # type: ignore[misc]


def test_what_is_given_is_read() -> None:
    """Texts, switches, lists and durations come as the declaration says; what is not given has its default."""
    given = {"table": ["a", "b"], "wait": "1m30s", "yes": True}
    assert command_of(Restore).read(given) == Restore(table=("a", "b"), wait=90.0, yes=True)
    assert Restore().from_ == "latest"


def test_one_text_is_one_value() -> None:
    """Whoever calls a task from Python may give the only value of a repeatable flag without a list."""
    assert command_of(Restore).read({"table": "prices"}) == Restore(table=("prices",))


def test_a_flag_that_is_not_declared_is_refused() -> None:
    """Whoever calls a task from Python is told of a flag that it does not have, instead of being obeyed half."""
    with pytest.raises(TypeError, match="dryrun"):
        collection()["backup.prune"](Context(), dryrun=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("30", 30),
        ("1.5", 1.5),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
    ],
)
def test_a_duration(text: str, expected: float) -> None:
    """A duration is read as in the configuration; a bare number is seconds."""
    assert seconds("--wait", text) == expected


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1x", "0x", "s", "1h-3m", "-5m"])
def test_what_is_not_a_duration(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ConfigError, match="--wait") as caught:
        seconds("--wait", text)
    assert (caught.value.code, "5m" in caught.value.hint) == ("usage.bad_value", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90", 90), ("90d", 90), ("0d", 0), ("12w", 84), ("3mo", 90), ("1y", 365)],
)
def test_days(text: str, expected: int) -> None:
    """A number of days, or a duration of whole days."""
    assert days("--older-than", text) == expected


@pytest.mark.parametrize("text", ["12h", "1.5d", "x", "-1", "36501", "1" * 10, "200y"])
def test_what_are_not_days(text: str) -> None:
    """Parts of a day, and more than a hundred years, are refused."""
    with pytest.raises(ConfigError, match="--older-than"):
        days("--older-than", text)


class TestSeveralSources:
    """`--source` may be given several times wherever leaving it away means all."""

    TWICE = ("--source", "three", "-s", "one", "--source=three")

    @pytest.mark.parametrize(
        "words",
        [("backup.create",), ("backup.verify",), ("backup.drill",), ("backup.prune", "--dry-run")],
        ids=lambda words: words[0],
    )
    def test_are_taken_once_each_in_their_order(self, place: Path, words: tuple[str, ...]) -> None:
        """Those that are named, and no other."""
        assert sources_of(place, "backup.create") == ["one", "two", "three"]
        assert sources_of(place, *words, *self.TWICE) == ["three", "one"]

    def test_of_which_the_backups_are_listed(self, place: Path) -> None:
        """backup.list and `backup.verify --all` show those of the sources that are named."""
        sources_of(place, "backup.create")
        for words in (("backup.list",), ("backup.verify", "--all")):
            assert sorted(sources_of(place, *words, *self.TWICE)) == ["one", "three"]

    def test_doctor_looks_at_those(self, place: Path) -> None:
        """And at no other."""
        done = run_drillbook("doctor", *self.TWICE, "-f", "json", cwd=place)
        found = {item.get("source") for item in json.loads(done.stdout)["results"]}
        assert found == {None, "one", "three"}

    def test_one_of_them_is_not_known(self, place: Path) -> None:
        """Nothing is done for any of them then."""
        done = run_drillbook("backup.create", "-s", "one", "-s", "nope", cwd=place)
        assert (done.returncode, "config.unknown_source" in done.stdout) == (2, True)
        assert not (place / "backups").exists()

    @pytest.mark.parametrize(
        "words",
        [
            ("backup.create", "--from", "one.db"),
            ("backup.verify", "some.db"),
            ("backup.drill", "--from", "some.db"),
            ("backup.prune", "--series", "01234567", "--policy", "few", "--yes"),
            ("store.push", "some.db"),
        ],
        ids=" ".join,
    )
    def test_where_one_is_meant(self, place: Path, words: tuple[str, ...]) -> None:
        """Where one backup, file or series is named, several sources make no sense."""
        done = run_drillbook(*words, *self.TWICE, "-f", "json", cwd=place)
        (error,) = json.loads(done.stdout)["errors"]
        assert (done.returncode, error["code"]) == (2, "usage.bad_value")
        assert "--source" in error["message"] + error["hint"]

    def test_the_next_task_is_not_taken_for_a_source(self, place: Path) -> None:
        """What stands behind the value is the next task."""
        done = run_drillbook("backup.create", "-s", "one", "backup.list", "-f", "json", cwd=place)
        assert done.returncode == 0
        assert '"task": "backup.list"' in done.stdout
