"""Values of JSON documents that somebody else may have written: each has its form, or an error is raised. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def plain_name(value: object) -> str:
    """Return a relative path that stays inside its folder, the only kind that is ever joined to one; raises ValueError."""
    path = text(value)
    parts = path.split("/")
    if not path or path.startswith("/") or "\0" in path or any(part in {"", ".", ".."} for part in parts):
        message = f"path {path!r} leads out of the backup"
        raise ValueError(message)
    return path


def text(value: object) -> str:
    """Return a text; raises TypeError."""
    if not isinstance(value, str):
        message = f"{value!r} is not a text"
        raise TypeError(message)
    return value


def texts(value: Mapping[str, object]) -> dict[str, str]:
    """Return texts by their names; raises TypeError, AttributeError."""
    return {text(key): text(item) for key, item in value.items()}


def count(value: object) -> int:
    """Return a whole number, 0 or more; raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{value!r} is not a count"
        raise ValueError(message)
    return value


def fact(value: object) -> str | int:
    """Return a text or a whole number; raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = f"{value!r} is neither text nor number"
        raise TypeError(message)
    return value
