"""The edge of a task: from flags to its work, from results to output and exit code. One place for all tasks."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from invoke.exceptions import Exit

from ops.config.reading import read_config
from ops.errors import ConfigError, OpsError, ToolError
from ops.host.journal import Priority, with_priority
from ops.host.network import without_network
from ops.report.exit_codes import CRITICAL
from ops.report.outcome import Outcome
from ops.report.paint import painted
from ops.report.screen import printing_on, screen, screen_of
from ops.repository.store_watch import StoreWatch, watching_stores
from ops.tasks.cli.command import REFUSED_DRY, Command, Flags
from ops.tasks.cli.streams import open_missing_streams, silence_output
from ops.tasks.collector import without_collector
from ops.tasks.observed import observed
from ops.tasks.session import Session

_FORMATS: Final = ("text", "json")
_LINE: Final = "line"
"""The format of tasks whose results can be told as one line each."""
_BY_SIGNAL: Final = 128
_PATIENCE: Final = 2
"""Signals that are heard while a task cleans up after the first."""


def conduct(command: Command, flags: Flags, given: Mapping[str, Any]) -> None:
    """Read the flags and the configuration, do the work, print its outcome, and end with its exit code (0 returns)."""
    work = command.work()
    lined = bool(command.lined_by and given.get(command.lined_by))

    def run(outcome: Outcome) -> None:
        wanted = command.read(given)
        if command.configured:
            _with_session(command, flags, outcome, lambda session: work(session, wanted))
        else:
            work(outcome, wanted)

    conclude(command.name, flags, run, has_lines=bool(command.lines), lined=lined)


def _with_session(command: Command, flags: Flags, outcome: Outcome, work: Callable[[Session], None]) -> None:
    config = read_config(flags.config or None, os.environ, Path.cwd())
    watch = StoreWatch(config.state, writes=command.writes, rotated=config.offline)
    with observed(outcome, flags, config) as job:
        try:
            with watching_stores(watch):
                work(Session(command, flags, config, job, outcome))
        finally:
            outcome.notice(watch.said)


def conclude(
    task: str, flags: Flags, run: Callable[[Outcome], None], *, has_lines: bool = False, lined: bool = False
) -> None:
    """Do what `run` does under the signals of a task, print the outcome, and end with its exit code (0 returns).

    `has_lines`: results can be told as lines (`--format line`); `lined`: they are to be, whatever the format.
    """
    open_missing_streams()
    outcome = Outcome(task, program_name(), _config_flag(flags))
    outcome.as_lines = lined or (has_lines and flags.format == _LINE)
    heard: list[signal.Signals] = []
    with printing_on(screen_of(sys.stdout, os.environ, task, verbose=flags.verbose)):
        _run_told(outcome, flags, run, heard, has_lines=has_lines)


def _run_told(
    outcome: Outcome,
    flags: Flags,
    run: Callable[[Outcome], None],
    heard: list[signal.Signals],
    *,
    has_lines: bool,
) -> None:
    try:
        _take_signals(heard)
        _require_format(flags.format, (*_FORMATS, _LINE) if has_lines else _FORMATS)
        _require_obeyed(flags)
        with without_network() if flags.no_network else contextlib.nullcontext():
            run(outcome)
    except OpsError as error:
        outcome.fail(error)
    except OSError as error:
        if heard or error.errno != errno.ENAMETOOLONG:
            raise
        message = f"{error.filename}: no file system takes a name that long"
        outcome.fail(ConfigError(message, code="usage.bad_value", hint="name another file"))
    except BaseException:
        # Also what a signal breaks off half way (the start of workers) and so ends with an error of its own.
        if not heard:
            raise
    if heard:
        _interrupted(outcome, flags, heard[0])
    if flags.format == "json" or outcome.exit_code or not flags.quiet:
        _emit(outcome, flags.format)
    if outcome.exit_code:
        raise Exit(code=outcome.exit_code)


def _interrupted(outcome: Outcome, flags: Flags, number: signal.Signals) -> NoReturn:
    message = f"interrupted by {number.name}; nothing half done was kept"
    if flags.format == "json":
        outcome.fail(ToolError(message, code="tool.interrupted"))
        outcome.ended_with = _BY_SIGNAL + number
        _emit(outcome, flags.format)
    raise Exit(message, _BY_SIGNAL + number) from None


def _config_flag(flags: Flags) -> str:
    """` --config FILE` when the configuration was named, for commands that are shown."""
    return f" --config {shlex.quote(flags.config)}" if flags.config else ""


def program_name() -> str:
    """How this program was called, for commands that are shown."""
    name = Path(sys.argv[0]).name
    return name if name in {"inv", "invoke"} else "drillbook"


def _require_obeyed(flags: Flags) -> None:
    """Return when nothing was said that a task would not hear."""
    if flags.dry:
        raise ConfigError(REFUSED_DRY, code="usage.dry_run")
    if "--" in sys.argv[1:]:
        # Invoke keeps it apart for tasks that ask for it, and ours ask for none.
        hint = "nothing was done; write names and options without the two dashes in front of them"
        raise ConfigError("what stands behind -- would not be heard", code="usage.bad_value", hint=hint)


def _require_format(given: str, known: Sequence[str]) -> None:
    if given not in known:
        hint = f"one of: {', '.join(known)}"
        raise ConfigError(f"--format {given!r} is not known", code="usage.bad_value", hint=hint)


def _emit(outcome: Outcome, wanted: str) -> None:
    with without_collector():
        if outcome.as_lines:
            answer, prose = outcome.to_lines(), outcome.to_text()
        else:
            answer, prose = outcome.to_json() if wanted == "json" else outcome.to_text(), ""
            if wanted != "json" and screen().colour:
                answer = painted(answer)
    try:
        _write(sys.stderr, with_priority(prose, Priority.INFO, os.environ) if prose else "")
        _write(sys.stdout, answer)
    except OSError as error:
        silence_output()
        message = (
            f"the result could not be written ({error.strerror}); what was done is done: see backup.list"
        )
        raise Exit(message, CRITICAL) from error


def _write(stream: TextIO, text: str) -> None:
    if not text:
        return
    encoding = stream.encoding or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.replace("\u2500", "-")
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _take_signals(heard: list[signal.Signals]) -> None:
    """Hear SIGTERM and SIGHUP, and how our programs end, whatever whoever started us ignores or blocks.

    What is heard is put into the list; the third ends the process at once, and leaves to the next run what was not
    cleaned up. Ctrl-C and hang-ups that are ignored (nohup, the background of a script) stay so.
    """

    def hear(number: int, _frame: object) -> None:
        # As an exception, so that scratch places, staged files and locks are cleaned up on the way out. What comes while
        # that is done would break it off half way: only the third time the process ends at once.
        heard.append(signal.Signals(number))
        if len(heard) > _PATIENCE:
            os._exit(_BY_SIGNAL + number)
        if len(heard) == 1:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(_BY_SIGNAL + number)

    signal.signal(signal.SIGTERM, hear)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hear)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, hear)
    # While it is ignored the kernel forgets exit codes, and every program that failed would seem to have ended well.
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
