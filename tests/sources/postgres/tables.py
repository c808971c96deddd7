"""Tables as the catalog would list them, for tests without a server."""

from __future__ import annotations

from ops.sources.postgres.catalog.tables import Table


def table(oid: int, name: str) -> Table:
    """An ordinary readable table in `public`."""
    return Table(
        oid=oid,
        schema="public",
        name=name,
        kind="r",
        persistence="p",
        row_security=False,
        bytes=0,
        owner="dono",
        readable=True,
        filtered=False,
        is_partition=False,
        parent=None,
    )
