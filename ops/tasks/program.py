"""The console command `drillbook`: the same tasks as `invoke` shows, for use anywhere."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Final

from invoke.config import Config
from invoke.exceptions import AmbiguousEnvVar, Exit, ParseError, UncastableEnvVar
from invoke.parser import Argument
from invoke.program import Program

from ops import __version__
from ops.tasks import collection
from ops.tasks.cli.arguments import arguments_of
from ops.tasks.cli.command import COMMON
from ops.tasks.cli.streams import flush_output, open_missing_streams, silence_output
from ops.tasks.cli.suggest import with_suggestion

_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130
_SHOWN: Final = ("help", "list", "version", "print-completion-script")
_SILENT: Final = ("complete", "debug", "list-depth", "list-format")
_DRY: Final = "dry"
_OF_INGEST: Final = ("logs", "metrics", "test-conn")
_HELP: Final = ("-h", "--help")
_SETTINGS: Final = ("yaml", "yml", "json")
_UNKNOWN: Final = re.compile(r"No idea what '(.+)' is!")
"""What Invoke says of a word that is neither a task nor an option."""
_LIST_FORMATS: Final = ("flat", "nested", "json")


class _Drillbook(Program):
    """Invoke's program with our options in front of the task as well as behind it, and none that it does not obey.

    A command line that makes no sense ends with 2, like every bad request.
    """

    def core_args(self) -> list[Argument]:
        """Return what may stand before a task: the flags that every task has, and Invoke's own."""
        own = arguments_of(COMMON)
        taken = {argument.name for argument in own}
        return [*own, *(argument for argument in super().core_args() if argument.name not in taken)]

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Run the command line; ends the process unless `exit` is false."""
        code = self._run(argv)
        if not flush_output() and not code:
            code = _USAGE_ERROR
        if exit:
            raise SystemExit(code)

    def _run(self, argv: list[str] | None) -> int:
        try:
            self._read_settings()
            self.parse_core(argv)
            self.parse_collection()
            self.parse_tasks()
            self.parse_cleanup()
            self.update_config()
            self.execute()
        except ParseError as error:
            return _say(self._explained(error), _USAGE_ERROR)
        except (AmbiguousEnvVar, UncastableEnvVar) as error:
            return _say(str(error), _USAGE_ERROR)
        except Exit as end:
            # Invoke ends with 1 for what it cannot find; ours say which code they mean.
            return _say(end.message, _USAGE_ERROR if end.message and end.code == 1 else end.code)
        except KeyboardInterrupt:
            return _say("interrupted", _INTERRUPTED)
        except OSError as error:
            if self.debugging:
                raise
            return _ended_by(error)
        return 0

    def _explained(self, error: ParseError) -> str:
        """Return what is wrong with the command line, with the task or option that may have been meant."""
        unknown = _UNKNOWN.fullmatch(str(error))
        if unknown is None:
            return str(error)
        word = unknown[1]
        if not word.startswith("-"):
            message = with_suggestion(str(error), word, self.collection.task_names)
            return f"{message} See {self.binary} --list"
        context = error.context if error.context and error.context.name else self.initial_context
        task = context.name
        message = with_suggestion(str(error), word, context.flag_names())
        return f"{message} See {self.binary} --help{f' {task}' if task else ''}"

    def _read_settings(self) -> None:
        try:
            self.create_config()
        except Exception as error:
            said = " ".join(str(error).split())
            message = f"Invoke's settings of this user or machine cannot be read ({said}): correct or remove"
            message += " ~/.invoke.*, and let HOME name this user's own folder"
            raise ParseError(message) from error

    @property
    def debugging(self) -> bool:
        """Whether `--debug` was given."""
        return bool(getattr(self, "core", None) and self.args.debug.value)

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse what stands before the first task.

        Whether bytecode is written stays as Python was told. Invoke turns it off, for the sake of folders with a
        tasks.py; where a package was installed without bytecode, each start would compile all of it again.
        """
        written_not = sys.dont_write_bytecode
        try:
            super().parse_core(argv)
        finally:
            sys.dont_write_bytecode = written_not

    def parse_tasks(self) -> None:
        """Parse the tasks and their flags; a flag of every task that stood before them holds for each of them."""
        self._give_help()
        super().parse_tasks()
        _require_obeyed([argument for argument in self.args.values() if argument.got_value])
        for flag in COMMON:
            given = self.args[flag.words]
            if not given.got_value:
                continue
            for task in self.tasks:
                argument = task.args.get(given.name)
                if argument is not None and not argument.got_value:
                    argument.value = given.value

    def _give_help(self) -> None:
        """See a `--help` behind a task that would be taken for the task's positional argument."""
        words = self.core.unparsed
        asked = next((at for at, word in enumerate(words) if word in _HELP), None)
        if asked is None:
            return
        contexts = self.collection.to_contexts()
        tasks = {name: context.name for context in contexts for name in (context.name, *context.aliases)}
        before = [tasks[word] for word in words[:asked] if word in tasks]
        if before:
            self.args.help.value = before[-1]
            self.core.unparsed = []

    def parse_cleanup(self) -> None:
        """Show help and lists; options without a task to hold for are a mistake, such as a variable that was not set."""
        asked = self.args.help.value or self.args.list.value or self.args["print-completion-script"].value
        given = "--" in sys.argv[1:] or any(self.args[flag.words].got_value for flag in COMMON)
        if given and not self.tasks and not asked and not self.args.complete.value:
            raise ParseError(
                "no task is named in front of --, or at all, so nothing was done: see drillbook --list"
            )
        super().parse_cleanup()

    def update_config(self, merge: bool = True) -> None:
        """Take over that nothing may be run: the tasks refuse it. Invoke's other options say nothing about them."""
        if self.args[_DRY].value or _settings_are_dry():
            self.config.load_overrides({"run": {"dry": True}}, merge=False)
        if merge:
            self.config.merge()

    def list_flat(self) -> None:
        """Print the tasks; those that only applications with an ingest job need stand apart."""
        pairs = self._make_pairs(self.scoped_collection)
        apart = [pair for pair in pairs if pair[0] in _OF_INGEST]
        self.display_with_columns(pairs=[pair for pair in pairs if pair not in apart])
        if apart:
            print("For applications that fetch data by jobs:\n")  # noqa: T201 - as Invoke prints
            self.print_columns(apart)

    def print_help(self) -> None:
        """Print the usage, our options and the tasks."""
        print(f"Usage: {self.binary} [OPTIONS] TASK [OPTIONS] …\n\nOptions, before or behind a task:\n")  # noqa: T201 - as Invoke prints
        shown = {*_SHOWN, *(flag.words for flag in COMMON)}
        tuples = self.initial_context.help_tuples()
        self.print_columns([item for item in tuples if _long_name(item[0]) in shown])
        self.list_tasks()


def _long_name(specification: str) -> str:
    """The name in what Invoke shows of a flag, such as `-c STRING, --config=STRING`."""
    return specification.rpartition("--")[2].partition("=")[0].partition("[")[0].strip()


def _require_obeyed(given: list[Argument]) -> None:
    """Return when all that was given means something here; raises ParseError for the rest of Invoke's options."""
    known = {_DRY, *_SHOWN, *_SILENT, *(flag.words for flag in COMMON)}
    for argument in given:
        name = argument.names[0]
        if name == "list-format" and argument.value not in _LIST_FORMATS:
            message = f"--list-format {argument.value} is not known; one of: {', '.join(_LIST_FORMATS)}"
            raise ParseError(message)
        if name not in known:
            message = f"--{name} is an option of Invoke, which has no meaning here: leave it away"
            raise ParseError(message)


def _settings_are_dry() -> bool:
    """Whether a file of Invoke's settings sets `run.dry`, as for `invoke`; raises ParseError when one cannot be read.

    Not from invoke.py: the console command runs no code that lies in the present folder.
    """
    named = os.environ.get("INVOKE_RUNTIME_CONFIG")
    for path in (*(f"invoke.{suffix}" for suffix in _SETTINGS), *([named] if named else [])):
        settings = Config(runtime_path=Path(path), lazy=True)
        try:
            settings.load_runtime()
            dry = settings.run.dry
        except Exception as error:
            said = " ".join(str(error).split())
            message = f"Invoke's settings in {path} cannot be read ({said}): nothing was done; correct or remove the file"
            raise ParseError(message) from error
        if dry:
            return True
    return False


def _ended_by(error: OSError) -> int:
    """The exit code for what the system refused; none for a reader that has seen enough, as `head` does."""
    if isinstance(error, BrokenPipeError):
        silence_output()
        return 0
    return _say(f"drillbook could not go on: {error}", _USAGE_ERROR)


def _say(message: str | None, code: int) -> int:
    if message:
        # The reader of our errors may be gone as well.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{message}\n")
    return code


def main() -> None:
    """Run the command line of this process; ends the process."""
    open_missing_streams()
    _Drillbook(name="drillbook", binary="drillbook", version=__version__, namespace=collection()).run()
