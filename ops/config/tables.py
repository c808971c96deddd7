"""TOML tables into frozen dataclasses, with errors that name the file, the table, the key, and what was meant.

Field types decide how text is read: a `timedelta` from "24h", a size from "50GB", a `Path` relative to the
configuration's folder. Everything else must have exactly the type that the field says; pydantic says what is wrong.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from ops.config.fits import fits
from ops.config.secret_keys import OF_SECRETS
from ops.config.toml_lines import line_of
from ops.config.usual_causes import cause_of_value
from ops.errors import ConfigError
from ops.host.secret import remember_variable
from ops.model.close_names import did_you_mean
from ops.units import Fraction, Size, Span, parse_duration, parse_size, parse_span

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_LOOKS_SECRET: Final = re.compile(r"\s*(?:AGE-SECRET-KEY-1|-----BEGIN )", re.IGNORECASE)
_NAME_OF_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRETS: Final = {"password", "passphrase", "secret", "token", "secret_key", "access_key", "api_key"}

Built = TypeVar("Built")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the file, and the table in it, for messages; the folder, for relative paths.

    `text`: what is in the file, for the numbers of lines; never shown.
    """

    file: str
    table: str
    folder: Path
    text: str = field(default="", repr=False)

    def of(self, table: str) -> Place:
        """Return the place of a table in the same file."""
        return dataclasses.replace(self, table=table)

    def near(self, key: str) -> str:
        """Return `FILE, line N, [table]`, where the key stands; without the line where that cannot be told."""
        number = line_of(self.text, self.table, key)
        if number is None and key:
            # A table below this one, where a value was wanted, or a list of tables.
            number = line_of(self.text, f"{self.table}.{key}" if self.table else key)
        line = f", line {number}" if number else ""
        return f"{self.file}{line}, [{self.table}]" if self.table else f"{self.file}{line}"

    def at(self, key: str) -> str:
        """Return the same with the key."""
        return f"{self.near(key)}, {key}"

    def __str__(self) -> str:
        """`FILE, line N, [table]`, where the table begins."""
        return self.near("") if self.table else self.file


def expand_variables(value: object, environ: Mapping[str, str], place: Place) -> object:
    """`value` with `${NAME}` and `${NAME:-default}` replaced in every string in it.

    As in the shell, an empty variable counts as not set where there is a default. Raises ConfigError for a
    variable without value and default.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match, environ, place), value)
    if isinstance(value, list):
        return [expand_variables(item, environ, place) for item in value]
    if isinstance(value, dict):
        return {key: expand_variables(item, environ, place) for key, item in value.items()}
    return value


def _variable(match: re.Match[str], environ: Mapping[str, str], place: Place) -> str:
    name, default = match.groups()
    value = environ.get(name)
    if value or (value is not None and default is None):
        return value
    if default is not None:
        return default
    message = f"{place}: ${{{name}}} is used, but the environment has no {name}"
    hint = f"set {name}, or write ${{{name}:-default}}"
    raise ConfigError(message, code="config.undefined_variable", hint=hint)


def build(cls: type[Built], values: Mapping[str, object], place: Place) -> Built:
    """An instance of the dataclass `cls` from one table.

    Raises ConfigError for an unknown or missing key or a value of the wrong type or form. A trailing
    underscore of a field's name is not part of its key.
    """
    fields = {item.name.rstrip("_"): item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    require_known(values, fields, place)
    hints = typing.get_type_hints(cls)
    for key, item in fields.items():
        missing = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if key not in values and missing:
            raise ConfigError(f"{place}: key {key!r} is needed", code="config.missing_key")
    checked = {}
    for key, value in values.items():
        _require_no_secret(key, value, place)
        name = fields[key].name
        read = _convert(hints[name], value, key, place)
        try:
            checked[name] = read if fits(hints[name], read) else _judged(hints[name], read)
        except ValueError as error:
            found = "" if OF_SECRETS.fullmatch(key) else f" (found {value!r})"
            cause = cause_of_value(hints[name], value, key)
            raise ConfigError(f"{place.at(key)}: {error}{found}", hint=cause) from error
    return cls(**checked)


def _judged(hint: Any, value: object) -> object:  # noqa: ANN401 - a type
    """The value as pydantic takes it; raises ValueError with its words for one that has another type."""
    import pydantic  # takes a tenth of a second: paid only where something is wrong

    try:
        return pydantic.TypeAdapter(hint).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        words = error.errors()[0]["msg"].replace("tuple", "list").replace("dictionary", "table")
        raise ValueError(words) from error


def _require_no_secret(key: str, value: object, place: Place) -> None:
    """Return when `value` is none itself; the variable that `X_env` names is known to hold one from now on."""
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if any(_LOOKS_SECRET.match(text) for text in texts):
        message = f"{place.near(key)}: a secret key must not stand in the configuration ({key})"
        hint = "remove it, give a file or the name of a variable, and make a new one: this one was exposed"
        raise ConfigError(message, code="config.secret_in_file", hint=hint)
    if not key.endswith("_env"):
        return
    for text in texts:
        if not _NAME_OF_VARIABLE.fullmatch(text):
            message = (
                f"{place.at(key)}: it is no name of a variable (not shown, it could be the secret itself)"
            )
            raise ConfigError(message, hint=f"write the name only, like {key} = {key[:-4].upper()!r}")
        remember_variable(text)


def require_known(values: Iterable[str], known: Iterable[str], place: Place) -> None:
    """Return when all keys of a table are known; raises ConfigError that names the one that was meant."""
    names = list(known)
    for key in values:
        if key in names:
            continue
        if key in _SECRETS:
            message = f"{place.near(key)}: a secret must not stand in the configuration ({key})"
            hint = (
                f"remove it; kinds that need one take {key}_env (a variable's name), {key}_file (a path)"
                f" or {key}_command (a program)"
            )
            raise ConfigError(message, code="config.secret_in_file", hint=hint)
        hint = did_you_mean(key, names) or f"known here: {', '.join(sorted(names))}"
        raise ConfigError(f"{place.near(key)}: unknown key {key!r}", code="config.unknown_key", hint=hint)


def _convert(hint: Any, value: object, key: str, place: Place) -> object:  # noqa: ANN401 - a type
    is_union = typing.get_origin(hint) in {types.UnionType, typing.Union}
    kinds = {hint, *typing.get_args(hint)} if is_union else {hint}
    for kind, reader in _readers(place).items():
        if kind in kinds:
            try:
                return reader(value)
            except (ValueError, TypeError, OverflowError) as error:
                why = "it has the wrong type or form" if OF_SECRETS.fullmatch(key) else error
                hint = cause_of_value(hint, value, key)
                raise ConfigError(f"{place.at(key)}: {why}", hint=hint) from error
    if isinstance(value, list) and typing.get_origin(hint) is tuple:
        return tuple(_convert(typing.get_args(hint)[0], item, key, place) for item in value)
    if isinstance(value, list) and any(typing.get_origin(kind) is tuple for kind in kinds):
        return tuple(value)
    return value


def _readers(place: Place) -> dict[Any, Callable[[object], object]]:
    return {
        timedelta: lambda value: parse_duration(_text(value, '"24h"')),
        Span: lambda value: parse_span(_text(value, '"30d"')),
        Size: lambda value: value if isinstance(value, int) else parse_size(_text(value, '"50GB"')),
        Fraction: _fraction,
        date: _date,
        Path: lambda value: place.folder / _expanded(_text(value, "a path")),
    }


def _expanded(text: str) -> Path:
    """The path with `~` as the home folder that it means."""
    path = os.path.expanduser(text)  # noqa: PTH111 - pathlib raises RuntimeError
    if path.startswith("~"):
        home = text.partition("/")[0]
        message = f"nothing is known of the home folder {home!r}; write the whole path (or ./{text} for such a name)"
        raise ValueError(message)
    return Path(path)


def _text(value: object, example: str) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no text like {example}")
    if "\0" in value:
        raise ValueError("a NUL character cannot stand in a name")
    return value


def _date(value: object) -> date:
    # A time of day is a date, too, for Python.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return date.fromisoformat(_text(value, "2027-03-01"))


def _fraction(value: object) -> float:
    found = None
    if isinstance(value, str) and value.endswith("%"):
        found = float(value[:-1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    if found is not None and math.isfinite(found):
        return found
    raise TypeError(f'{value!r} is no fraction like "5%" or 0.05')
