"""Short ways to write JSON Schema, and what the answers of all tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ops.report.schemas import schema_of

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TEXT: Final[Schema] = {"type": "string"}
TRUTH: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "number"}
INTEGER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
TIME: Final[Schema] = {
    "type": "string",
    "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
}
SHA256: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
SERIES: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
YES: Final[Schema] = {"const": True}
FINDINGS: Final[Schema] = {"type": "array", "items": {"$ref": "#/$defs/finding"}}
_BY_SIGNAL: Final = 128
"""Exit codes above it: a signal ended the task."""


def said(shape: Schema, description: str) -> Schema:
    """The same, with what it means."""
    return {**shape, "description": description}


def maybe(shape: Schema) -> Schema:
    """The same, or null."""
    if "type" in shape:
        return {**shape, "type": [shape["type"], "null"]}
    if "enum" in shape:
        return {**shape, "enum": [*shape["enum"], None]}
    return {"anyOf": [shape, {"type": "null"}]}


def words(*known: str) -> Schema:
    """One of these words."""
    return {"enum": list(known)}


def each(shape: Schema, **more: int) -> Schema:
    """A list of these."""
    return {"type": "array", "items": shape, **more}


def ref(name: str) -> Schema:
    """What `$defs` calls so."""
    return {"$ref": f"#/$defs/{name}"}


def table(
    fields: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None, more: bool = False
) -> Schema:
    """An object that has all of `fields`; with `more` also any others, else none but the `optional` ones."""
    return {
        "type": "object",
        "additionalProperties": more,
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
    }


def names_to(shape: Schema) -> Schema:
    """An object with names of any kind, and such values."""
    return {"type": "object", "additionalProperties": shape}


CODE: Final[Schema] = {"type": "string", "pattern": "^[a-z]+\\.[a-z_]+$"}
FINDING: Final = table(
    {
        "severity": words("ok", "warning", "critical"),
        "code": CODE,
        "message": TEXT,
        "where": TEXT,
        "expected": TEXT,
        "found": TEXT,
        "blocking": said(TRUTH, "it leaves the question open: the verdict cannot be passed"),
        "inherited": said(
            TRUTH, "the source had the same fault when it was backed up, and that was recorded"
        ),
    },
    optional={
        "known": said(YES, "the configuration knows of it"),
        "member": said(TEXT, "of which member, in a backup of several sources"),
        "hint": said(TEXT, "what to do, where the finding brought its own"),
        "next": said(TEXT, "what to do, of each finding that is not ok and not known"),
    },
)
ERROR: Final = table(
    {
        "code": CODE,
        "message": TEXT,
        "hint": maybe(TEXT),
        "command": said(maybe(TEXT), "what to run next"),
        "choices": said(
            each(table({"command": TEXT, "about": TEXT})), "several commands of which one may be meant"
        ),
        "details": each(TEXT),
        "source": maybe(TEXT),
    }
)
_CODES: Final = (("ok", {"const": 0}), ("warning", {"const": 1}))
_CRITICAL: Final = {"anyOf": [{"const": 2}, {"type": "integer", "exclusiveMinimum": _BY_SIGNAL}]}


def answer(
    task: str,
    description: str,
    result: Schema,
    *,
    at_most: int | None = None,
    top: Mapping[str, Schema] | None = None,
    then: Schema | None = None,
    defs: Mapping[str, Schema] | None = None,
) -> Schema:
    """The schema of a task's JSON: what all have, its `result`, and what only its answer has at the `top`."""
    limits = {} if at_most is None else {"maxItems": at_most}
    common = table(
        {
            "schema": {"const": schema_of(task)},
            "task": {"const": task},
            "status": words("ok", "warning", "critical"),
            "exit_code": said(
                {"anyOf": [{"enum": [0, 1, 2]}, {"type": "integer", "exclusiveMinimum": _BY_SIGNAL}]},
                "what the process ends with; 128 and the number of a signal where one ended it",
            ),
            "results": each(ref("result"), **limits),
            "findings": FINDINGS,
            "errors": each(ref("error")),
        },
        optional=top,
    )
    cases = [*_CODES, ("critical", _CRITICAL)]
    return {
        "$schema": DIALECT,
        "$id": schema_of(task),
        "title": f"{task} --format json",
        "description": description,
        **common,
        "oneOf": [{"properties": {"status": {"const": status}, "exit_code": code}} for status, code in cases],
        **(then or {}),
        "$defs": {"result": result, **(defs or {}), "finding": FINDING, "error": ERROR},
    }
