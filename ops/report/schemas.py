"""How the JSON answer of a task names its schema."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""One more for a change after which what read the former answers may no longer do so; new fields are no such change."""


def schema_of(task: str) -> str:
    """Return the name of the schema of a task's answer: docs/schemas has the file."""
    return f"drillbook/{task}/{VERSION}"
