"""Where the sequences of a database stand, and which columns they count for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.sources.postgres.catalog.identifiers import literal, qualified, quoted, shown
from ops.sources.postgres.catalog.objects import NO_MEMBER, USER_SCHEMA
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.session import Session

_SEQUENCES: Final = f"""
SELECT n.nspname AS schema, c.relname AS name, s.seqincrement AS increment
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE FALSE END AND {USER_SCHEMA}
  AND ({NO_MEMBER.format("'pg_class'", "c.oid")} OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))
"""


def next_values(session: Session) -> dict[str, int]:
    """What each sequence that our role may read gives next. Not a part of any snapshot."""
    questions = [
        f"SELECT {literal(shown(row['schema'], row['name']))} AS name,"
        f" (last_value::numeric + CASE WHEN is_called THEN {int(row['increment'])} ELSE 0 END)::text AS value"
        f" FROM {qualified(row['schema'], row['name'])}"
        for row in session.rows(_SEQUENCES)
    ]
    if not questions:
        return {}
    return {row["name"]: int(row["value"]) for row in session.rows(" UNION ALL ".join(questions))}


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """A sequence that counts up for a column: how it and its table stand in manifests, and the three names in SQL."""

    shown: str
    shown_table: str
    sequence: str
    table: str
    column: str


_OWNED_SEQUENCES: Final = """
SELECT sn.nspname AS seq_schema, s.relname AS seq, n.nspname AS schema, c.relname AS name, a.attname AS column
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND q.seqincrement > 0 AND {condition}
ORDER BY 1, 2
"""


def owned_sequences(session: Session, tables: Sequence[Table] | None = None) -> list[OwnedSequence]:
    """The sequences of whole-number columns of `tables`, or of all."""
    condition = "TRUE"
    if tables is not None:
        condition = f"c.oid = ANY (ARRAY[{','.join(str(table.oid) for table in tables)}]::oid[])"
    return [
        OwnedSequence(
            shown(row["seq_schema"], row["seq"]),
            shown(row["schema"], row["name"]),
            qualified(row["seq_schema"], row["seq"]),
            qualified(row["schema"], row["name"]),
            quoted(row["column"]),
        )
        for row in session.rows(_OWNED_SEQUENCES.format(condition=condition))
    ]
