"""What the questions for definitions have in common: which objects are the database's own, and how rights are printed."""

from __future__ import annotations

from dataclasses import dataclass

from ops.sources.postgres.catalog.objects import AMCHECK_SCHEMA, FIRST_NORMAL_OID, NO_MEMBER
from ops.sources.postgres.programs.release import OWN_OPTION_PREFIX

_CLASS = "'pg_class'"
OWN_SCHEMA = f"n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> '{AMCHECK_SCHEMA}'"


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of definition. `sql` gives `subject` and `definition`, both text, ordered by nothing.

    `alike`: printed alike on every version; otherwise only the subjects are compared between different ones.
    `rights`: who may do what, which a restore may be told to leave away. `rows`: it says something of rows, which a part
    may not have. `since`: the first version that has it. `told`: its text may stand in evidence and on screens; passwords and
    the source of functions may not.
    """

    name: str
    sql: str
    alike: bool = False
    rights: bool = False
    rows: bool = False
    since: int = 0
    told: bool = True


def own_relation(relation: str = "c") -> str:
    """The condition that a row of pg_class (with its schema as `n`) is of the database's own and lasts."""
    # The row of a composite type in pg_class is no member where its type is one.
    by_type = NO_MEMBER.format("'pg_type'", f"{relation}.reltype")
    return (
        f"{OWN_SCHEMA} AND {relation}.relpersistence <> 't' AND {NO_MEMBER.format(_CLASS, f'{relation}.oid')}"
        f" AND ({relation}.reltype = 0 OR {by_type})"
    )


def own_object(catalog: str, oid: str) -> str:
    """The condition that an object was made by a user, and is no part of an extension."""
    quoted = f"'{catalog}'"
    return f"{oid} >= {FIRST_NORMAL_OID} AND {NO_MEMBER.format(quoted, oid)}"


def identity(catalog: str, oid: str) -> str:
    """The expression for the name of an object, whole and the same wherever it is restored."""
    return f"(pg_identify_object('{catalog}'::regclass, {oid}, 0)).identity"


def rights(acl: str, kind: str, owner: str) -> str:
    """The expression for rights as text: who, what, and whether it may be passed on; the default where none were given.

    Who granted it is left away: a restore grants as the owner.
    """
    return (
        "(SELECT string_agg(CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END"
        " || '=' || x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ' '"
        ' ORDER BY x.grantee <> 0, pg_get_userbyid(x.grantee) COLLATE "C", x.privilege_type COLLATE "C", x.is_grantable)'
        f" FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) x)"
    )


def said(*parts: str) -> str:
    """The expression that joins named values to one text; what is NULL or empty is left away."""
    return f"concat_ws(' ', {', '.join(parts)})"


def named(name: str, value: str) -> str:
    """The expression `name=value`, NULL where the value is NULL or empty."""
    return f"CASE WHEN nullif(({value})::text, '') IS NOT NULL THEN '{name}=' || ({value})::text END"


def routine(oid: str) -> str:
    """The expression for a function by its number; NULL for none."""
    return f"nullif({oid}, 0)::regprocedure"


def options(array: str, condition: str = "TRUE") -> str:
    """The expression for options that meet a condition on `o`, sorted."""
    return f"(SELECT string_agg(o, ', ' ORDER BY o COLLATE \"C\") FROM unnest({array}) o WHERE {condition})"


def set_options(array: str) -> str:
    """The same without those that the server keeps there for itself."""
    return options(array, f"NOT starts_with(o, '{OWN_OPTION_PREFIX}')")
