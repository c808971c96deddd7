from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from ops.observers.terminal import PlainProgress
from ops.run.events import Advanced, Event
from ops.run.progress import ToldProgress
from tests.conftest import CONSOLE, ask, execute, run_drillbook

pytestmark = pytest.mark.alone


def on_a_terminal(arguments: list[str], cwd: Path, answer: str | None = None) -> tuple[int, str]:
    """Run `drillbook` on a pseudo-terminal, answer its question; exit code and all that a person saw."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [CONSOLE, *arguments],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # how Linux says that the other side of a terminal is gone
                break
            if not block:
                break
            seen += block
            if answer is not None and b"Type yes: " in seen:
                os.write(ours, f"{answer}\n".encode())
                answer = None
        process.wait()
    os.close(ours)
    return process.returncode, seen.decode("utf-8", "replace")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database and a backup of it."""
    execute(tmp_path / "app.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    done = run_drillbook("backup.create", "--from", "app.db", "--out", "kept.db", cwd=tmp_path)
    assert done.returncode == 0
    return tmp_path


def test_progress_on_a_terminal(place: Path) -> None:
    """On a terminal the work shows a bar instead of log lines, and the summary is still there at the end."""
    code, seen = on_a_terminal(["backup.drill", "--from", "kept.db"], place)
    assert code == 0
    assert '"job_id"' not in seen
    assert "restored, checked and proven" in seen


@pytest.mark.parametrize(("answer", "code", "rows"), [("yes", 0, 1), ("no", 2, 2), ("", 2, 2)])
def test_a_person_is_asked(place: Path, answer: str, code: int, rows: int) -> None:
    """At a terminal, replacing a file is asked for; only the word yes does it."""
    execute(place / "app.db", "INSERT INTO t VALUES (2)")
    execute(place / "other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)")
    ended, seen = on_a_terminal(["backup.restore", "--from", "kept.db", "--to", "other.db"], place, answer)
    assert ended == code, seen
    assert ask(place / "other.db", "SELECT count(*) FROM t") == rows


def test_plain_lines_for_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error is no terminal, long work says every ten seconds how far it is; short work nothing."""
    now = time.monotonic()
    said: list[str] = []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = ToldProgress("prices", PlainProgress(said.append).handle)
    progress.step("copying", 4 << 30)
    progress.advance(1 << 30)
    assert said == []
    now += 11
    progress.advance(1 << 30)
    assert said == ["prices: copying: 2 GiB of 4 GiB, 186 MiB/s, 11 s"]


def test_small_pieces_are_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pieces are, listeners hear of them ten times a second, and of each step once at its beginning."""
    now = time.monotonic()
    heard: list[Event] = []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = ToldProgress("prices", heard.append)
    progress.step("copying", 1000)
    for _ in range(1000):
        now += 0.001
        progress.advance(1)
    assert len(heard) in range(9, 12)
    assert heard[0] == Advanced(source="prices", what="copying", done=0, total=1000)


def test_the_bar_says_which_source_of_how_many(tmp_path: Path) -> None:
    """On a terminal the bar names source, number and step."""
    for name in ("one", "two"):
        execute(tmp_path / f"{name}.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    config = "".join(f'[source.{name}]\nkind = "sqlite"\npath = "{name}.db"\n' for name in ("one", "two"))
    (tmp_path / "ops.toml").write_text(config)
    code, seen = on_a_terminal(["backup.create"], tmp_path)
    assert code == 0, seen
    assert "one (1 of 2): " in seen
    assert "two (2 of 2): " in seen


def test_names_can_not_draw_on_the_terminal(tmp_path: Path) -> None:
    """Control characters in a name are shown as escapes: no name can move the cursor or fake a line."""
    evil = "x\x1b[2J\nSource prices: passed.db"
    execute(tmp_path / evil, "CREATE TABLE t (a)")
    done = run_drillbook("backup.create", f"--from={evil}", "--out=kept.db", "-v", cwd=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J\\nSource" in done.stdout
