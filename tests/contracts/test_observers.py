"""What every observer keeps: it hears, and whatever becomes of it, the run, its verdict and its exit code are the same."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import pytest

from ops.host.state_dir import StateDir
from ops.model.findings import Finding, Severity
from ops.observers.audience import Audience
from ops.ports.observer import Observer, Setting
from ops.registry import OBSERVERS
from ops.run.events import Advanced, Chosen, Event, Finished, Found, Started, Step
from tests.conftest import CONSOLE, clean_environment, execute, run_drillbook

NOW: Final = datetime(2026, 3, 15, 2, 15, tzinfo=UTC)
EVENTS: Final[tuple[Event, ...]] = (
    Started(task="backup.create", job_id="1", source="", at=NOW),
    Chosen(task="backup.create", sources=("app", "other")),
    Started(task="backup.create", job_id="2", source="app", at=NOW),
    Advanced(source="app", what="copying", done=0, total=None),
    Advanced(source="app", what="copying\x1b[2J", done=10, total=20),
    Step(job_id="2", source="app", name="a", started_at=NOW, finished_at=NOW, duration_ms=0, status="ok"),
    Step(
        job_id="2",
        source="app\n",
        name="b",
        started_at=NOW,
        finished_at=NOW,
        duration_ms=0,
        status="error",
        code="source.missing",
        message="not\nthere",
    ),
    Found(
        task="backup.create",
        source="app",
        finding=Finding(severity=Severity.WARNING, code="a.b", message="look"),
    ),
    Finished(task="backup.create", job_id="2", source="app", status="ok"),
    Finished(task="backup.create", job_id="1", source="", status="warning"),
)
KINDS: Final = get_args(Event)


@pytest.fixture(params=sorted(OBSERVERS))
def observer(request: pytest.FixtureRequest, tmp_path: Path) -> Observer:
    """One of each kind, as a run that is told nothing special makes it."""
    made = OBSERVERS[request.param](Setting(environ={}, state=StateDir(tmp_path / "state")))
    assert made is not None
    return made


def test_every_kind_of_event_is_among_these() -> None:
    """What is tried here is all that there is to hear."""
    assert {type(event) for event in EVENTS} == set(KINDS)


def test_hears_events_and_takes_each(observer: Observer, capfd: pytest.CaptureFixture[str]) -> None:
    """It names kinds of event, takes every one of those, and writes nothing to standard output."""
    assert set(observer.hears) <= set(KINDS)
    for event in EVENTS:
        if isinstance(event, observer.hears):
            observer.handle(event)
    assert capfd.readouterr().out == ""


def test_makes_nothing_before_it_hears(observer: Observer, tmp_path: Path) -> None:
    """Being made opens no file and makes no folder: a run that has nothing to tell leaves nothing behind."""
    assert list(tmp_path.iterdir()) == []


class Bad:
    """An observer that does what none should."""

    def __init__(self, what: str) -> None:
        self.what, self.heard, self.go_on = what, list[Event](), threading.Event()

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """Everything."""
        return KINDS

    def handle(self, event: Event) -> None:
        """Do it."""
        self.heard.append(event)
        if self.what == "fails":
            raise ValueError("no such address")
        if self.what == "ends":
            raise SystemExit(7)
        if self.what == "hangs":
            self.go_on.wait(60)


@pytest.mark.parametrize("what", ["fails", "ends"])
def test_one_that_fails_is_one_warning(what: str) -> None:
    """It is told of everything that comes all the same, and complained of once."""
    bad, good, said = Bad(what), Bad(""), list[str]()
    audience = Audience({"bad": bad, "good": good}, said.append)
    for event in EVENTS:
        audience.tell(event)
    audience.close()
    assert bad.heard == good.heard == list(EVENTS)
    (warning,) = said
    assert warning.startswith("observer bad: ")


def test_one_that_hangs_keeps_no_one_waiting() -> None:
    """The work waits once, shortly; the others hear everything; at the end it is said how much was not taken."""
    bad, good, said = Bad("hangs"), Bad(""), list[str]()
    audience = Audience({"bad": bad, "good": good}, said.append, patience_s=0.2, at_end_s=0.2)
    began = time.monotonic()
    for event in EVENTS:
        audience.tell(event)
    audience.close()
    assert time.monotonic() - began < 2
    assert good.heard == list(EVENTS)
    assert said == [f"observer bad is stuck: {len(EVENTS)} events were not taken; the result is not affected"]
    bad.go_on.set()


def test_one_that_was_slow_gets_the_rest() -> None:
    """An observer that comes back is handed all that waited for it, in order."""
    slow = Bad("hangs")
    audience = Audience({"slow": slow}, pytest.fail, patience_s=0.05, at_end_s=20)
    for event in EVENTS:
        audience.tell(event)
    assert slow.heard == list(EVENTS[:1])
    slow.go_on.set()
    audience.close()
    assert slow.heard == list(EVENTS)


def test_no_thread_is_left_between_events() -> None:
    """A process with a second thread cannot be copied, and a listing is read by copies."""
    audience = Audience({"good": Bad("")}, pytest.fail)
    before = threading.active_count()
    for event in EVENTS:
        audience.tell(event)
        assert threading.active_count() == before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database and a store that hides it, with a passphrase that no one may see."""
    execute(tmp_path / "app.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    (tmp_path / "ops.toml").write_text(
        '[source.app]\nkind = "sqlite"\npath = "app.db"\n'
        '[store.local]\nkind = "local"\npath = "backups"\nencrypt = "own"\n'
        '[cipher.own]\nkind = "openssl"\npassphrase_env = "APP_PASSPHRASE"\n'
    )
    return tmp_path


SECRET: Final = {"APP_PASSPHRASE": "canary-of-the-observers"}
WITH_A_NEW_KIND: Final = """
import sys
from ops.registry import OBSERVERS
from ops.run.events import Found, Finished, Started, Step

class Diary:
    hears = (Started, Step, Found, Finished)

    def __init__(self, path):
        self.path = path

    def handle(self, event):
        with open(self.path, "a") as file:
            file.write(f"{event!r}\\n")
        if self.path == "failing":
            raise ConnectionRefusedError("nobody listens")

OBSERVERS["diary"] = lambda setting: Diary(setting.environ["DIARY"])
sys.argv[0] = "drillbook"
from ops.tasks.program import main
main()
"""


def run_with_a_new_kind(place: Path, diary: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`drillbook` in which a kind of observer was added by one line in the table."""
    return subprocess.run(
        [sys.executable, "-c", WITH_A_NEW_KIND, *arguments],
        cwd=place,
        env=clean_environment({**SECRET, "DIARY": diary}),
        capture_output=True,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_a_kind_is_added_by_one_line(place: Path) -> None:
    """A new kind hears the whole run: its beginning, each source, each step, what was found, and how all ended."""
    done = run_with_a_new_kind(place, "diary", "backup.create", "--verify")
    assert done.returncode == 0, done.stderr
    words = [line.partition("(")[0] for line in (place / "diary").read_text().splitlines()]
    assert words[:2] == ["Started", "Started"]
    assert words[-2:] == ["Finished", "Finished"]
    assert {"Step", "Found"} <= set(words)
    (place / "app.db").unlink()
    (place / "diary").unlink()
    done = run_with_a_new_kind(place, "diary", "backup.create")
    assert done.returncode == 2
    *_, of_source, of_task = (place / "diary").read_text().splitlines()
    assert "source='app', status='critical', code='source.missing'" in of_source
    assert "source='', status='critical'" in of_task


def test_an_added_kind_that_fails_changes_no_exit_code(place: Path) -> None:
    """It is one line on standard error; backup, answer and exit code are the same."""
    done = run_with_a_new_kind(place, "failing", "backup.create", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ok"
    assert done.stderr == "WARNING: observer diary: nobody listens; the run goes on without it\n"


def test_no_event_has_a_secret(place: Path) -> None:
    """Neither a run that goes well nor one that fails tells the passphrase."""
    assert run_with_a_new_kind(place, "diary", "backup.create", "--verify").returncode == 0
    (payload,) = [path for path in (place / "backups").iterdir() if path.suffix == ".enc"]
    payload.write_bytes(payload.read_bytes()[:-40] + bytes(40))
    assert run_with_a_new_kind(place, "diary", "backup.verify").returncode == 2
    text = (place / "diary").read_text()
    assert "critical" in text
    assert SECRET["APP_PASSPHRASE"] not in text


@pytest.mark.parametrize("where", ["/dev/full", "no/such/folder/log", "pipe", "/"])
def test_a_log_that_takes_nothing(place: Path, where: str) -> None:
    """A full disk, a missing folder, a pipe that no one reads: one warning, and the backup is made."""
    os.mkfifo(place / "pipe")
    environment = {**SECRET, "LOG_FILE": where}
    done = run_drillbook("backup.create", cwd=place, environment=environment, timeout=30)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["WARNING"]
    assert done.stderr.startswith("WARNING: observer json_log")


def test_standard_error_that_no_one_reads(place: Path) -> None:
    """A pipe that is full and not read stops no backup, and changes no exit code."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, bytes(4096))
    os.set_blocking(theirs, True)
    environment: Mapping[str, str] = clean_environment({**SECRET, "LOG_FORMAT": "json"})
    done = subprocess.run(
        [CONSOLE, "backup.create", "--format", "json"],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ok"


def test_priorities_for_the_journal(place: Path) -> None:
    """Under systemd each line on standard error says how serious it is; elsewhere none does."""
    for is_there in (True, False):
        ours, theirs = os.pipe()
        found = os.fstat(theirs)
        stream = f"{found.st_dev}:{found.st_ino + (not is_there)}"
        environment = clean_environment({**SECRET, "LOG_FORMAT": "json", "JOURNAL_STREAM": stream})
        for database, ends in (("app.db", 0), ("gone.db", 2)):
            config = (place / "ops.toml").read_text().replace('"app.db"', f'"{database}"')
            (place / "other.toml").write_text(config)
            command: list[str | Path] = [CONSOLE, "backup.create", "--config", "other.toml"]
            ended = subprocess.run(
                command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=False
            )
            assert ended.returncode == ends
        os.close(theirs)
        with os.fdopen(ours) as read:
            begins = {line[: line.index("{")] for line in read}
        assert begins == ({"<6>", "<3>"} if is_there else {""})
