"""Whose a snapshot is that has the name already: the names of two tickers can come to one name of a file."""

from __future__ import annotations

import json
from pathlib import Path

from ops.driverkit.row_digest import Value
from ops.errors import OpsError, RefusedError
from ops.fsio.output import opened_file
from ops.snapshots.csv_read import opened_csv
from ops.snapshots.definition import Definition, key_values

_LONGEST = 1 << 20


def require_same_ticker(path: Path, definition: Definition, ticker: str) -> None:
    """Raise RefusedError where the file at `path` holds the rows of another ticker; --replace would lose those.

    Return where nothing is there, and where it does not say whose rows it holds.
    """
    there = _ticker_in(path, definition.key or "")
    if there is None or str(there) in key_values(definition, ticker):
        return
    message = (
        f"{path} is a snapshot of {str(there)!r}, and the file of {ticker!r} would have the same name: nothing was"
        " written"
    )
    hint = "give this one a name of its own with --out PATH"
    raise RefusedError(message, code="refused.snapshot_of_another", hint=hint)


def _ticker_in(path: Path, key: str) -> Value:
    """The key of the first row of a snapshot; None where there is none that can be read."""
    try:
        if path.suffix == ".json":
            return _first_object(path).get(key)
        with opened_csv(path) as file:
            at = file.columns.index(key)
            return next((row[at] for rows in file.rows for row in rows), None)
    except (OSError, OpsError, ValueError):
        return None


def _first_object(path: Path) -> dict[str, Value]:
    """The first object of our JSON form, which is alone on the second line."""
    with opened_file(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        file.readline(_LONGEST)
        found = json.loads(file.readline(_LONGEST).rstrip(b",\r\n"))
    return found if isinstance(found, dict) else {}
