"""Holding JSON answers against their schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.schemas.build import file_of

Document = dict[str, Any]


@cache
def validator(task: str) -> Draft202012Validator:
    """What checks the JSON of a task."""
    return Draft202012Validator(json.loads(file_of(task).read_text("utf-8")))


def require_valid(printed: str) -> None:
    """Hold what was printed against its schema, where it is the JSON answer of a task; raises ValidationError."""
    if not printed.startswith("{"):
        return
    try:
        document = json.loads(printed)
    except ValueError:  # several answers, or what a test has a task print
        return
    if "task" in document and "exit_code" in document:
        validator(document["task"]).validate(document)
