"""Signals that whoever started us ignores or blocks: what we start hears them all, and we hear what we must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CONSOLE, execute
from tests.proc.test_run import PROJECT, only_linux

pytestmark = [pytest.mark.alone, pytest.mark.long]

NONE = "0" * 16
# Without a program of its own: while a shell starts one, it blocks signals.
STATE = """while IFS= read -r line; do
    case $line in SigBlk*|SigIgn*) printf '%s\\n' "$line";; esac
done < /proc/$$/status"""
USUAL = f"SigBlk:\t{NONE}\nSigIgn:\t{NONE}\n"
DOORS = """
import os, sys
from pathlib import Path
from ops.proc import ask_program, run_program, start_coprocess, start_server
from ops.proc.filter import Filter, run_filter
folder, door = Path(sys.argv[1]), sys.argv[2]
argv, around = ["sh", "-c", sys.argv[3]], {"environment": {"PATH": os.defpath}, "folder": folder}
out = folder / "out"
if door == "program":
    run_program(argv, timeout_s=60, stdout=out, **around)
elif door == "answer":
    out.write_bytes(ask_program(argv, timeout_s=60, **around).printed)
elif door == "server":
    server = start_server(argv, log=out, **around)
    server.wait_for(lambda: False, 60)
elif door == "dialogue":
    with start_coprocess([*argv[:2], f"{argv[2]}; echo END"], **around) as talk:
        out.write_text(talk.read_until("END", 60))
else:
    with out.open("wb") as target, Path(os.devnull).open("rb") as source:
        filter_ = Filter(tuple(argv), around["environment"])
        run_filter(filter_, source.fileno(), target.fileno(), measured=True)
"""
WORKERS = """
import multiprocessing, os, signal
from ops.proc import run_in_workers, start_copies
heard = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
def state(_):
    return [signal.getsignal(number) == signal.SIG_DFL for number in heard] + [signal.pthread_sigmask(0, ()) == set()]
def told(_):
    return repr(state(0)).encode()
if __name__ == "__main__":
    print(eval(start_copies(told, [0])()[0]), run_in_workers(state, [0])[0])
"""
SENDER = """#!/bin/sh
kill -s "$1" $PPID
sleep 0.3
exit "$2"
"""


def deaf(*numbers: signal.Signals, blocked: bool = False) -> None:
    """In a child to be: ignore the signals (all that can be, without any), or block them."""
    some = set(numbers) or signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    for number in some:
        signal.signal(number, signal.SIG_IGN)
    if blocked:
        signal.pthread_sigmask(signal.SIG_BLOCK, some)


def drill_deaf(
    folder: Path, *numbers: signal.Signals, sent: str = "CONT", code: int = 0, blocked: bool = False
) -> subprocess.CompletedProcess[str]:
    """A drill, started deaf to the signals, that is sent one by a program that it has started, and that ends with a code."""
    execute(folder / "app.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    sender = folder / "sender"
    sender.write_text(SENDER)
    sender.chmod(0o755)
    (folder / "ops.toml").write_text(
        '[store.local]\nkind = "local"\npath = "backups"\n[source.app]\nkind = "sqlite"\npath = "app.db"\n'
        f'[[source.app.assert]]\ncommand = ["{sender}", "{sent}", "{code}"]\n'
    )
    subprocess.run([CONSOLE, "backup.create"], cwd=folder, check=True, capture_output=True)
    return subprocess.run(
        [CONSOLE, "backup.drill"],
        cwd=folder,
        env={**os.environ, "LOG_FORMAT": "json"},
        preexec_fn=lambda: deaf(*numbers, blocked=blocked),
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


@only_linux
@pytest.mark.parametrize("door", ["program", "answer", "server", "dialogue", "filter"])
def test_programs_hear_everything(tmp_path: Path, door: str) -> None:
    """Through each door a program starts with no signal ignored and none blocked, though we ignore and block all."""
    argv = [sys.executable, "-c", DOORS, str(tmp_path), door, STATE]
    subprocess.run(argv, cwd=PROJECT, check=True, timeout=120, preexec_fn=lambda: deaf(blocked=True))
    assert (tmp_path / "out").read_text() == USUAL


@only_linux
def test_workers_hear_what_we_hear(tmp_path: Path) -> None:
    """Workers and copies can be ended with SIGTERM, and ignore Ctrl-C and hang-ups where we do: they hear one terminal."""
    (tmp_path / "driver.py").write_text(WORKERS)
    told = subprocess.run(
        [sys.executable, tmp_path / "driver.py"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
        timeout=120,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: deaf(blocked=True),
    ).stdout
    deaf_but_for_term = "[False, False, True, True]"
    assert told.split("\n")[0] == f"{deaf_but_for_term} {deaf_but_for_term}"


@pytest.mark.parametrize("sent", ["HUP", "INT", "QUIT"])
def test_what_we_ignore_stays_ignored(tmp_path: Path, sent: str) -> None:
    """Started by nohup or in the background of a script, a run goes on through hang-ups and Ctrl-C."""
    drilled = drill_deaf(tmp_path, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, sent=sent)
    assert drilled.returncode == 0, drilled.stderr


@pytest.mark.parametrize("blocked", [False, True])
def test_we_can_always_be_ended(tmp_path: Path, *, blocked: bool) -> None:
    """SIGTERM ends a run that was started deaf to it, in order."""
    drilled = drill_deaf(tmp_path, sent="TERM", blocked=blocked)
    assert drilled.returncode == 128 + signal.SIGTERM
    assert "SystemExit" in drilled.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_we_learn_how_programs_end(tmp_path: Path, code: int) -> None:
    """Started with SIGCHLD ignored, a run still knows a program that failed from one that ended well."""
    drilled = drill_deaf(tmp_path, signal.SIGCHLD, code=code)
    assert drilled.returncode == (2 if code else 0), drilled.stderr
    assert ("found: exit code 3" in drilled.stdout) == (code == 3)


@only_linux
@pytest.mark.parametrize("processes", ["0", "1"])
def test_tests_in_the_background(processes: str) -> None:
    """Tests whose parent ignores and blocks every signal start their processes as usual, also in xdist's workers."""
    some = ["tests/fsio/test_process_marks.py", "tests/proc/test_run.py::TestServer"]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--numprocesses={processes}", *some],
        cwd=PROJECT,
        preexec_fn=lambda: deaf(blocked=True),
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert tested.returncode == 0, tested.stdout
