"""The rows of one tenant: copied out by psql, table after table in the order in which foreign keys allow loading.

Partitioned tables are copied through their root, so that the rows can be loaded where the partitions are others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from ops.errors import ToolError
from ops.fsio.atomic import make_private_folder
from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.catalog.identifiers import literal, quoted
from ops.sources.postgres.catalog.scope import tenant_condition
from ops.sources.postgres.catalog.sequences import owned_sequences
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump.archive import LOAD_SCRIPT, ROWS_FOLDER
from ops.sources.postgres.dump.exported_snapshot import Snapshot
from ops.sources.postgres.options import PostgresOptions

_PSQL = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1")


def dump_rows(
    route: Route, session: Session, snapshot: Snapshot, options: PostgresOptions, into: Path
) -> None:
    """Write the tenant's rows of each table into `rows/`, and `load.sql`, which psql loads them with in order.

    Raises ToolError when psql fails, or where it cannot write files (in a container).
    """
    if not route.writes_folders:
        message = "scope 'tenant' needs client programs on this machine"
        raise ToolError(message, code="tool.missing", hint="leave `container` away and give a dsn")
    roots = [table for table in snapshot.chosen if table.kind in {"r", "p"} and not table.is_partition]
    ordered = loading_order(roots, _references(session, roots))
    make_private_folder(into / ROWS_FOLDER)
    dump = [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;",
        f"SET TRANSACTION SNAPSHOT {literal(snapshot.id)};",
        "SET row_security = off;",
    ]
    load = ["BEGIN;"]
    for number, table in enumerate(ordered, 1):
        file = f"{ROWS_FOLDER}/{number:04}.copy"
        columns = ", ".join(quoted(column.name) for column in table.columns if not column.generated)
        dump.append(
            f"COPY (SELECT {columns} FROM {table.sql} WHERE {tenant_condition(options)}) TO STDOUT \\g {file}"
        )
        load.append(f"\\copy {table.sql} ({columns}) FROM '{file}'")
    load += sequence_lines(session, ordered)
    (into / LOAD_SCRIPT).write_text("\n".join([*load, "COMMIT;", ""]), "utf-8")
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        script = Path(folder) / "dump.sql"
        script.write_text("\n".join([*dump, "COMMIT;", ""]), "utf-8")
        # In the payload's folder: psql gets names of ours only, whatever the folder is called.
        ran = route.run("psql", *_PSQL, f"--file={script}", folder=into)
        ran.require_success("copying the tenant's rows")


def sequence_lines(session: Session, tables: Sequence[Table]) -> list[str]:
    """SQL that moves each sequence of the tables past the greatest value of its column, and never back."""
    return [
        f"SELECT setval({literal(owned.sequence)}, greatest(max({owned.column}), (SELECT last_value FROM {owned.sequence})))"
        f" FROM {owned.table} HAVING max({owned.column}) IS NOT NULL \\g /dev/null"
        for owned in owned_sequences(session, tables)
    ]


def _references(session: Session, tables: Sequence[Table]) -> dict[int, set[int]]:
    """For each table the others that its foreign keys refer to, by their roots."""
    rows = session.rows(
        "SELECT DISTINCT k.conrelid::bigint AS child, k.confrelid::bigint AS parent FROM pg_constraint k"
        " WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND k.conparentid = 0"
    )
    known = {table.oid for table in tables}
    found: dict[int, set[int]] = {oid: set() for oid in known}
    for row in rows:
        if row["child"] in known and row["parent"] in known:
            found[row["child"]].add(row["parent"])
    return found


def loading_order(tables: Sequence[Table], references: Mapping[int, set[int]]) -> list[Table]:
    """Parents before children; tables that refer to each other in a circle come in the order of their names.

    Those need deferrable keys where the rows are loaded into a schema that has its keys already.
    """
    by_oid = {table.oid: table for table in tables}
    graph = {oid: set(parents) for oid, parents in references.items()}
    while True:
        try:
            return [by_oid[oid] for oid in TopologicalSorter(graph).static_order()]
        except CycleError as error:
            circle = error.args[1]
            first = min(circle, key=lambda oid: by_oid[oid].shown)
            graph[first] -= set(circle)
