"""Whether a value has exactly the type that a field says: a quick yes, so that what is right needs no pydantic.

A no decides nothing: pydantic is asked then, which takes a tenth of a second to import, and its texts are shown.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NewType, Union

_PLAIN: Final = frozenset((bool, date, float, int, str, timedelta, type(None), type(Path())))
"""Types of which a value is taken as it is; not their subclasses, so that no bool is a number and no moment a date."""


def fits(hint: object, value: object) -> bool:
    """Return whether pydantic would take `value` for `hint`, strictly, and as it is; false where that is not certain."""
    if isinstance(hint, NewType):
        return fits(hint.__supertype__, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _WITH_ARGUMENTS:
        return _WITH_ARGUMENTS[origin](arguments, value)
    if hint is Any:
        return True
    if hint is Path:
        return type(value) is type(Path())
    return hint in _PLAIN and type(value) is hint


def _fits_one(arguments: tuple[Any, ...], value: object) -> bool:
    return any(fits(kind, value) for kind in arguments)


def _fits_literal(arguments: tuple[Any, ...], value: object) -> bool:
    return any(type(value) is type(said) and value == said for said in arguments)


def _fits_tuple(arguments: tuple[Any, ...], value: object) -> bool:
    """Whether it is a tuple of any length, of one type."""
    one, *rest = arguments
    return rest == [...] and type(value) is tuple and all(fits(one, item) for item in value)


def _fits_dict(arguments: tuple[Any, ...], value: object) -> bool:
    key, item = arguments
    return type(value) is dict and all(fits(key, name) and fits(item, found) for name, found in value.items())


_WITH_ARGUMENTS: Final[dict[Any, Callable[[tuple[Any, ...], object], bool]]] = {
    Union: _fits_one,
    types.UnionType: _fits_one,
    Literal: _fits_literal,
    tuple: _fits_tuple,
    dict: _fits_dict,
}
