"""From a function to a task: the flags that every task has, and one table of short flags for all of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ops.tasks.arguments import OpsTask

if TYPE_CHECKING:
    from invoke.context import Context

COMMON: Final = {
    "config": "configuration file (default: ops.toml, or OPS_CONFIG)",
    "format": "text or json",
    "no_network": "contact nothing but this machine",
    "quiet": "print nothing unless something needs a look",
    "verbose": "show the log of steps on a terminal, too",
}
"""The help of the flags that every task has."""
DEFAULTS: Final[Mapping[str, str | bool]] = {
    "config": "",
    "format": "text",
    "no_network": False,
    "quiet": False,
    "verbose": False,
}
"""The flags that every task has, and what they are when they are not given."""
REFUSED_DRY: Final = (
    "Invoke's --dry (-R, INVOKE_RUN_DRY, or run.dry in a file of its settings) keeps no task of Drillbook from doing its"
    " work: nothing was done; take it away, and use --dry-run (-n) of the task, where it has one"
)
BACKUP: Final = "'latest', a name as backup.list prints it, STORE:NAME, or a path"
WAIT: Final = "seconds to wait while another run works on the source"


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that every task has; `dry`: Invoke was told to run nothing, which our tasks do not obey."""

    config: str = ""
    format: str = "text"
    no_network: bool = False
    quiet: bool = False
    verbose: bool = False
    dry: bool = False


def command(
    *,
    help: Mapping[str, str] | None = None,
    name: str | None = None,
    positional: Sequence[str] = (),
    iterable: Sequence[str] = (),
) -> Callable[[Callable[..., None]], OpsTask]:
    """Return a decorator that makes a task of a function, which gets `Flags` first and its own flags by name."""

    def decorate(function: Callable[..., None]) -> OpsTask:
        @functools.wraps(function)
        def body(context: Context, **given: Any) -> None:  # noqa: ANN401 - whatever the flags' types are
            common = {name: given.pop(name) for name in DEFAULTS}
            function(Flags(**common, dry=bool(context.config.run.dry)), **given)

        body.__signature__ = _signature(function)  # type: ignore[attr-defined]
        texts = {**COMMON, **(help or {})}
        return OpsTask(
            body, name=name, positional=positional, iterable=iterable, help=texts, auto_shortflags=False
        )

    return decorate


def _signature(function: Callable[..., None]) -> inspect.Signature:
    """Invoke's context, the function's own flags, then those that every task has."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    _, *own = inspect.signature(function).parameters.values()
    common = [inspect.Parameter(name, kind, default=value) for name, value in DEFAULTS.items()]
    return inspect.Signature([inspect.Parameter("context", kind), *own, *common])
