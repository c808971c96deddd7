"""What Invoke's command line lacks: positional arguments that may be left away, and short flags that stay the same."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

from invoke.exceptions import ParseError
from invoke.parser import Argument

from ops.tasks.cli.flags import Flag
from ops.tasks.cli.suggest import with_suggestion

SHORT: Final = {
    "config": "c",
    "source": "s",
    "format": "f",
    "dry_run": "n",
    "yes": "y",
    "quiet": "q",
    "verbose": "v",
}
"""The short flags: one letter means one thing, in every task that has it. `-h` is Invoke's."""
_COMPLETING: Final = "complete_context"
_HELPING: Final = "help_for"


class GivenArgument(Argument):
    """An argument that is left away when nothing is meant: an empty text is refused, and an option is not a name.

    An empty text is nearly always a variable that is not set, and it must not mean the default: `--to "$TARGET"`
    would replace the live data, `--source "$SOURCE"` would take all sources.
    """

    options: Sequence[str] = ()
    """The options of the task, for a positional argument that is given one that it does not have."""

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ANN401 - as Invoke declares it
        """Keep what was given; raises ParseError for an empty text, and for an option that the task does not have."""
        if self.positional and isinstance(value, str) and value.startswith("-"):
            message = with_suggestion(f"No idea what '{value}' is!", value, self.options)
            raise ParseError(f"{message} See --help TASK for the options of a task")
        if isinstance(value, str) and self.takes_value and not value.strip():
            name = self.names[0].replace("_", "-")
            shown = name.upper() if self.positional else f"--{name}"
            message = (
                f"{shown} was given an empty value, such as that of a variable that is not set: nothing was done;"
                " give a value, or leave it away"
            )
            raise ParseError(message)
        super().set_value(value, cast=cast)


class _OptionalPositional(GivenArgument):
    """A positional argument that is not missed when the command line ends without it.

    Invoke knows no such thing: an argument takes a bare word only while its value is None, and when the task
    ends, a positional argument whose value is None is an error. So the value is None for everybody but the
    one method that makes that error.
    """

    @property
    def value(self) -> Any:  # noqa: ANN401 - as Invoke declares it
        """The value that was given, else None; an empty string while Invoke completes the task's context."""
        if self._value is None and _asked_by(_COMPLETING):
            return ""
        return self._value

    @value.setter
    def value(self, given: str) -> None:
        self.set_value(given, cast=True)


class _RepeatedArgument(GivenArgument):
    """An argument that may be given several times.

    Invoke shows what kind of value an argument takes for text and numbers only: a list would look like a switch.
    """

    @property
    def kind(self) -> type:
        """What Invoke collects the values in; text while it shows the help."""
        return str if _asked_by(_HELPING) else list

    @kind.setter
    def kind(self, given: type) -> None:
        """Take no other kind."""


def _asked_by(function: str) -> bool:
    frame = inspect.currentframe()
    for _ in range(5):
        frame = frame.f_back if frame else None
        if frame is not None and frame.f_code.co_name == function:
            return True
    return False


def arguments_of(flags: Sequence[Flag]) -> list[Argument]:
    """Return Invoke's arguments, positional ones first: so it wants them."""
    options = [f"--{flag.words}" for flag in flags if not flag.positional]
    return [_argument(flag, options) for flag in sorted(flags, key=lambda flag: not flag.positional)]


def _argument(flag: Flag, options: Sequence[str]) -> Argument:
    names = (flag.words, SHORT[flag.name]) if flag.name in SHORT else (flag.words,)
    attribute = flag.name if flag.name != flag.words else None
    if flag.several:
        return _RepeatedArgument(names=names, kind=list, default=[], help=flag.help, attr_name=attribute)
    if not flag.positional:
        kind = type(flag.default)
        return GivenArgument(
            names=names, kind=kind, default=flag.default, help=flag.help, attr_name=attribute
        )
    kind_of = GivenArgument if flag.default is None else _OptionalPositional
    positional = kind_of(names=names, help=flag.help, positional=True, attr_name=attribute)
    positional.options = options
    return positional
