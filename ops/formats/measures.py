"""Measures <-> JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.formats.values import count, fact, text, texts
from ops.model.manifest import Measures, TableMeasure


def measures_document(measures: Measures) -> dict[str, object]:
    """Return what was measured as plain JSON values, without the engine that measured it."""
    return {
        "digest_algorithm": measures.digest_algorithm,
        "tables": {
            name: {"rows": table.rows, "digest": table.digest} for name, table in measures.tables.items()
        },
        "facts": dict(measures.facts),
    }


def read_measures(document: Mapping[str, Any], engine: Mapping[str, Any]) -> Measures:
    """Return what `measures_document` made; raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    algorithm = document["digest_algorithm"]
    return Measures(
        tables={
            text(name): TableMeasure(count(table["rows"]), _digest(table["digest"]))
            for name, table in document["tables"].items()
        },
        facts={text(name): fact(value) for name, value in document["facts"].items()},
        engine=texts(engine),
        digest_algorithm=None if algorithm is None else text(algorithm),
    )


def _digest(value: object) -> str | None:
    return None if value is None else text(value)
