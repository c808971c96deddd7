"""From the declaration of a task to the task: its flags, the flags that every task has, and where its work is.

A task is one frozen dataclass: its docstring is the task's line in the help, its fields are the flags, and an instance
is what the work gets. The work of `backup.create` is the function `run` of `ops/tasks/backup/create.py`; it is imported
when the task runs, so that lists, help and completion stay quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform

from invoke.tasks import Task

from ops.tasks.cli.arguments import arguments_of
from ops.tasks.cli.flags import Flag, flags_of, read_flags, switch, text

if TYPE_CHECKING:
    from types import ModuleType

    from invoke.context import Context
    from invoke.parser import Argument

C = TypeVar("C")
REFUSED_DRY: Final = (
    "Invoke's --dry (-R, INVOKE_RUN_DRY, or run.dry in a file of its settings) keeps no task of Drillbook from doing its"
    " work: nothing was done; take it away, and use --dry-run (-n) of the task, where it has one"
)
_KEPT: Final = "__command__"
"""Where a class keeps what it declares."""
_REFERENCE: Final = "from_"
"""The option with which a task that has it is told the name of a backup; the others take it as an argument."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that every task has; `dry`: Invoke was told to run nothing, which our tasks do not obey."""

    config: str = text("configuration file (default: ops.toml, or OPS_CONFIG)")
    format: str = text("text or json", default="text")
    no_network: bool = switch("contact nothing but this machine")
    quiet: bool = switch("print nothing unless something needs a look")
    verbose: bool = switch("write the log of steps to standard error, and all that there is to tell")
    dry: bool = False


COMMON: Final = tuple(flags_of(Flags))
"""The flags that every task has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One task as it is declared.

    `wanted`: the dataclass of its flags; `own`: those flags. `configured`: whether it reads a configuration; `writes`: whether it writes to
    stores, after which it is remembered which ones those were; `remembers`: whether it keeps this machine's name for the
    next run. `lines`: what `--format line` prints, where the task has that format; `lined_by`: the switch that has the
    answer told as lines, whatever the format is.
    """

    name: str
    wanted: type[Any]
    own: tuple[Flag, ...]
    configured: bool = True
    writes: bool = False
    remembers: bool = False
    lines: str = ""
    lined_by: str = ""

    @property
    def common(self) -> tuple[Flag, ...]:
        """The flags that every task has, with the formats of this one."""
        told = f"text, json, or line: {self.lines}" if self.lines else ""
        return tuple(replace(flag, help=told) if told and flag.name == "format" else flag for flag in COMMON)

    @property
    def takes_backup(self) -> str:
        """The task as it is called with the name of a backup behind it."""
        by_option = any(flag.name == _REFERENCE for flag in self.own)
        return f"{self.name} --{_REFERENCE.strip('_')}" if by_option else self.name

    def read(self, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an instance of `wanted`
        """Return what is wanted; raises ConfigError for a value that cannot be read."""
        return self.wanted(**read_flags(self.own, given))

    def work(self) -> Callable[..., None]:
        """Return the function that does the work; its module is where the task's name says."""
        path = self.name.replace("-", "_")
        run: Callable[..., None] = importlib.import_module(f"ops.tasks.{path}").run
        return run


@dataclass_transform(frozen_default=True, kw_only_default=True)
def command(
    name: str,
    *,
    configured: bool = True,
    writes: bool = False,
    remembers: bool = False,
    lines: str = "",
    lined_by: str = "",
) -> Callable[[type[C]], type[C]]:
    """Return a decorator that makes a task called `name` of a class with flags (see `Command` for the rest)."""

    def declare(declaration: type[C]) -> type[C]:
        declared = Command(
            name=name,
            wanted=declaration,
            own=tuple(flags_of(declaration)),
            configured=configured,
            writes=writes,
            remembers=remembers,
            lines=lines,
            lined_by=lined_by,
        )
        setattr(declaration, _KEPT, declared)
        _make_later(declaration)
        return declaration

    return declare


def _make_later(declaration: type[Any]) -> None:
    """Make the class a frozen dataclass together with its first instance: one run needs one of them, and all take 10 ms."""

    def first(self: Any, **given: object) -> None:  # noqa: ANN401 - an instance of the class
        del declaration.__init__
        dataclass(frozen=True, kw_only=True)(declaration)
        self.__init__(**given)

    declaration.__init__ = first


def command_of(declaration: type[Any]) -> Command:
    """Return the task that a class declares."""
    found: Command = vars(declaration)[_KEPT]
    return found


def commands_of(module: ModuleType) -> Iterator[Command]:
    """Return the tasks that a module declares, in its order."""
    for item in vars(module).values():
        if isinstance(item, type) and item.__module__ == module.__name__ and _KEPT in vars(item):
            yield command_of(item)


class CommandTask(Task[Callable[..., None]]):
    """The Invoke task of a declared one."""

    def __init__(self, command: Command) -> None:
        self.command = command

        def body(context: Context, **given: Any) -> None:  # noqa: ANN401 - whatever the flags' types are
            from ops.tasks.conduct import conduct

            if unknown := given.keys() - {flag.name for flag in (*command.own, *command.common)}:
                message = f"{command.name} has no flags {', '.join(sorted(unknown))}"
                raise TypeError(message)
            common = read_flags(command.common, given)
            conduct(command, Flags(**common, dry=bool(context.config.run.dry)), given)  # type: ignore[arg-type]

        body.__doc__ = command.wanted.__doc__
        super().__init__(body, name=command.name.rpartition(".")[2], positional=())

    def __eq__(self, other: object) -> bool:
        """Compare by what was declared. Invoke compares code, and that of all our tasks is one function's."""
        return isinstance(other, CommandTask) and self.command == other.command

    def __hash__(self) -> int:
        return hash(self.command.name)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002 - Invoke's
        """Return Invoke's arguments."""
        return arguments_of([*self.command.own, *self.command.common])
