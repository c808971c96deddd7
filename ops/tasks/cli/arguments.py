"""What Invoke's command line lacks: positional arguments that may be left away, and short flags that stay the same."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import FrameType
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
_SEEING: Final = ("complete_flag", "waiting_for_flag_value")
_HELPING: Final = "help_for"


class GivenArgument(Argument):
    """An argument that is left away when nothing is meant: a missing or empty text is refused, and an option is not a name.

    That is nearly always a variable that is not set, and it must not mean the default: `--to "$TARGET"` would replace
    the live data, `--source $SOURCE` would take all sources.
    """

    options: Sequence[str] = ()
    """The options of the task, for a positional argument that is given one that it does not have."""

    def __repr__(self) -> str:
        """The name as it is typed: Invoke's messages show it."""
        return self.names[0].upper() if self.positional else f"--{self.names[0]}"

    @property
    def raw_value(self) -> Any:  # noqa: ANN401 - as Invoke declares it
        """The last value that was given.

        When Invoke asks whether an option that it sees has got its value, one from the time before does not count, nor
        does the empty list that it begins with: `-s one -s` is as wrong as `-s`.
        """
        asking = _asking(*_SEEING)
        return self._raw if asking is None or asking.f_locals["self"].flag_got_value else None

    @raw_value.setter
    def raw_value(self, given: object) -> None:
        self._raw = given

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ANN401 - as Invoke declares it
        """Keep what was given; raises ParseError for an empty text, a second value, and an option that the task does not have."""
        if self.positional and isinstance(value, str) and value.startswith("-"):
            message = with_suggestion(f"No idea what '{value}' is!", value, self.options)
            raise ParseError(f"{message} See --help TASK for the options of a task")
        if isinstance(value, str) and self.takes_value and not value.strip():
            message = (
                f"{self!r} was given an empty value, such as that of a variable that is not set: nothing was done;"
                " give a value, or leave it away"
            )
            raise ParseError(message)
        if self.takes_value and self.kind is not list and self.got_value:
            raise ParseError(f"{self!r} was given twice, and takes one value: nothing was done")
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
    return _asking(function) is not None


def _asking(*functions: str) -> FrameType | None:
    """Return the frame of that one of these functions of Invoke's that asks; None where another one does."""
    frame = inspect.currentframe()
    for _ in range(5):
        frame = frame.f_back if frame else None
        if frame is not None and frame.f_code.co_name in functions:
            return frame
    return None


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
