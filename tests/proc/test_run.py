from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.errors import ToolError
from ops.proc import (
    Completed,
    Coprocess,
    ServerProcess,
    find_program,
    run_program,
    start_coprocess,
    start_server,
)

pytestmark = [pytest.mark.alone, pytest.mark.long]

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": os.defpath}
only_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a child of our death"
)


def run(*argv: str, folder: Path, timeout_s: float | None = 30) -> Completed:
    """The program's end, with little around it."""
    return run_program(argv, timeout_s=timeout_s, environment=ENVIRONMENT, folder=folder)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    ended = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False, text=True)
    return ended.stdout.strip()[:1] not in {"", "Z"}


def kept_pid(path: Path) -> int:
    """The process id that a script writes into `path` as soon as it runs."""
    assert wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def strike_when(condition: Callable[[], bool]) -> None:
    """SIGTERM for us as soon as the condition holds."""
    if wait_for(condition):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def interrupted() -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Sends SIGTERM to us as soon as the condition holds; its handler raises SystemExit, as ours does."""

    def end(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, end)
    threads = []

    def arm(condition: Callable[[], bool]) -> None:
        thread = threading.Thread(target=strike_when, args=(condition,))
        threads.append(thread)
        thread.start()

    yield arm
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGTERM, before)


class TestRunProgram:
    def test_no_input(self, tmp_path: Path) -> None:
        """Without `stdin` there is nothing to read, not even a word."""
        out = tmp_path / "out"
        ended = run_program(["cat"], timeout_s=30, environment=ENVIRONMENT, folder=tmp_path, stdout=out)
        assert ended == Completed(0, "")
        assert out.read_bytes() == b""

    def test_files_are_the_descriptors(self, tmp_path: Path) -> None:
        """Bytes go in and out unchanged, standard error apart; the files are private from the start."""
        given, out, err = tmp_path / "in", tmp_path / "out", tmp_path / "err"
        given.write_bytes(bytes(range(256)) * 4096)
        out.write_text("old " * 500_000)
        out.chmod(0o666)
        ended = run_program(
            ["sh", "-c", "echo before >&2; cat; echo after >&2; exit 3"],
            timeout_s=30,
            environment=ENVIRONMENT,
            folder=tmp_path,
            stdin=given,
            stdout=out,
            stderr=err,
        )
        assert ended == Completed(3, "before\nafter")
        assert out.read_bytes() == given.read_bytes()
        assert err.read_text() == "before\nafter\n"
        assert [path.stat().st_mode & 0o777 for path in (out, err)] == [0o600, 0o600]

    def test_the_tail(self, tmp_path: Path) -> None:
        """Without files both outputs are told by their end; with one for standard output, the errors are."""
        script = "seq 1 9000; echo oops >&2"
        assert run("sh", "-c", script, folder=tmp_path).output_tail.endswith("8999\n9000\noops")
        ended = run_program(
            ["sh", "-c", script],
            timeout_s=30,
            environment=ENVIRONMENT,
            folder=tmp_path,
            stdout=tmp_path / "out",
        )
        assert ended.output_tail == "oops"

    def test_a_device_keeps_its_mode(self, tmp_path: Path) -> None:
        """Output may go to /dev/null, which stays as it is."""
        before = os.stat(os.devnull).st_mode
        null = Path(os.devnull)
        run_program(
            ["echo", "x"], timeout_s=30, environment=ENVIRONMENT, folder=tmp_path, stdout=null, stderr=null
        )
        assert os.stat(os.devnull).st_mode == before

    @pytest.mark.parametrize(
        "argument", ["", " ", "a b", "'\"$HOME`*", "new\nline", "-x", "ação", "raw \udcff"]
    )
    def test_arguments_arrive_as_they_are(self, tmp_path: Path, argument: str) -> None:
        """No argument is parted, expanded, dropped or changed, whatever bytes it holds."""
        out = tmp_path / "out"
        argv = ["printf", "%s|", argument, "end"]
        run_program(argv, timeout_s=30, environment=ENVIRONMENT, folder=tmp_path, stdout=out)
        assert out.read_bytes() == os.fsencode(argument) + b"|end|"

    def test_the_environment_is_exact(self, tmp_path: Path) -> None:
        """The program sees the variables that it is given and no other."""
        given = {"A": "1", "ODD": "raw \udcff"}
        out = tmp_path / "out"
        run_program([find_program("env")], timeout_s=30, environment=given, folder=tmp_path, stdout=out)
        assert sorted(out.read_bytes().splitlines()) == [b"A=1", b"ODD=raw \xff"]

    def test_a_signal_is_a_negative_code(self, tmp_path: Path) -> None:
        """A program that a signal ended has that signal's number, negative."""
        assert run("sh", "-c", "kill -9 $$", folder=tmp_path).exit_code == -9

    @pytest.mark.parametrize("program", ["no-such-program", "/nowhere/at/all"])
    def test_not_there(self, tmp_path: Path, program: str) -> None:
        """A program that is not there is named."""
        with pytest.raises(ToolError, match=program) as caught:
            run(program, folder=tmp_path)
        assert caught.value.code == "tool.missing"

    def test_not_startable(self, tmp_path: Path) -> None:
        """What keeps it from starting is said in one line."""
        broken = tmp_path / "broken"
        broken.write_bytes(b"\x00\x01\x02")
        broken.chmod(0o755)
        for argv, folder in (
            (["true"], tmp_path / "none"),
            ([str(broken)], tmp_path),
            (["true", "\0"], tmp_path),
        ):
            with pytest.raises(ToolError, match="cannot start") as caught:
                run(*argv, folder=folder)
            assert "\n" not in caught.value.message

    def test_files_that_can_not_be_opened(self, tmp_path: Path) -> None:
        """An input that is not there keeps the program from starting."""
        with pytest.raises(ToolError, match="none"):
            run_program(
                ["touch", "ran"],
                timeout_s=30,
                environment=ENVIRONMENT,
                folder=tmp_path,
                stdin=tmp_path / "none",
            )
        assert not (tmp_path / "ran").exists()

    def test_time_out(self, tmp_path: Path) -> None:
        """At the time-out the program and what it started are asked to end."""
        script = "trap 'echo asked; exit' TERM; sleep 1000 & echo $! > child; wait"
        ended = run("sh", "-c", script, folder=tmp_path, timeout_s=0.5)
        assert ended == Completed(None, "asked")
        assert wait_for(lambda: not lives(kept_pid(tmp_path / "child")))

    def test_time_out_of_the_deaf(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What does not listen is killed, and what it started, too."""
        monkeypatch.setattr("ops.proc.run.STOP_PATIENCE_S", 0.2)
        script = "trap '' TERM; sleep 1000 & echo $! > child; wait; wait"
        assert run("sh", "-c", script, folder=tmp_path, timeout_s=0.5).exit_code is None
        assert wait_for(lambda: not lives(kept_pid(tmp_path / "child")))

    def test_interrupted(self, tmp_path: Path, interrupted: Callable[[Callable[[], bool]], None]) -> None:
        """When a signal's handler ends the wait, the program and what it started end before that goes on."""
        child = tmp_path / "child"
        interrupted(child.exists)
        with pytest.raises(SystemExit):
            run("sh", "-c", "sleep 1000 & echo $! > child; wait", folder=tmp_path, timeout_s=None)
        assert wait_for(lambda: not lives(kept_pid(child)))

    def test_interrupted_at_its_birth(self, tmp_path: Path, interrupted: object) -> None:
        """A signal that comes before anybody holds the new process ends it all the same."""
        for number in range(20):
            child = tmp_path / str(number)
            script = f"echo $$ > {child}; kill -TERM $PPID; exec sleep 1000"
            with pytest.raises(SystemExit):
                run("sh", "-c", script, folder=tmp_path, timeout_s=None)
            assert wait_for(lambda: not lives(kept_pid(child)))  # noqa: B023 - asked at once

    def test_from_a_thread(self, tmp_path: Path) -> None:
        """Programs can be run from other threads, several at once."""
        ended: list[Completed] = []
        threads = [
            threading.Thread(
                target=lambda: ended.append(run("sh", "-c", "sleep 0.1; exit 7", folder=tmp_path))
            )
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.exit_code for one in ended] == [7] * 5


OURS = """
import os, sys, signal
from pathlib import Path
from ops.proc import run_program, start_server, start_coprocess
folder, how = Path(sys.argv[1]), sys.argv[2]
argv = ["sh", "-c", "echo $$ > pid.new; mv pid.new pid; exec sleep 1000"]
environment = {"PATH": os.defpath}
if how == "program":
    run_program(argv, timeout_s=None, environment=environment, folder=folder)
elif how == "server":
    server = start_server(argv, environment=environment, folder=folder, log=folder / "log")
    signal.pause()
else:
    talk = start_coprocess(argv, environment=environment, folder=folder)
    signal.pause()
"""


@only_linux
@pytest.mark.parametrize("how", ["program", "server", "dialogue"])
def test_we_are_killed(tmp_path: Path, how: str) -> None:
    """After SIGKILL of us the kernel ends what we started, however it was started."""
    with subprocess.Popen([sys.executable, "-c", OURS, tmp_path, how], cwd=PROJECT) as ours:
        pid = kept_pid(tmp_path / "pid")
        assert lives(pid)
        ours.kill()
    assert wait_for(lambda: not lives(pid))


class TestServer:
    def start(self, folder: Path, script: str) -> ServerProcess:
        """A shell script as a server, that has begun."""
        server = start_server(
            ["sh", "-c", f"{script}"], environment=ENVIRONMENT, folder=folder, log=folder / "log"
        )
        assert server.wait_for(lambda: "begun" in (folder / "log").read_text(), 30)
        return server

    def test_runs_until_it_is_stopped(self, tmp_path: Path) -> None:
        """It ends by the signal that it is sent, and its exit code is told; its log is private."""
        server = self.start(tmp_path, "trap 'echo bye; exit 4' INT; echo begun; while :; do sleep 0.05; done")
        assert server.exit_code() is None
        assert server.stop(signal.SIGINT, 30) == 4
        assert server.exit_code() == 4
        assert server.stop(signal.SIGINT, 30) == 4
        assert (tmp_path / "log").read_text().split() == ["begun", "bye"]
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600

    def test_the_second_word(self, tmp_path: Path) -> None:
        """One that does not hear the first signal gets the second."""
        server = self.start(tmp_path, "trap '' INT; echo begun; exec sleep 1000")
        assert server.stop(signal.SIGINT, 0.1, then=signal.SIGTERM) == -signal.SIGTERM

    @only_linux
    def test_the_deaf_is_killed_with_its_family(self, tmp_path: Path) -> None:
        """One that hears nothing is killed with its children, also with one that leads a session of its own."""
        server = self.start(
            tmp_path, "trap '' INT; setsid sleep 1000 & echo $! > child; echo begun; wait; wait"
        )
        child = kept_pid(tmp_path / "child")
        assert server.stop(signal.SIGINT, 0.1) == -signal.SIGKILL
        assert wait_for(lambda: not lives(child))

    def test_one_that_ends_by_itself(self, tmp_path: Path) -> None:
        """A wait for something that never comes is over when the server is."""
        argv = ["sh", "-c", "exit 5"]
        server = start_server(argv, environment=ENVIRONMENT, folder=tmp_path, log=tmp_path / "log")
        assert not server.wait_for(lambda: False, 30)
        assert server.exit_code() == 5

    def test_interrupted_while_it_stops(
        self, tmp_path: Path, interrupted: Callable[[Callable[[], bool]], None]
    ) -> None:
        """A second signal to us while a server takes its time leaves no server behind."""
        server = self.start(tmp_path, "trap 'echo asked' INT; echo begun; while :; do sleep 0.05; done")
        interrupted(lambda: "asked" in (tmp_path / "log").read_text())
        with pytest.raises(SystemExit):
            server.stop(signal.SIGINT, 1000)
        assert server.exit_code() == -signal.SIGKILL

    def test_not_startable(self, tmp_path: Path) -> None:
        """What keeps it from starting is said."""
        with pytest.raises(ToolError, match="cannot start"):
            start_server(["true"], environment=ENVIRONMENT, folder=tmp_path / "none", log=tmp_path / "log")


class TestDialogue:
    def start(self, folder: Path, script: str) -> Coprocess:
        """A shell script to talk to."""
        return start_coprocess(["sh", "-c", script], environment=ENVIRONMENT, folder=folder)

    def test_question_and_answer(self, tmp_path: Path) -> None:
        """Each answer ends before its marker line; the marker inside a line does not count."""
        script = "while read -r line; do echo \"<$line>\"; echo 'not END'; echo 'END '; echo END; done"
        with self.start(tmp_path, script) as talk:
            for question in ("one", "ação"):
                talk.send(f"{question}\n")
                assert talk.read_until("END", 30) == f"<{question}>\nnot END\nEND \n"

    def test_an_empty_answer(self, tmp_path: Path) -> None:
        """An answer may be nothing, and several answers may lie ready."""
        with self.start(tmp_path, "echo END; echo a; echo END; cat") as talk:
            assert talk.read_until("END", 30) == ""
            assert talk.read_until("END", 30) == "a\n"

    def test_more_than_the_pipes_hold(self, tmp_path: Path) -> None:
        """A program that answers while it is still being told does not block either side."""
        text = "x" * 99 + "\n"
        with start_coprocess(["cat"], environment=ENVIRONMENT, folder=tmp_path) as talk:
            talk.send(text * 20_000 + "END\n")
            assert talk.read_until("END", 30) == text * 20_000

    def test_one_that_ends(self, tmp_path: Path) -> None:
        """A program that ends in the middle fails the dialogue with what it said."""
        with self.start(tmp_path, "read -r line; echo half; echo 'no such database' >&2; exit 2") as talk:
            talk.send("x\n")
            with pytest.raises(ToolError, match="no such database"):
                talk.read_until("END", 30)

    def test_one_that_has_ended(self, tmp_path: Path) -> None:
        """Talking to one that is gone fails in the same way."""
        with self.start(tmp_path, "echo gone >&2") as talk, pytest.raises(ToolError, match="gone"):
            talk.send("x\n" * 1_000_000)

    def test_one_that_is_silent(self, tmp_path: Path) -> None:
        """No answer in time is an error, and the program is gone after the block, with what it started."""
        with self.start(tmp_path, "sleep 1000 & echo $! > child; wait") as talk:
            child = kept_pid(tmp_path / "child")
            with pytest.raises(ToolError, match="in time"):
                talk.read_until("END", 0.1)
        assert wait_for(lambda: not lives(child))

    def test_not_startable(self, tmp_path: Path) -> None:
        """What keeps it from starting is said."""
        with pytest.raises(ToolError, match="cannot start"):
            start_coprocess(["true"], environment=ENVIRONMENT, folder=tmp_path / "none")
