"""Restoring single tables into a database that lives: one transaction, compared before it commits.

The tables come from the complete copy that was built and checked beside the target. A table that is not there is
made with all that belongs to it. One that is there keeps its definition, indexes, triggers and rights, and loses its
rows to the backup's. Foreign keys of and to such tables are taken away and put back in the same transaction: so
the order of loading does not matter, and every reference is validated again before anything is visible.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import RefusedError
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.model.requests import RestoreOptions
from ops.sources.postgres.catalog.identifiers import literal, parse_shown, qualified, quoted, shown
from ops.sources.postgres.catalog.scope import line_of
from ops.sources.postgres.catalog.tables import Table, gathered_tables, list_tables
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session, text_form
from ops.sources.postgres.drill.copy import PostgresCopy
from ops.sources.postgres.dump.tenant import sequence_lines
from ops.sources.postgres.measure.check import Recorded
from ops.sources.postgres.measure.row_digest_sql import algorithm_for, measuring_query

_SETS_SEQUENCE = b"SELECT pg_catalog.setval("
_END_OF_ROWS = b"\\.\n"
_PSQL = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Tables with rows that are replaced in the target, and tables that are made there."""

    replaced: Sequence[Table]
    made: Sequence[Table]


def replace_tables(built: PostgresCopy, target: Route, options: RestoreOptions) -> list[Finding]:
    """Put the tables of `options` from the built copy into the target's database.

    Raises RefusedError (`refused.table_not_replaced`) when a table is not in the backup, when it cannot be
    loaded, or when rows elsewhere refer to rows that it would no longer have; then the target is as it was.
    """
    with built.route.session() as source, target.session() as session:
        chosen = _choose(source, session, options)
        _require_held(source, built.recorded, [*chosen.replaced, *chosen.made])
        before = _before(session, chosen.replaced)
        after = [*text_form(), *_compared(source, [*chosen.replaced, *chosen.made])]
        after += _after(session, chosen.replaced)
        after += sequence_lines(session, chosen.replaced)
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        script = Path(folder) / "script.sql"
        parts = [
            _written(Path(folder) / "before.sql", [*text_form(), *before]),
            *_dumped(built.route, chosen, Path(folder), options),
            _written(Path(folder) / "after.sql", after),
        ]
        with script.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    while block := file.read(1 << 20):
                        whole.write(block)
        ran = target.run("psql", *_PSQL, "--file=-", stdin=script)
    if ran.exit_code:
        said = " / ".join(ran.messages[-4:])
        hint = "nothing was changed: the transaction was rolled back"
        raise RefusedError(
            f"the tables were not replaced: {said}", code="refused.table_not_replaced", hint=hint
        )
    names = ", ".join(table.shown for table in [*chosen.replaced, *chosen.made])
    message = f"{names} restored in one transaction, rows and foreign keys compared before it committed"
    return [Finding(severity=Severity.OK, code="restore.tables", message=message)]


def _choose(source: Session, session: Session, options: RestoreOptions) -> _Chosen:
    """The tables by name; a partitioned one stands for its partitions, where the rows are."""
    held = {table.shown: table for table in list_tables(source)}
    there = {table.shown for table in list_tables(session)}
    names = [shown(*parse_shown(name)) for name in options.tables]
    missing = [name for name in names if name not in held or held[name].kind not in {"r", "p"}]
    if missing:
        message = f"the backup holds no table {', '.join(missing)}"
        raise RefusedError(
            message, code="refused.table_not_replaced", hint="see backup.show for the tables it holds"
        )
    wanted = [table for name in names for table in _with_partitions(source, held[name], held)]
    return _Chosen(
        replaced=[table for table in wanted if table.shown in there and table.kind == "r"],
        made=[table for table in wanted if table.shown not in there],
    )


def _require_held(source: Session, recorded: Recorded, tables: Sequence[Table]) -> None:
    """Return when the backup has all rows of these tables; raises RefusedError: else theirs would be lost in the target."""
    held = recorded.held
    if held is None:
        return
    by_oid = {table.oid: table for table in list_tables(source)}
    # Partitions that another database would fill otherwise were measured as one table.
    lacking = [table.shown for table in tables if table.kind == "r" and not held & line_of(table, by_oid)]
    if lacking:
        message = (
            f"the backup does not hold all rows of {', '.join(lacking)} (scope {recorded.scope}): what is in the target would"
            " be lost"
        )
        hint = "take the table from a backup of the whole, or restore this one into a new database (--to)"
        raise RefusedError(message, code="refused.table_not_replaced", hint=hint)


def _with_partitions(source: Session, table: Table, held: dict[str, Table]) -> list[Table]:
    if table.kind != "p":
        return [table]
    rows = source.rows(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_partition_tree("
        f"{literal(table.sql)}::regclass) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
    )
    return [held[shown(row["schema"], row["name"])] for row in rows]


def _oids(session: Session, tables: Sequence[Table]) -> str:
    rows = [session.rows(f"SELECT {literal(table.sql)}::regclass::oid::bigint AS oid")[0] for table in tables]
    return ",".join(str(row["oid"]) for row in rows) or "0"


def _keys(session: Session, tables: Sequence[Table]) -> list[tuple[str, str, str]]:
    """Foreign keys of and to the tables in the target: table, key, definition."""
    oids = _oids(session, tables)
    rows = session.rows(
        "SELECT n.nspname AS schema, c.relname AS name, k.conname AS key, pg_get_constraintdef(k.oid) AS definition"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid IN ({oids}) OR k.confrelid IN ({oids})"
        f" OR k.conrelid IN (SELECT inhparent FROM pg_inherits WHERE inhrelid IN ({oids}))"
        f" OR k.confrelid IN (SELECT inhparent FROM pg_inherits WHERE inhrelid IN ({oids}))) ORDER BY 1, 2, 3"
    )
    return [(qualified(row["schema"], row["name"]), quoted(row["key"]), row["definition"]) for row in rows]


def _triggers(session: Session, tables: Sequence[Table]) -> list[tuple[str, str, str]]:
    """User triggers that fire now: table, trigger, the words that enable it again as it was."""
    words = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
    rows = session.rows(
        "SELECT n.nspname AS schema, c.relname AS name, t.tgname AS trigger, t.tgenabled::text AS state"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.oid IN ({_oids(session, tables)}) ORDER BY 1, 2, 3"
    )
    return [
        (qualified(row["schema"], row["name"]), quoted(row["trigger"]), words[row["state"]]) for row in rows
    ]


def _before(session: Session, tables: Sequence[Table]) -> list[str]:
    if not tables:
        return []
    names = ", ".join(f"ONLY {table.sql}" for table in tables)
    return [
        f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE",
        *(f"ALTER TABLE {table} DROP CONSTRAINT {key}" for table, key, _ in _keys(session, tables)),
        *(
            f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"
            for table, trigger, _ in _triggers(session, tables)
        ),
        f"TRUNCATE {names}",
    ]


def _after(session: Session, tables: Sequence[Table]) -> list[str]:
    if not tables:
        return []
    return [
        *(
            f"ALTER TABLE {table} {words} TRIGGER {trigger}"
            for table, trigger, words in _triggers(session, tables)
        ),
        *(
            f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}"
            for table, key, definition in _keys(session, tables)
        ),
    ]


def _compared(source: Session, tables: Sequence[Table]) -> list[str]:
    """Statements that fail unless each table holds exactly the rows of the copy."""
    algorithm, statements = algorithm_for(source.version), []
    for table in _as_measured(source, tables):
        query = measuring_query(table, algorithm)
        (row,) = source.rows(query)
        differs = f"r.rows <> {int(row['rows'])} OR r.total <> {literal(row['total'])}"
        message = literal(f"rows of {table.shown} are not those of the backup")
        body = (
            f"DECLARE r record; BEGIN EXECUTE {literal(query)} INTO r;"
            f" IF {differs} THEN RAISE EXCEPTION USING MESSAGE = {message}; END IF; END"
        )
        statements.append(f"DO {literal(body)}")
    return statements


def _as_measured(source: Session, tables: Sequence[Table]) -> list[Table]:
    """The tables with rows; in the place of partitions that the target may fill otherwise the table that they are of."""
    everything = list_tables(source)
    by_oid = {table.oid: table for table in everything}
    whole = {table.shown: table for table in gathered_tables(source, everything)}
    found: dict[str, Table] = {}
    for table in tables:
        if table.kind == "r":
            names = {table.shown} if table.shown in whole else line_of(table, by_oid) & whole.keys()
            found |= {name: whole[name] for name in names}
    return list(found.values())


def _dumped(route: Route, chosen: _Chosen, folder: Path, options: RestoreOptions) -> list[Path]:
    """The copy's tables as SQL scripts: rows alone of those that are replaced, everything of those that are made."""
    flags = [*(["--no-owner"] if options.no_owner else []), *(["--no-acl"] if options.no_acl else [])]
    parts = []
    for name, tables, more in (
        ("made.sql", chosen.made, flags),
        ("replaced.sql", chosen.replaced, ["--data-only"]),
    ):
        if tables:
            names = [f"--table={table.sql}" for table in tables]
            ran = route.run("pg_dump", "--no-password", *more, *names, stdout=folder / name)
            ran.require_success("reading the tables from the restored copy")
            parts.append(folder / name)
    if chosen.replaced:
        # setval() is not undone with the transaction: sequences are moved when all else has gone well, and never back.
        parts[-1] = _without_sequences(parts[-1])
    return parts


def _without_sequences(script: Path) -> Path:
    """The script without the statements that set sequences, which stand behind the rows of all tables."""
    kept = script.with_suffix(".rows")
    with script.open("rb") as whole, kept.open("wb") as rest:
        in_rows = in_copy = False
        for line in whole:
            if in_rows:
                in_rows = line != _END_OF_ROWS
            elif not in_copy and line.startswith(_SETS_SEQUENCE):
                continue
            else:
                # A name with a line end makes a statement of several lines.
                in_copy = in_copy or line.startswith(b"COPY ")
                in_rows = in_copy and line.rstrip().endswith(b" FROM stdin;")
                in_copy = in_copy and not in_rows
            rest.write(line)
    script.unlink()
    return kept


def _written(path: Path, statements: Sequence[str]) -> Path:
    text = "".join(f"{line}\n" if line.endswith("\\g /dev/null") else f"{line};\n" for line in statements)
    path.write_text(text, "utf-8")
    return path
