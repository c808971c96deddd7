"""What is stored in a column, as the values that an entry is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ops.ingest.entry import Entry
from ops.ingest.instants import moment_of


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row with the values of `FIELDS`, in their order."""
    ticker, job, started, finished, rows, status, message, duration, provider, attempt, retry = row
    return Entry(
        ticker=text(ticker),
        job_id=text(job),
        started_at=moment_of(started),
        finished_at=moment_of(finished),
        rows_fetched=whole(rows),
        status=text(status),
        error_message=text(message),
        duration_ms=whole(duration),
        provider=text(provider),
        attempt=whole(attempt),
        retry_after=seconds(retry),
    )


def text(value: object) -> str | None:
    """A text that was stored, also as bytes."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def whole(value: object) -> int | None:
    """A number that was stored, as a whole one; None for what is none."""
    if value is None or type(value) is int:
        return value
    number = seconds(value)
    return None if number is None else round(number)


def seconds(value: object) -> float | None:
    """A number that was stored, also as text; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    with contextlib.suppress(ValueError, OverflowError):
        number = float(value)
        return number if abs(number) < float("inf") else None
    return None
