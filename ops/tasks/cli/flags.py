"""How the flags of a task are declared: as the fields of its dataclass, each with what the command line says of it.

A field's name is the flag's: `dry_run` is `--dry-run`, `from_` is `--from`. Its type is what the task gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field
from typing import Any, Final, TypeVar, cast, overload

T = TypeVar("T")
_KEY: Final = "flag"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag as the command line knows it.

    `default`: what is read where it is not given; None for a positional argument that must be given. `parse` gets the
    flag and its text, and raises ConfigError.
    """

    name: str
    help: str
    default: str | bool | None
    positional: bool = False
    several: bool = False
    parse: Callable[[str, str], object] | None = None

    @property
    def words(self) -> str:
        """The name as it is typed, without dashes in front."""
        return self.name.strip("_").replace("_", "-")

    def read(self, given: Any) -> object:  # noqa: ANN401 - text, a switch, or a list of texts
        """Return the value that the task gets."""
        if self.several:
            return (given,) if isinstance(given, str) else tuple(given or ())
        value = self.default if given is None else given
        if self.parse is None:
            return value
        return self.parse(f"--{self.words}", str(value)) if value else None


def text(help: str, *, default: str = "", positional: bool = False) -> str:
    """Declare a flag with a text, or a positional argument that may be left away."""
    return field(default=default, metadata=_declared(help, default, positional=positional))


def required(help: str) -> str:
    """Declare a positional argument that must be given."""
    return cast("str", field(metadata=_declared(help, None, positional=True)))


def switch(help: str) -> bool:
    """Declare a flag without a value."""
    return field(default=False, metadata=_declared(help, default=False))


def several(help: str) -> tuple[str, ...]:
    """Declare a flag that may be given several times, each time with a text."""
    return field(default=(), metadata=_declared(help, "", several=True))


@overload
def parsed(help: str, parse: Callable[[str, str], T], *, default: str) -> T: ...
@overload
def parsed(help: str, parse: Callable[[str, str], T]) -> T | None: ...
def parsed(help: str, parse: Callable[[str, str], T], *, default: str = "") -> T | None:
    """Declare a flag whose text is read by `parse`; None where there is no default and it is not given."""
    value = parse("", default) if default else None
    return field(default=value, metadata=_declared(help, default, parse=parse))


def _declared(
    help: str,
    default: str | bool | None,
    *,
    positional: bool = False,
    several: bool = False,
    parse: Callable[[str, str], object] | None = None,
) -> dict[str, Callable[[str], Flag]]:
    """What is kept with a field, whose name is not known here."""
    return {_KEY: lambda name: Flag(name, help, default, positional, several, parse)}


def flags_of(declaration: type[Any]) -> Iterator[Flag]:
    """Return the flags that a class declares, in its order, whether or not it is a dataclass yet."""
    declared: Mapping[str, object] = getattr(declaration, "__dataclass_fields__", vars(declaration))
    for name, item in declared.items():
        if isinstance(item, Field) and _KEY in item.metadata:
            yield item.metadata[_KEY](name)


def read_flags(flags: Sequence[Flag], given: Mapping[str, Any]) -> dict[str, object]:
    """Return the values by the names of the fields; raises ConfigError for the first that cannot be read."""
    return {flag.name: flag.read(given.get(flag.name)) for flag in flags}
