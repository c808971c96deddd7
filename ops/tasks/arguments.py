"""What Invoke's command line lacks: positional arguments that may be left away, and short flags that stay the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

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


class _OptionalPositional(Argument):
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
        return argument
    return _OptionalPositional(
        names=argument.names,
        kind=str,
        default=None,
        help=argument.help,
        positional=True,
        attr_name=argument.attr_name,
    )
