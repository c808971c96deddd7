"""Archives as pg_restore sees them: their table of contents, and whether every byte of them can be read back.

A listing proves nothing about the data: a pg_restore that was built without the codec lists an archive that it can
not restore.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import BackupError
from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.connect.route import Route

DUMP_FOLDER: Final = "dump"
DUMP_FILE: Final = "database.dump"
SCHEMA_FOLDER: Final = "schema"
SCHEMA_FILE: Final = "schema.dump"
ROWS_FOLDER: Final = "rows"
GLOBALS_FILE: Final = "globals.sql"
OBJECTS_FILE: Final = "objects.json"
LOAD_SCRIPT: Final = "load.sql"
_ENTRY: Final = re.compile(r"(?P<id>\d+); (?P<catalog>\d+) (?P<oid>\d+) (?P<rest>.*)\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table of contents: its dump id, and what follows the object's numbers (type, schema, name, owner)."""

    id: int
    rest: str


def main_archive(payload: Path) -> Path | None:
    """The archive in a payload, None for a tenant's rows."""
    return _first(payload, DUMP_FOLDER, DUMP_FILE)


def schema_archive(payload: Path) -> Path | None:
    """The archive of the whole schema that lies beside a partial one."""
    return _first(payload, SCHEMA_FOLDER, SCHEMA_FILE)


def all_archives(payload: Path) -> list[Path]:
    """Every archive in a payload; at least one in each that is whole."""
    return [archive for archive in (main_archive(payload), schema_archive(payload)) if archive is not None]


def _first(payload: Path, *names: str) -> Path | None:
    return next((payload / name for name in names if (payload / name).exists()), None)


def list_entries(route: Route, archive: Path) -> list[Entry]:
    """The table of contents; raises BackupError when pg_restore cannot read it."""
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        listing = Path(folder) / "toc"
        ran = route.run_offline("pg_restore", "--list", os.fspath(archive), stdout=listing)
        if ran.exit_code != 0:
            said = " / ".join(ran.messages) or f"exit code {ran.exit_code}"
            raise BackupError(f"pg_restore --list: {said}", code="backup.archive_unreadable")
        return parse_listing(listing.read_text("utf-8", "surrogateescape"))


def parse_listing(text: str) -> list[Entry]:
    """The entries of what `pg_restore --list` prints; lines that begin with `;` are remarks."""
    # Names with line ends are written by pg_restore with blanks in their place.
    found = (_ENTRY.match(line) for line in text.split("\n"))
    return [Entry(int(match["id"]), match["rest"]) for match in found if match]


def write_selection(entries: Iterable[Entry], path: Path) -> None:
    """A list for `pg_restore --use-list`, which reads nothing of a line but its first number."""
    path.write_text("".join(f"{entry.id};\n" for entry in entries), "ascii")


_AFTER_ROWS: Final = (
    "TRIGGER ", "EVENT TRIGGER ", "FK CONSTRAINT ", "CHECK CONSTRAINT ", "RULE ", "POLICY ", "ROW SECURITY ",
    "COMMENT ", "SECURITY LABEL ", "PUBLICATION", "SUBSCRIPTION",
)  # fmt: skip
_VIEW_RULE: Final = " _RETURN "


def after_rows(entry: Entry) -> bool:
    """Whether an entry must wait until the rows of all tables are loaded, and nothing else needs it before.

    With several jobs pg_restore waits only for the rows of the entry's own table. A trigger or constraint of a
    partitioned table, which has no rows itself, may so come before the rows of its partitions: then the
    trigger fires for each row that is loaded. A view's own rule belongs to the view.
    """
    return entry.rest.startswith(_AFTER_ROWS) and _VIEW_RULE not in entry.rest


def attaches(entry: Entry) -> bool:
    """Whether an entry makes an index a part of a partitioned index."""
    return entry.rest.startswith("INDEX ATTACH ")


def without_keys(entries: Sequence[Entry], keys: Iterable[str]) -> list[Entry]:
    """The entries without the foreign keys that are named as `schema table key`."""
    unwanted = tuple(f"FK CONSTRAINT {key} " for key in keys)
    return [entry for entry in entries if not (unwanted and entry.rest.startswith(unwanted))]


def rows_of(entries: Sequence[Entry], tables: Sequence[tuple[str, str]]) -> list[Entry]:
    """The entries with the rows of these tables (schema, name), and with the values of all sequences."""
    wanted = (*_listed("TABLE DATA", tables), "SEQUENCE SET ")
    return [entry for entry in entries if entry.rest.startswith(wanted)]


def after_rows_of(entries: Sequence[Entry], tables: Sequence[tuple[str, str]]) -> list[Entry]:
    """The entries without the foreign keys of these tables, and without what fills materialized views."""
    unwanted = (*_listed("FK CONSTRAINT", tables), "MATERIALIZED VIEW DATA ")
    return [entry for entry in entries if not entry.rest.startswith(unwanted)]


def _listed(kind: str, tables: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    # pg_restore prints line ends in names as blanks.
    return tuple(f"{kind} {schema} {name} ".replace("\n", " ").replace("\r", " ") for schema, name in tables)
