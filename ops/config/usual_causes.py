"""The usual cause of what cannot be used: what was probably meant, written right. Nothing that may be a secret is shown."""

from __future__ import annotations

import re
import types
import typing
from datetime import timedelta
from typing import Any, Final

from ops.config.secret_keys import OF_SECRETS
from ops.units import Span

_AT: Final = re.compile(r"\(at line (\d+), column \d+\)")
_ASSIGNED: Final = re.compile(r"\s*([\w.-]+)\s*=\s*(.*?)\s*(?:#.*)?")
_HEAD: Final = re.compile(r"\[[\w .\"'-]*\]?")
_SECRET: Final = re.compile(rf"{OF_SECRETS.pattern}|secret|api_key|credential")
_TWICE: Final = re.compile(r"twice|overwrite|mutate|immutable")
_MOST_SHOWN: Final = 60
_HIDDEN: Final = "…"
_YES: Final = {"true": "true", "yes": "true", "false": "false", "no": "false"}


def cause_in_toml(text: str, said: str) -> tuple[int | None, str, str]:
    """Return number, content (as far as it may be shown) and usual cause of the line at which TOML cannot be read."""
    at = _AT.search(said)
    lines = text.splitlines()
    if at is None or not 0 < int(at[1]) <= len(lines):
        return None, "", "a quote, a bracket or a brace is not closed"
    number, line = int(at[1]), lines[int(at[1]) - 1].strip()
    assigned = _ASSIGNED.fullmatch(line)
    if assigned is None:
        # What is neither a head nor a key may be the middle of a value, and so of a secret.
        return number, line if _HEAD.fullmatch(line) else "", _cause_of_line(said, line, "", "")
    key, value = assigned[1], _shown(assigned[1], assigned[2])
    return number, f"{key} = {value}"[:_MOST_SHOWN], _cause_of_line(said, line, key, value)


def _shown(key: str, value: object) -> str:
    text = str(value)
    return _HIDDEN if _SECRET.search(key.lower()) or "@" in text else text


def _cause_of_line(said: str, line: str, key: str, value: str) -> str:
    name = line.strip("[] ")
    causes = (
        (
            _TWICE.search(said) and line.startswith("[") and not line.startswith("[["),
            f"[{name}] is there twice: join the two; where there may be several, as of assert, write [[{name}]]",
        ),
        (_TWICE.search(said), f"{key or name} is there twice: remove one"),
        (
            line.startswith("["),
            "a table's name stands alone between [ and ], a list of tables between [[ and ]]",
        ),
        (value in {"True", "False"}, f"in small letters: {key} = {value.lower()}"),
        (key and value and value[0] not in "\"'[{", f'text needs quotes: {key} = "{value}"'),
        (key and not value, f"a value is missing: {key} = {_HIDDEN}"),
    )
    return next(
        (cause for holds, cause in causes if holds),
        "a quote, a bracket or a comma is missing, or one too many",
    )


def cause_of_value(hint: Any, value: object, key: str) -> str:  # noqa: ANN401 - a type
    """Return what was probably meant by a value that is not of the type of its key; empty where nothing is usual."""
    kinds, shown = _kinds(hint), _shown(key, value)
    is_list = any(typing.get_origin(kind) is tuple for kind in kinds)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    word = value.lower() if isinstance(value, str) else ""
    causes = (
        (is_list and isinstance(value, dict), f"two brackets, for there may be several: [[{_HIDDEN}.{key}]]"),
        (is_list and word, f'a list is wanted: {key} = ["{shown}"]'),
        (bool in kinds and word in _YES, f"without quotes: {key} = {_YES.get(word)}"),
        (word.isdigit() and {int, float} & kinds, f"a number has no quotes: {key} = {shown}"),
        (is_number and Span in kinds, f'a duration is wanted: {key} = "{shown}d"'),
        (is_number and timedelta in kinds, f'a duration has a unit: {key} = "{shown}h"'),
        (is_number and str in kinds, f'text needs quotes: {key} = "{shown}"'),
    )
    return next((cause for holds, cause in causes if holds), "")


def _kinds(hint: Any) -> set[Any]:  # noqa: ANN401 - a type
    is_union = typing.get_origin(hint) in {types.UnionType, typing.Union}
    return {hint, *typing.get_args(hint)} if is_union else {hint}
