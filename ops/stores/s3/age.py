"""How old an object is, by the clock of the server that keeps it."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError


def age_of(connection: Connection, name: str) -> timedelta | None:
    """Return how long ago the server got the object; None where there is none, or where no time is told.

    Both times are of one answer of the server. Source: RFC 9110, 6.6.1 and 8.8.2.
    """
    try:
        head = connection.call("head_object", f"look at {name}", expect=("missing",), Key=name)
        put_at: datetime = head["LastModified"]
        return max(
            timedelta(), parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"]) - put_at
        )
    except (ExpectedAnswerError, KeyError, TypeError, ValueError):
        return None
