"""Writes docs/schemas: `python -m tests.schemas.build`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.schemas import backups, others
from tests.schemas.shapes import Schema

FOLDER: Final = Path(__file__).parents[2] / "docs" / "schemas"


def built() -> Mapping[str, Schema]:
    """The schema of each task's JSON answer, by the task."""
    return {schema["properties"]["task"]["const"]: schema for schema in (*backups.ANSWERS, *others.ANSWERS)}


def file_of(task: str) -> Path:
    """Where the schema of a task is."""
    return FOLDER / f"{task}.schema.json"


def written(schema: Schema) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    for name, made in built().items():
        file_of(name).write_text(written(made), "utf-8")
