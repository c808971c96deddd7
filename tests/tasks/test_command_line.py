"""The command line cannot hurt: nothing is obeyed half, and nothing ends with a traceback."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.tasks import collection
from ops.tasks.cli.arguments import SHORT
from ops.tasks.cli.command import COMMON
from tests.conftest import CONSOLE, clean_environment, files_below, run_drillbook

INVOKE = Path(sys.executable).with_name("invoke")
FLAGS = ["--config", "demo/ops.toml"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo but for its PostgreSQL part, one backup of each source, and a tasks.py as ours; to be copied."""
    folder = tmp_path_factory.mktemp("built")
    assert run_drillbook("demo", "--without", "petshop", cwd=folder).returncode == 0
    assert run_drillbook("backup.create", *FLAGS, cwd=folder).returncode == 0
    (folder / "tasks.py").write_text("from ops.tasks import collection\n\nnamespace = collection()\n")
    return folder


@pytest.fixture
def place(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that as the present folder."""
    folder = tmp_path / "place"
    shutil.copytree(built, folder)
    monkeypatch.chdir(folder)
    return folder


def run_invoke(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`invoke ARGUMENTS` in the present folder."""
    return subprocess.run(
        [INVOKE, *arguments],
        capture_output=True,
        check=False,
        text=True,
        env=clean_environment(environment),
        timeout=120,
    )


class TestDry:
    """Invoke's `--dry` echoes commands of the shell instead of running them; our tasks run none that it could echo."""

    DELETES = ("backup.prune", "--yes", "--config", "demo/ops.toml")
    REPLACES = ("backup.restore", "--source", "prices", "--yes", "--config", "demo/ops.toml")

    @pytest.mark.parametrize(
        "arguments",
        [("--dry", *DELETES), ("-R", *DELETES), (*DELETES, "--dry"), (*REPLACES, "-R"), ("-R", *REPLACES)],
    )
    def test_is_refused(self, place: Path, arguments: Sequence[str]) -> None:
        """Wherever it stands, under both programs: exit code 2, the name of our --dry-run, and nothing is touched."""
        before = files_below(place)
        for done in (run_drillbook(*arguments, cwd=place), run_invoke(*arguments)):
            assert done.returncode == 2
            assert "--dry-run (-n)" in done.stdout + done.stderr
        assert files_below(place) == before

    def test_of_environment_and_file_is_refused(self, place: Path) -> None:
        """From INVOKE_RUN_DRY and invoke.yaml it is refused like the flag, also under `drillbook`."""
        before = files_below(place)
        for done in (
            run_invoke(*self.DELETES, INVOKE_RUN_DRY="1"),
            run_drillbook(*self.DELETES, cwd=place, environment={"INVOKE_RUN_DRY": "1"}),
        ):
            assert (done.returncode, "usage.dry_run" in done.stdout) == (2, True)
        assert files_below(place) == before
        for name, text in (
            ("invoke.yaml", "run:\n  dry: true\n"),
            ("invoke.yml", "{run: {dry: yes}}"),
            ("invoke.json", '{"run": {"dry": true}}'),
        ):
            (place / name).write_text(text)
            for done in (run_invoke(*self.DELETES), run_drillbook(*self.DELETES, cwd=place)):
                assert (done.returncode, "usage.dry_run" in done.stdout) == (2, True), name
            (place / name).rename(place / "elsewhere.json")
        named = {"INVOKE_RUNTIME_CONFIG": "elsewhere.json"}
        assert run_drillbook(*self.DELETES, cwd=place, environment=named).returncode == 2

    def test_settings_that_say_nothing_of_it(self, place: Path) -> None:
        """Other settings change nothing; those that cannot be read are told; a program among them is not run."""
        (place / "invoke.py").write_text("open('ran', 'w').close()\nrun = {'dry': True}\n")
        (place / "invoke.yaml").write_text("run: {echo: true}\n")
        assert run_drillbook("backup.list", *FLAGS, cwd=place).returncode == 0
        assert not (place / "ran").exists()
        (place / "invoke.yaml").write_text("run: [")
        done = run_drillbook(*self.DELETES, cwd=place)
        assert (done.returncode, "invoke.yaml cannot be read" in done.stderr) == (2, True)
        assert "Traceback" not in done.stderr

    def test_is_refused_as_json(self, place: Path) -> None:
        """With --format json the answer is one document with the code, under both programs."""
        arguments = ("-R", *self.DELETES, "--format", "json")
        for done in (run_invoke(*arguments), run_drillbook(*arguments, cwd=place)):
            document = json.loads(done.stdout)
            assert [error["code"] for error in document["errors"]] == ["usage.dry_run"]

    @pytest.mark.parametrize("flag", ["-e", "--echo", "-p", "-w", "--warn-only", "-T5", "--hide=out"])
    def test_other_options_of_invoke(self, place: Path, flag: str) -> None:
        """What speaks of shell commands has no meaning for our tasks: refused by name, and not in our help."""
        done = run_drillbook(flag, "backup.list", *FLAGS, cwd=place)
        assert done.returncode == 2
        assert "is an option of Invoke" in done.stderr
        shown = run_drillbook("--help", cwd=place).stdout
        assert not {"--dry", "--echo", "--hide", "--pty", "--warn-only"} & set(shown.split())


class TestEmptyValues:
    """A variable that is not set becomes an empty text, which must not mean what leaving the option away means."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("backup.restore", "--source", "prices", "--to", "", "--yes"),
            ("backup.restore", "--source", "prices", "--to=", "--yes"),
            ("backup.restore", "--source", "prices", "--to", " ", "--yes"),
            ("backup.prune", "--source", "", "--yes"),
            ("backup.create", "-s", ""),
            ("backup.verify", ""),
            ("backup.list", "--format", ""),
        ],
    )
    def test_is_refused(self, place: Path, arguments: Sequence[str]) -> None:
        """Under both programs it is an error that names the option, and nothing is touched."""
        before = files_below(place)
        for done in (run_drillbook(*arguments, *FLAGS, cwd=place), run_invoke(*arguments, *FLAGS)):
            assert done.returncode in {1, 2}
            assert "empty value" in done.stderr
        assert files_below(place) == before

    @pytest.mark.parametrize(
        "arguments",
        [
            ("backup.prune", "--yes", "--source"),
            ("backup.prune", "--yes", "-s", "prices", "-s"),
            ("backup.prune", "-s", "--yes"),
            ("backup.restore", "--source", "prices", "--yes", "--table"),
            ("backup.restore", "--source", "prices", "--table", "prices", "--table", "--yes"),
            ("backup.restore", "--source", "prices", "--yes", "--to", "new.db", "--to"),
            ("backup.create", "--tag"),
        ],
        ids=" ".join,
    )
    def test_a_value_that_is_missing(self, place: Path, arguments: Sequence[str]) -> None:
        """So is an option without a value, however often it was given with one: `--source $SOURCE` must not mean all."""
        before = files_below(place)
        task, *rest = arguments
        for done in (run_drillbook(task, *FLAGS, *rest, cwd=place), run_invoke(task, *FLAGS, *rest)):
            assert done.returncode in {1, 2}
            assert "needed value" in done.stderr
        assert files_below(place) == before

    @pytest.mark.parametrize(
        "arguments",
        [
            ("backup.restore", "-s", "prices", "-s", "audit", "--yes"),
            ("backup.restore", "-s", "prices", "--to", "a.db", "--to=b.db"),
            ("backup.keep", "latest", "--backup", "other", "-s", "prices", "--reason", "audit"),
        ],
        ids=" ".join,
    )
    def test_a_second_value(self, place: Path, arguments: Sequence[str]) -> None:
        """An option that takes one value and is given two is refused: which one is meant nobody knows."""
        before = files_below(place)
        for done in (run_drillbook(*arguments, *FLAGS, cwd=place), run_invoke(*arguments, *FLAGS)):
            assert done.returncode in {1, 2}
            assert "was given twice" in done.stderr
        assert files_below(place) == before

    def test_in_front_of_the_task(self, place: Path) -> None:
        """So it is for the options that may stand there."""
        done = run_drillbook("--config", "", "backup.list", cwd=place)
        assert (done.returncode, "--config was given an empty value" in done.stderr) == (2, True)


class TestWithoutATask:
    """A command line that names no task does nothing, and says so when anything else was meant."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--", "backup.create"),
            ("-q", "--", "backup.create"),
            ("--",),
            ("-q",),
            ("-c", "ops.toml"),
            ("-f", "json"),
        ],
    )
    def test_is_refused(self, place: Path, arguments: Sequence[str]) -> None:
        """Options alone, as of a script whose variable is not set, end with 2."""
        done = run_drillbook(*arguments, cwd=place)
        assert (done.returncode, "no task is named" in done.stderr) == (2, True), done.stdout + done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [(), ("--help",), ("--list",), ("-q", "--list"), ("--version",), ("--help", "backup.list")],
    )
    def test_who_asks_is_answered(self, place: Path, arguments: Sequence[str]) -> None:
        """Help, lists and the version need no task."""
        done = run_drillbook(*arguments, cwd=place)
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr


class TestBehindTwoDashes:
    """Invoke keeps what stands behind `--` apart, and no task hears it."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("backup.restore", "--source", "prices", "--yes", *FLAGS, "--", "--dry-run"),
            ("backup.create", *FLAGS, "--", "--dry-run"),
            ("backup.verify", *FLAGS, "--", "nosuch.db"),
        ],
    )
    def test_is_refused(self, place: Path, arguments: Sequence[str]) -> None:
        """Under both programs it ends with 2 instead of doing what stands in front, and nothing is touched."""
        before = files_below(place)
        for done in (run_drillbook(*arguments, cwd=place), run_invoke(*arguments)):
            assert (done.returncode, "behind --" in done.stdout) == (2, True)
        assert files_below(place) == before


class TestSettingsOfTheUser:
    @pytest.mark.parametrize(
        ("name", "text"),
        [(".invoke.yaml", "x: [\n"), (".invoke.json", "{"), (".invoke.py", "raise ValueError('no')\n")],
    )
    def test_that_cannot_be_read(self, place: Path, name: str, text: str) -> None:
        """A broken file of Invoke's in the home folder is one line and exit code 2."""
        (place / name).write_text(text)
        done = run_drillbook("backup.list", *FLAGS, cwd=place, environment={"HOME": str(place)})
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "~/.invoke.*" in done.stderr

    def test_variables_that_make_no_sense(self, place: Path) -> None:
        """So is a variable of Invoke's with a value that it cannot have."""
        done = run_drillbook("backup.list", *FLAGS, cwd=place, environment={"INVOKE_RUN_WATCHERS": "1"})
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


class TestHelp:
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_behind_each_task(self, tmp_path: Path, flag: str) -> None:
        """`TASK --help` is the help of the task, also where it takes a positional argument."""
        for name in ("backup.verify", "backup.keep", "store.push", "backup.list", "snapshot.restore-verify"):
            done = run_drillbook(name, flag, cwd=tmp_path)
            assert done.returncode == 0, (name, done.stderr)
            assert f"drillbook [--core-opts] {name} " in done.stdout

    @pytest.mark.parametrize("task", ["backup.verify", "backup.keep", "backup.release", "store.push"])
    def test_an_option_is_no_backup(self, place: Path, task: str) -> None:
        """An option that a task does not have is told as that, and neither looked for as a backup nor passed over."""
        for done in (
            run_drillbook(task, "--nope", "latest", *FLAGS, cwd=place),
            run_invoke(task, "--nope", "latest", *FLAGS),
        ):
            assert done.returncode in {1, 2}
            assert "No idea what '--nope' is" in done.stderr


class TestFlags:
    def test_short_flags_are_one_table(self) -> None:
        """A letter means the same in every task that has it, and no task has another letter."""
        namespace = collection()
        for name in namespace.task_names:
            for argument in namespace[name].get_arguments():
                letters = [letter for letter in argument.names if len(letter) == 1]
                key = (argument.attr_name or argument.name).replace("-", "_")
                assert letters == ([SHORT[key]] if key in SHORT else []), (name, argument.names)

    def test_every_task_has_the_common_flags(self) -> None:
        """--config, --format, --no-network, --quiet and --verbose stand in every task."""
        namespace = collection()
        for name in namespace.task_names:
            found = {argument.name.replace("-", "_") for argument in namespace[name].get_arguments()}
            assert found >= {flag.name for flag in COMMON}, name

    def test_they_work_before_and_behind_the_task(self, place: Path) -> None:
        """What stands before the first task holds for every task behind it, unless that says otherwise."""
        behind = run_drillbook("backup.list", "-c", "demo/ops.toml", "-f", "json", cwd=place)
        before = run_drillbook("-c", "demo/ops.toml", "--format", "json", "backup.list", cwd=place)
        assert (before.returncode, behind.returncode) == (0, 0)
        names = [[item["name"] for item in json.loads(done.stdout)["results"]] for done in (before, behind)]
        assert names[0] == names[1] != []
        nearer = run_drillbook("-c", "nope.toml", "backup.list", "-c", "demo/ops.toml", cwd=place)
        assert nearer.returncode == 0
        both = run_drillbook(
            "-q", "-c", "demo/ops.toml", "backup.list", "backup.show", "latest", "-s", "prices", cwd=place
        )
        assert (both.returncode, both.stdout) == (0, "")

    def test_quiet_says_nothing_but_what_needs_a_look(self, place: Path) -> None:
        """A run that is fine prints nothing at all; one that is not prints its findings."""
        fine = run_drillbook("backup.create", "--quiet", *FLAGS, cwd=place)
        assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")
        warned = run_drillbook("-q", "doctor", *FLAGS, cwd=place)
        assert warned.returncode == 1
        assert "drill.overdue" in warned.stdout
        failed = run_drillbook("-q", "backup.create", "-s", "nope", *FLAGS, cwd=place)
        assert (failed.returncode, "config.unknown_source" in failed.stdout) == (2, True)

    def test_two_tasks_of_one_name_both_run(self, place: Path) -> None:
        """`backup.create snapshot.create` are two tasks, though Invoke compares their names and their code."""
        namespace = collection()
        for name in ("create", "verify"):
            assert namespace[f"backup.{name}"] != namespace[f"snapshot.{name}"]
            assert namespace[f"backup.{name}"] == collection()[f"backup.{name}"]
        (place / "snapshots").mkdir()
        done = run_drillbook(
            "-c", "demo/ops.toml", "-f", "json", "backup.create", "snapshot.create", cwd=place
        )
        assert '"task": "backup.create"' in done.stdout
        assert '"task": "snapshot.create"' in done.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--help", "nope"],
            ["--list", "nope"],
            ["--list-format", "nope", "--list"],
            ["--config"],
            ["--format", "xml", "backup.list"],
            ["backup.list", "--config"],
            ["backup.nope"],
            ["backup"],
            ["", "backup.list"],
            ["--print-completion-script", "nope"],
            ["-c", "", "backup.list", "--source"],
        ],
    )
    def test_what_makes_no_sense(self, tmp_path: Path, arguments: list[str]) -> None:
        """A command line that makes no sense ends with 2 and says why, without a traceback."""
        done = run_drillbook(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert (done.stderr + done.stdout).strip()
        assert "Traceback" not in done.stderr


class TestDidYouMean:
    @pytest.mark.parametrize(
        ("words", "meant"),
        [
            (("backup.creat",), "backup.create?"),
            (("list",), "backup.list?"),
            (("verify",), "backup.verify or snapshot.verify?"),
            (("backup.list", "--sorce", "x"), "--source?"),
            (("backup.list", "--soruce=x"), "--source?"),
            (("backup.verify", "--levl", "full"), "--level?"),
            (("--confg=x", "backup.list"), "--config?"),
            (("--help", "backup.shw"), "backup.show?"),
        ],
    )
    def test_a_near_word_is_named(self, tmp_path: Path, words: Sequence[str], meant: str) -> None:
        """A task or option that is nearly right is told with the one that may have been meant, and nothing is run."""
        done = run_drillbook(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Did you mean {meant} See " in done.stderr

    @pytest.mark.parametrize("words", [("nope",), ("backup.list", "prices"), ("-x", "backup.list")])
    def test_nothing_is_made_up(self, tmp_path: Path, words: Sequence[str]) -> None:
        """A word that is like no other is told with where to look."""
        done = run_drillbook(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert "Did you mean" not in done.stderr
        assert "See drillbook --" in done.stderr


class TestStreams:
    TASKS = (
        ["backup.list"],
        ["--list"],
        ["--help"],
        ["backup.create", "-s", "prices"],
        ["doctor", "-f", "json"],
        ["backup.restore", "-s", "prices", "--to", "copy.db"],
    )

    @pytest.mark.parametrize(
        "closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"]
    )
    @pytest.mark.parametrize("arguments", TASKS, ids=" ".join)
    def test_closed_from_the_start(self, place: Path, arguments: list[str], closed: str) -> None:
        """A task without its streams does its work, ends with 2 where its answer was lost, and writes into no file."""
        before = files_below(place / "demo" / "dados")
        line = f'"$0" "$@" {closed}'
        done = subprocess.run(
            ["sh", "-c", line, CONSOLE, *arguments],
            cwd=place,
            capture_output=True,
            check=False,
            text=True,
            env=clean_environment({"OPS_CONFIG": "demo/ops.toml"}),
            timeout=120,
        )
        lost = ">&-" in closed.replace("2>&-", "") or closed == ">/dev/full"
        assert done.returncode == (2 if lost else 1 if arguments[0] == "doctor" else 0)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert files_below(place / "demo" / "dados") == before

    @pytest.mark.parametrize(
        "reader", ["| head -1", "| head -c 1", "2>&1 | head -c 1", "| true", "2>&1 | true"]
    )
    @pytest.mark.parametrize("arguments", TASKS, ids=" ".join)
    def test_a_reader_that_goes_away(self, place: Path, arguments: list[str], reader: str) -> None:
        """No traceback, and the task's own exit code, or that of a lost answer: an exception that nobody expects ends with 1."""
        line = f'{{ "$0" "$@"; echo "ended $?" >&3; }} {reader} 3>&2'
        done = subprocess.run(
            ["sh", "-c", f"exec 3>&2; {line}", CONSOLE, *arguments],
            cwd=place,
            capture_output=True,
            check=False,
            text=True,
            env=clean_environment({"OPS_CONFIG": "demo/ops.toml"}),
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        own = 1 if arguments[0] == "doctor" else 0
        assert any(f"ended {code}\n" in done.stderr for code in (own, 2)), done.stderr


class TestSignals:
    def interrupt(
        self, place: Path, number: signal.Signals, after_s: float, *arguments: str
    ) -> tuple[int, str]:
        """Start a backup and send it a signal; how it ended, and what it said."""
        process = subprocess.Popen(
            [CONSOLE, *arguments, *FLAGS],
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        time.sleep(after_s)
        process.send_signal(number)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    @pytest.mark.parametrize("after_s", [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_in_the_first_second(self, place: Path, number: signal.Signals, after_s: float) -> None:
        """Whenever it comes there is no traceback, and nothing half made is left."""
        code, said = self.interrupt(place, number, after_s, "backup.create", "--verify")
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        # Before our handlers are there, the system's own end the process.
        assert code in {0, 128 + number, -number}
        assert not list((place / "demo" / "backups").glob(".tmp-*"))

    @pytest.mark.parametrize(
        "run",
        [
            "os.kill(os.getpid(), signal.SIGINT)",
            "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)",
            "atexit.register(os.kill, os.getpid(), signal.SIGINT)",
            "signal.signal(signal.SIGINT, signal.default_int_handler); x = Finalized(); del x",
        ],
        ids=["before a task", "in a task", "while the interpreter ends", "in a finalizer"],
    )
    def test_ctrl_c_leaves_no_traceback(self, run: str) -> None:
        """Wherever Ctrl-C finds the interpreter, nothing is printed."""
        script = (
            "import atexit, os, signal, sys, drillbook, ops.tasks.program as program\n"
            "class Finalized:\n"
            "    def __del__(self):\n"
            "        os.kill(os.getpid(), signal.SIGINT)\n"
            "        for _ in range(1000): pass\n"
            f"def run(): {run}\n"
            "program.main = run\n"
            "drillbook.main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("", "")
        assert done.returncode in {0, 128 + signal.SIGINT}

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_second_signal_breaks_no_clean_up(self, number: signal.Signals) -> None:
        """What comes while a task cleans up does not break that off, and the exit code is that of the first signal."""
        body = "os.kill(os.getpid(), number); time.sleep(0.3); print('cleaned up', flush=True)"
        done = self.signalled(body, number)
        assert (done.returncode, done.stdout) == (128 + number, "cleaned up\n")

    def test_the_third_ends_at_once(self) -> None:
        """A clean-up that hangs is ended by the third signal."""
        body = "[os.kill(os.getpid(), number) for _ in range(2)]; time.sleep(60)"
        done = self.signalled(body, signal.SIGTERM)
        assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")

    def signalled(self, clean_up: str, number: signal.Signals) -> subprocess.CompletedProcess[str]:
        """A task that is signalled, and does `clean_up` then."""
        script = (
            "import os, signal, sys, time\n"
            "from invoke.exceptions import Exit\n"
            "from ops.tasks.cli.command import Flags\n"
            "from ops.tasks.conduct import conclude\n"
            f"number = {int(number)}\n"
            "def body(outcome):\n"
            "    try:\n"
            "        os.kill(os.getpid(), number); time.sleep(30)\n"
            "    finally:\n"
            f"        {clean_up}\n"
            "try:\n"
            "    conclude('demo', Flags(), body)\n"
            "except Exit as end:\n"
            "    sys.exit(end.code)\n"
        )
        return subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=60
        )

    def test_signals_while_workers_are_at_work(self, place: Path) -> None:
        """Two signals one after the other end a drill, whose workers end with it."""
        for pause_s in (0.0, 0.02, 0.1):
            process = subprocess.Popen(
                [CONSOLE, "backup.create", "--verify", *FLAGS],
                cwd=place,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            time.sleep(0.6)
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(pause_s)
            process.communicate(timeout=60)
            assert process.returncode in {0, 1, 128 + signal.SIGINT, -signal.SIGINT}

    def test_hangup_ends_a_task_in_order(self, place: Path) -> None:
        """SIGHUP is handled as SIGTERM is: what was staged is gone, and the exit code says which signal it was."""
        script = (
            "import os, signal, sys, time\n"
            "from invoke.exceptions import Exit\n"
            "from ops.tasks.cli.command import Flags\n"
            "from ops.tasks.conduct import conclude\n"
            "def body(outcome):\n"
            "    try:\n"
            "        os.kill(os.getpid(), signal.SIGHUP); time.sleep(30)\n"
            "    finally:\n"
            "        print('cleaned up', flush=True)\n"
            "try:\n"
            "    conclude('demo', Flags(), body)\n"
            "except Exit as end:\n"
            "    sys.stderr.write(end.message)\n"
            "    sys.exit(end.code)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (128 + signal.SIGHUP, "cleaned up\n")
        assert "interrupted by SIGHUP" in done.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_the_document_says_it(self, number: signal.Signals) -> None:
        """With --format json whoever reads the document learns that the task was interrupted, and by what."""
        script = (
            "import os, sys\n"
            "from invoke.exceptions import Exit\n"
            "from ops.tasks.cli.command import Flags\n"
            "from ops.tasks.conduct import conclude\n"
            "number = int(sys.argv[1])\n"
            "try:\n"
            "    conclude('demo', Flags(format='json'), lambda *_: os.kill(os.getpid(), number))\n"
            "except Exit as end:\n"
            "    sys.exit(end.code)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(int(number))],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        document = json.loads(done.stdout)
        (error,) = document["errors"]
        assert (done.returncode, error["code"]) == (128 + number, "tool.interrupted")
        assert document["exit_code"] == done.returncode
        assert number.name in error["message"]

    @pytest.mark.parametrize(
        "hidden", ["raise RuntimeError('cannot join')", "raise ToolError('it broke')", "return"]
    )
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_error_that_the_signal_made(self, number: signal.Signals, hidden: str) -> None:
        """What breaks because of the signal (a pool that had not started, a program) does not hide it."""
        script = (
            "import os, sys\n"
            "from invoke.exceptions import Exit\n"
            "from ops.errors import ToolError\n"
            "from ops.tasks.cli.command import Flags\n"
            "from ops.tasks.conduct import conclude\n"
            "def body(*_):\n"
            "    try:\n"
            "        os.kill(os.getpid(), int(sys.argv[1]))\n"
            "    finally:\n"
            f"        {hidden}\n"
            "try:\n"
            "    conclude('demo', Flags(), body)\n"
            "except Exit as end:\n"
            "    sys.exit(end.code)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(int(number))],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (128 + number, "")

    def test_nohup_is_respected(self) -> None:
        """A hang-up that was ignored when we were started does not end us."""
        script = (
            "import os, signal\n"
            "from ops.tasks.cli.command import Flags\n"
            "from ops.tasks.conduct import conclude\n"
            "conclude('demo', Flags(), lambda *_: os.kill(os.getpid(), signal.SIGHUP))\n"
        )
        line = 'trap "" HUP; exec "$0" -c "$1"'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable, script],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def test_ctrl_c_outside_of_a_task(self, tmp_path: Path) -> None:
        """Before a task has begun, and behind it, Ctrl-C ends with 130 and without a traceback."""
        script = (
            "import sys\n"
            "import drillbook\n"
            "from ops.tasks import program\n"
            "def main():\n"
            "    raise KeyboardInterrupt\n"
            "program.main = main\n"
            "drillbook.main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stderr) == (130, "")


class TestNamesake:
    """Another distribution has a package `ops`, the framework for Juju charms."""

    def other(self, folder: Path) -> Path:
        """What is left when that was installed over ours: its package in the place where ours is looked for."""
        package = folder / "site" / "ops"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text('"""Charms."""\n__version__ = "3.0"\nclass CharmBase: pass\n')
        metadata = folder / "site" / "ops-3.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ops\nVersion: 3.0\n")
        (metadata / "top_level.txt").write_text("ops\n")
        return folder / "site"

    def test_in_the_place_of_ours(self, tmp_path: Path) -> None:
        """The console command says in one line whose package that may be and how to install apart; exit code 2."""
        done = run_drillbook("--version", cwd=tmp_path, environment={"PYTHONPATH": str(self.other(tmp_path))})
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert "pipx install drillbook" in done.stderr

    def test_beside_ours(self, place: Path) -> None:
        """While ours is still whole, doctor warns of the next update."""
        site = self.other(place)
        (site / "ops" / "__init__.py").unlink()
        (site / "ops").rmdir()
        done = run_drillbook("doctor", *FLAGS, "-f", "json", cwd=place, environment={"PYTHONPATH": str(site)})
        found = [item for result in json.loads(done.stdout)["results"] for item in result["findings"]]
        (finding,) = [item for item in found if item["code"] == "doctor.namesake"]
        assert finding["severity"] == "warning"

    def test_a_missing_dependency_is_told_as_that(self, tmp_path: Path) -> None:
        """A library that is missing is not blamed on a namesake."""
        (tmp_path / "invoke").mkdir()
        (tmp_path / "invoke" / "__init__.py").write_text("raise ImportError('broken', name='invoke')\n")
        done = run_drillbook("--version", cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
        assert done.returncode == 2
        assert "force-reinstall" in done.stderr
