"""What Invoke's command line lacks: positional arguments that may be left away, and short flags that stay the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from invoke.exceptions import ParseError
from invoke.parser import Argument
from invoke.tasks import Task

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
_ASKED_BY: Final = "complete_context"


class GivenArgument(Argument):
    """An argument that is left away when nothing is meant: an empty text is refused, and an option is no name.

    An empty text is nearly always a variable that is not set, and it must not mean the default: `--to "$TARGET"`
    would replace the live data, `--source "$SOURCE"` would take all sources.
    """

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ANN401 - as Invoke declares it
        """Keep what was given; raises ParseError for an empty text, and for an option that the task does not have."""
        if self.positional and isinstance(value, str) and value.startswith("-"):
            raise ParseError(f"No idea what '{value}' is: see --help TASK for the options of a task")
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
        if self._value is None and _asked_by(_ASKED_BY):
            return ""
        return self._value

    @value.setter
    def value(self, given: str) -> None:
        self.set_value(given, cast=True)


def _asked_by(function: str) -> bool:
    frame = inspect.currentframe()
    for _ in range(5):
        frame = frame.f_back if frame else None
        if frame is not None and frame.f_code.co_name == function:
            return True
    return False


class OpsTask(Task[Callable[..., Any]]):
    """A task in which positional arguments with a default may be left away, with the short flags of `SHORT`."""

    def __eq__(self, other: object) -> bool:
        """Compare by the function. Invoke compares code, and that of all our tasks is one wrapper's."""
        return isinstance(other, OpsTask) and inspect.unwrap(self.body) is inspect.unwrap(other.body)

    def __hash__(self) -> int:
        return hash(inspect.unwrap(self.body))

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Invoke's description of one argument, with its short flag."""
        options = super().arg_opts(name, default, taken_names)
        if name in SHORT:
            options["names"].append(SHORT[name])
        return options

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Invoke's arguments, with positional ones that have a default made optional."""
        # Invoke takes each help text out of this dictionary: without a copy the second look finds none.
        texts = dict(self.help)
        arguments = super().get_arguments(ignore_unknown_help)
        self.help = texts
        return [_relaxed(argument) for argument in arguments]


def _relaxed(argument: Argument) -> Argument:
    if not argument.positional or argument.default is None:
        return GivenArgument(
            names=argument.names,
            kind=argument.kind,
            default=argument.default,
            help=argument.help,
            positional=argument.positional,
            optional=argument.optional,
            attr_name=argument.attr_name,
        )
    return _OptionalPositional(
        names=argument.names,
        kind=str,
        default=None,
        help=argument.help,
        positional=True,
        attr_name=argument.attr_name,
    )
