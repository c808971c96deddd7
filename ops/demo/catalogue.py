"""Builds the demo: two SQLite databases, an event log, a PostgreSQL database where it can be, and their `ops.toml`.

The bytes depend on the text sources and the SQLite library alone: no clock, no randomness, no locale, no time
zone (for PostgreSQL: the rows). Nothing is ever half done: each is built under a temporary name and replaces the
old one whole.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.demo.cluster import NoServerError, build_cluster, find_server, require_replaceable
from ops.demo.databases import build_database, fill_audit, fill_prices, require_unused
from ops.demo.journal import build_journal
from ops.demo.petshop import DATABASE, petshop_config
from ops.demo.texts import CONFIG, MARKER, fixtures_folder
from ops.errors import ConfigError, RefusedError
from ops.fsio.atomic import (
    PRIVATE_FOLDER,
    make_private_folder,
    replace_durably,
    staged_file,
    translated_write_errors,
    write_all,
)
from ops.fsio.durable import fsync_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

DATA_FOLDER: Final = "dados"
JOURNAL: Final = "journal"
PETSHOP: Final = "petshop"
_MARKER_TEXT: Final = b"This folder was made by Drillbook's demo; the demo may rebuild what it made here.\n"


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """One database or log of the demo: the source's name in `ops.toml`, its place, its name, rows by table."""

    source: str
    path: Path
    name: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A source that the demo could have: why it was not built here, and what would help, as a command or a hint."""

    source: str
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class DemoCatalogue:
    """A built demo: its folder, the configuration to use, the databases in it, and those that could not be built."""

    folder: Path
    config_path: Path
    databases: tuple[DemoDatabase, ...]
    left_out: tuple[LeftOut, ...] = ()


def build_demo(out: Path, *, without: Collection[str] = ()) -> DemoCatalogue:
    """Build the demo in `out`, or rebuild it there; what else lies in a demo's folder, such as backups, stays.

    The pet shop is left out where it is named in `without`, and where no PostgreSQL server can be run. Folders
    are 0700 and files 0600 from the start. Raises ConfigError when the text sources are missing or `without`
    names something else, RefusedError when `out` holds something else than a demo or a program has one of the
    databases open, SpaceError or StoreError when `out` cannot be written.
    """
    fixtures = fixtures_folder()
    _require_optional(without)
    data, cluster = out / DATA_FOLDER, out.absolute() / PETSHOP
    recipes: dict[str, tuple[Path, Callable[[sqlite3.Connection, Path], None]]] = {
        "prices": (data / "data.db", fill_prices),
        "audit": (data / "audit.db", fill_audit),
    }
    _claim(out)
    _make_folder(data)
    for path, _ in recipes.values():
        require_unused(path)
    if PETSHOP not in without:
        require_replaceable(cluster)
    databases = [
        DemoDatabase(source, path, path.name, build_database(path, fixtures, fill))
        for source, (path, fill) in recipes.items()
    ]
    journal = data / JOURNAL
    databases.append(DemoDatabase(JOURNAL, journal, journal.name, build_journal(journal, fixtures)))
    left_out = []
    config = (fixtures / CONFIG).read_bytes()
    if PETSHOP not in without:
        try:
            databases.append(_build_petshop(cluster))
            config += b"\n" + petshop_config()
        except NoServerError as error:
            left_out.append(LeftOut(PETSHOP, error.reason, error.advice))
    _write(out / CONFIG, config)
    return DemoCatalogue(out, out / CONFIG, tuple(databases), tuple(left_out))


def _require_optional(names: Collection[str]) -> None:
    for name in names:
        if name != PETSHOP:
            message = f"the demo cannot be built without {name!r}"
            hint = f"what can be left out: {PETSHOP}"
            raise ConfigError(message, code="usage.bad_value", hint=hint)


def _build_petshop(cluster: Path) -> DemoDatabase:
    rows = build_cluster(find_server(os.environ), cluster)
    return DemoDatabase(PETSHOP, cluster, DATABASE, rows)


def _claim(out: Path) -> None:
    """Make `out` a demo's folder; refuse one that holds anything and lacks the marker."""
    marker = out / MARKER
    with translated_write_errors(out):
        if out.exists() and not marker.is_file() and (not out.is_dir() or any(out.iterdir())):
            message = f"{out} exists and is not a demo made by Drillbook"
            hint = "name a folder that does not exist yet, or an empty one"
            raise RefusedError(message, code="refused.demo_folder_in_use", hint=hint)
    _make_folder(out)
    _write(marker, _MARKER_TEXT)


def _make_folder(folder: Path) -> None:
    make_private_folder(folder)
    with translated_write_errors(folder):
        folder.chmod(PRIVATE_FOLDER)


def _write(path: Path, content: bytes) -> None:
    with staged_file(path.parent, path.name) as staged:
        write_all(staged, content)
        fsync_descriptor(staged.descriptor)
        replace_durably(staged.path, path)
