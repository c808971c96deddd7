"""Finding and reading the configuration: a file, or the environment alone."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from ops.config.ingest import KEYS as INGEST_KEYS
from ops.config.ingest import read_ingest
from ops.config.model import Config, StoreSettings
from ops.config.named import kind_of, named_tables, require_name
from ops.config.retention import STORE_KEYS, Named, read_policy, read_store_settings
from ops.config.snapshots import KEYS as SNAPSHOT_KEYS
from ops.config.snapshots import read_snapshots
from ops.config.source_tables import Known, read_sources, what_is_taken
from ops.config.tables import Place, build, expand_variables, require_known
from ops.config.usual_causes import cause_in_toml
from ops.errors import ConfigError
from ops.host.state_dir import state_dir
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.ports.store import Store
from ops.registry import CIPHERS, SOURCES, STORES
from ops.repository.retention import DEFAULT_POLICY

DEFAULT_FILE: Final = "ops.toml"
_OF_MACHINE: Final = ("scratch_dir", "state_dir", "host")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
_DEFAULT_STORE: Final = {"kind": "local", "path": "${BACKUP_DIR:-./backups}"}
_ENVIRONMENT_ALONE: Final = """
[source.default]
kind = "sqlite"
path = "${DATA_DIR:-./dados}/data.db"

[store.local]
kind = "local"
path = "${BACKUP_DIR:-./backups}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _MachineTable:
    """The keys of the file itself that are about the machine."""

    scratch_dir: Path | None = None
    state_dir: Path | None = None
    host: str = ""


def read_config(path: str | None, environ: Mapping[str, str], folder: Path) -> Config:
    """The configuration: the file `path`, else `OPS_CONFIG`, else `ops.toml` in `folder`, else no file at all.

    Relative paths in a file are relative to the file's folder; without a file, to `folder`. Raises
    ConfigError for everything that cannot be used, and for a file that was named and is not there.
    """
    named = path or environ.get("OPS_CONFIG")
    file = folder / Path(os.path.expanduser(named or DEFAULT_FILE))  # noqa: PTH111 - pathlib raises RuntimeError
    if not named and not file.exists():
        place = Place("the environment", "", folder)
        return _build_config(_parse(_ENVIRONMENT_ALONE, place), environ, place, None)
    place = Place(str(named or DEFAULT_FILE), "", file.parent)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        hint = "give the right one with --config or OPS_CONFIG"
        raise ConfigError(f"configuration {file}: {why}", code="config.missing_file", hint=hint) from error
    place = dataclasses.replace(place, text=text)
    return _build_config(_parse(text, place), environ, place, file)


def _parse(text: str, place: Place) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        number, line, cause = cause_in_toml(text, str(error))
        where = f", line {number}" if number else ""
        shown = f" in: {line}" if line else ""
        message = f"{place}{where} is not valid TOML: {error}{shown}"
        raise ConfigError(message, code="config.invalid_toml", hint=cause) from error


def _build_config(
    document: dict[str, Any], environ: Mapping[str, str], place: Place, file: Path | None
) -> Config:
    require_known(
        document,
        ("source", "store", "policy", "cipher", *_OF_MACHINE, *SNAPSHOT_KEYS, *INGEST_KEYS),
        place,
    )
    given: dict[str, object] = {
        key: expand_variables(document[key], environ, place) for key in _OF_MACHINE if key in document
    }
    machine = build(_MachineTable, given, place)
    require_name("host", machine.host, _HOST, place)
    policies = {"default": DEFAULT_POLICY} | {
        name: read_policy(name, table, place) for name, table in named_tables(document, "policy", place)
    }
    tables = dict(named_tables(document, "store", place)) or {"local": dict(_DEFAULT_STORE)}
    stores = {name: _store(name, table, environ, place) for name, table in tables.items()}
    ciphers = {
        name: _cipher(name, table, environ, place) for name, table in named_tables(document, "cipher", place)
    }
    named = Named(policies, ciphers)
    settings = {name: read_store_settings(name, table, place, named) for name, table in tables.items()}
    known = Known(stores, policies)
    sources = read_sources(named_tables(document, "source", place), environ, place, known)
    for name, item in sources.items():
        _require_always_here(item.stores[0], settings, place.of(f"source.{name}"))
    if not sources and not {"store", "provider"} & document.keys():
        hint = "add [source.NAME], or for a restore on another machine [store.NAME]"
        raise ConfigError(f"{place}: no source is configured", code="config.missing_key", hint=hint)
    _require_own_places({name: what_is_taken(item.source) for name, item in sources.items()}, "source", place)
    _require_own_places({name: store.location for name, store in stores.items()}, "store", place)
    return Config(
        path=file,
        sources=sources,
        stores=stores,
        scratch=machine.scratch_dir or place.folder / tempfile.gettempdir(),
        state=state_dir(machine.state_dir, environ),
        host=machine.host,
        policies=policies,
        store_settings=settings,
        ciphers=ciphers,
        ingest=read_ingest(document, named_tables(document, "provider", place), environ, place, sources),
        snapshots=read_snapshots(
            document, named_tables(document, "snapshot", place), environ, place, sources
        ),
    )


def _store(name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place) -> Store:
    here = place.of(f"store.{name}")
    options_type, driver = STORES[kind_of(table, STORES, here)]
    option_keys = {field.name for field in fields(options_type)}
    require_known(table, option_keys | STORE_KEYS, here)
    values = {
        key: expand_variables(value, environ, here) for key, value in table.items() if key in option_keys
    }
    return driver(name, build(options_type, values, here))


def _cipher(name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place) -> Cipher:
    here = place.of(f"cipher.{name}")
    options_type, driver = CIPHERS[kind_of(table, CIPHERS, here)]
    values = {key: expand_variables(value, environ, here) for key, value in table.items() if key != "kind"}
    return driver(name, build(options_type, values, here))


def _require_always_here(first: str, settings: Mapping[str, StoreSettings], place: Place) -> None:
    """Return when backups are made in a store that is always here; raises ConfigError."""
    if settings[first].offline:
        hint = "name a store that is always here before it; backups are made there, and copied"
        raise ConfigError(f"{place.at('stores')}: the first store, {first!r}, is offline", hint=hint)


def _require_own_places(locations: Mapping[str, str], what: str, place: Place) -> None:
    seen: dict[str, str] = {}
    for name, location in locations.items():
        if location in seen:
            message = f"{place}: {what}s {seen[location]!r} and {name!r} are the same {location}"
            raise ConfigError(message, code="config.duplicate_place")
        seen[location] = name


def source_of_kind(
    kind: str, name: str, location: str, members: Mapping[str, Source] | None = None
) -> Source:
    """A source with default options, for a backup whose source is not configured here; made of `members`, if it is so.

    Raises ConfigError when this installation does not have the kind.
    """
    if kind not in SOURCES:
        raise ConfigError(f"unknown kind {kind!r}", code="config.unknown_kind")
    options_type, driver = SOURCES[kind]
    options = options_type.of_location(location)
    return driver(name, options, members=members) if members else driver(name, options)


def store_at(folder: Path) -> Store:
    """The folder as a local store of its own, for backups that lie outside of the configured stores."""
    options_type, driver = STORES["local"]
    return driver("path", options_type(path=folder))
