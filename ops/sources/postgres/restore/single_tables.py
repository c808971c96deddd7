"""What a copy must hold of which only single tables were loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops.errors import ConfigError, SourceMissingError
from ops.model.requests import RestoreOptions
from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.catalog.scope import Choice
from ops.sources.postgres.catalog.tables import Table, list_tables
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump.payload import Described
from ops.sources.postgres.measure.check import Recorded
from ops.sources.postgres.options import PostgresOptions

_FOREIGN_KEY = "FOREIGN KEY"


def chosen_tables(session: Session, names: Sequence[str]) -> list[Table]:
    """Return these tables of the copy, with their partitions; raises ConfigError where the backup lacks one."""
    try:
        return Choice(PostgresOptions(scope="tables", tables=tuple(names))).tables(list_tables(session))
    except SourceMissingError as error:
        missing = error.message.partition(": ")[2]
        hint = "names are as backup.show prints them"
        raise ConfigError(f"the backup has no table {missing}", code="usage.bad_value", hint=hint) from error


def recorded_of_tables(
    needs: Needs, described: Described, chosen: Sequence[Table], asked: RestoreOptions
) -> Recorded:
    """Return what is compared: every definition but the foreign keys of these tables, and of the rows only theirs."""
    names = {table.shown for table in chosen}
    places = tuple(f" on {table.shown}" for table in chosen)
    known = described.definitions.groups.get("constraint", {}) if described.definitions else {}
    keys = {
        subject: "" for subject, text in known.items() if _FOREIGN_KEY in text and subject.endswith(places)
    }
    needs = replace(
        needs,
        newest={},
        estimated={},
        extension_rows={},
        outside_keys={**needs.outside_keys, **keys},
        not_measured={name: why for name, why in needs.not_measured.items() if name in names},
    )
    return Recorded(
        needs,
        described.objects,
        "tables",
        described.definitions,
        owners=not asked.no_owner,
        rights=not asked.no_acl,
        only=frozenset(names),
    )
