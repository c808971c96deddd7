"""Finding and reading the configuration: a file, or the environment alone."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from ops.config.assertions import read_assertion
from ops.config.ingest import KEYS as INGEST_KEYS
from ops.config.ingest import read_ingest
from ops.config.known import read_known
from ops.config.members import MEMBERS, chosen_members
from ops.config.model import Config, ConfiguredSource, StoreSettings
from ops.config.retention import STORE_KEYS, Named, known_policy, read_policy, read_store_settings
from ops.config.snapshots import KEYS as SNAPSHOT_KEYS
from ops.config.snapshots import read_snapshots
from ops.config.tables import Place, build, expand_variables, require_known
from ops.config.usual_causes import cause_in_toml
from ops.errors import ConfigError
from ops.host.state_dir import state_dir
from ops.model.close_names import close_or_all
from ops.model.requests import Objectives
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.ports.store import Store
from ops.registry import CIPHERS, SOURCES, STORES
from ops.repository.retention import DEFAULT_POLICY, Policy
from ops.units import Size

DEFAULT_FILE: Final = "ops.toml"
_OF_MACHINE: Final = ("scratch_dir", "state_dir", "host")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourceTable:
    """The keys that every source may have; its kind adds its own."""

    kind: str
    stores: tuple[str, ...] = ()
    every: timedelta | None = None
    verify_every: timedelta | None = None
    drill_every: timedelta | None = None
    rpo: timedelta | None = None
    rto: timedelta | None = None
    tags: tuple[str, ...] = ()
    min_free: Size | None = None
    owner: str = ""
    description: str = ""
    series: str = ""
    policy: str = "default"
    policies: dict[str, str] = field(default_factory=dict)
    assert_: tuple[dict[str, Any], ...] = ()
    known: tuple[dict[str, Any], ...] = ()


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
    _require_name("host", machine.host, _HOST, place)
    policies = {"default": DEFAULT_POLICY} | {
        name: read_policy(name, table, place) for name, table in _named(document, "policy", place)
    }
    tables = dict(_named(document, "store", place)) or {"local": dict(_DEFAULT_STORE)}
    stores = {name: _store(name, table, environ, place) for name, table in tables.items()}
    ciphers = {
        name: _cipher(name, table, environ, place) for name, table in _named(document, "cipher", place)
    }
    named = Named(policies, ciphers)
    settings = {name: read_store_settings(name, table, place, named) for name, table in tables.items()}
    known = _Known(stores, policies)
    sources = _sources(_named(document, "source", place), environ, place, known)
    for name, item in sources.items():
        _require_always_here(item.stores[0], settings, place.of(f"source.{name}"))
    if not sources and not {"store", "provider"} & document.keys():
        hint = "add [source.NAME], or for a restore on another machine [store.NAME]"
        raise ConfigError(f"{place}: no source is configured", code="config.missing_key", hint=hint)
    _require_own_places(
        {name: _what_is_taken(item.source) for name, item in sources.items()}, "source", place
    )
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
        ingest=read_ingest(document, _named(document, "provider", place), environ, place, sources),
        snapshots=read_snapshots(document, _named(document, "snapshot", place), environ, place, sources),
    )


def _named(document: dict[str, Any], group: str, place: Place) -> list[tuple[str, dict[str, Any]]]:
    tables = document.get(group, {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{place}: [{group}] must hold tables, like [{group}.NAME]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{place}: {group}.{name} must be a table, [{group}.{name}]")
        if not _NAME.match(name):
            hint = "letters, digits, '_', '-' and '.', beginning with a letter or digit, 64 at most"
            raise ConfigError(f"{place}: {name!r} is no name for a {group}", hint=hint)
    return list(tables.items())


def _kind(table: dict[str, Any], known: Mapping[str, object], place: Place) -> str:
    if "kind" not in table:
        raise ConfigError(
            f"{place}: key 'kind' is needed", code="config.missing_key", hint=f"one of: {', '.join(known)}"
        )
    kind = table["kind"]
    if kind not in known:
        hint = close_or_all(kind, known, "this installation has")
        raise ConfigError(
            f"{place.near('kind')}: unknown kind {kind!r}", code="config.unknown_kind", hint=hint
        )
    return str(kind)


def _store(name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place) -> Store:
    here = place.of(f"store.{name}")
    options_type, driver = STORES[_kind(table, STORES, here)]
    option_keys = {field.name for field in fields(options_type)}
    require_known(table, option_keys | STORE_KEYS, here)
    values = {
        key: expand_variables(value, environ, here) for key, value in table.items() if key in option_keys
    }
    return driver(name, build(options_type, values, here))


def _cipher(name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place) -> Cipher:
    here = place.of(f"cipher.{name}")
    options_type, driver = CIPHERS[_kind(table, CIPHERS, here)]
    values = {key: expand_variables(value, environ, here) for key, value in table.items() if key != "kind"}
    return driver(name, build(options_type, values, here))


@dataclass(frozen=True, slots=True)
class _Known:
    """What sources may refer to by name."""

    stores: Mapping[str, Store]
    policies: Mapping[str, Policy]
    sources: Mapping[str, Source] = field(default_factory=dict)


def _sources(
    tables: Sequence[tuple[str, dict[str, Any]]], environ: Mapping[str, str], place: Place, known: _Known
) -> dict[str, ConfiguredSource]:
    """The sources in the order of their tables; those that are made of others are built last, and get the built ones."""
    made_of = {
        name: _is_composite(_kind(table, SOURCES, place.of(f"source.{name}"))) for name, table in tables
    }
    built: dict[str, ConfiguredSource] = {}
    for name, table in sorted(tables, key=lambda item: made_of[item[0]]):
        leaves = {other: item.source for other, item in built.items() if not made_of[other]}
        built[name] = _source(name, table, environ, place, replace(known, sources=leaves))
    return {name: built[name] for name, _ in tables}


def _is_composite(kind: str) -> bool:
    options_type, _ = SOURCES[kind]
    return any(field.name == MEMBERS for field in fields(options_type))


def _source(
    name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place, known: _Known
) -> ConfiguredSource:
    here = place.of(f"source.{name}")
    options_type, driver = SOURCES[_kind(table, SOURCES, here)]
    common_keys = {field.name.rstrip("_") for field in fields(_SourceTable)}
    option_keys = {field.name for field in fields(options_type)}
    require_known(table, common_keys | option_keys, here)
    values = {key: expand_variables(value, environ, here) for key, value in table.items()}
    common = build(_SourceTable, {key: value for key, value in values.items() if key in common_keys}, here)
    _require_scopes(common.policies, options_type, here)
    _require_name("series", common.series, _NAME, here)
    options = build(options_type, {key: value for key, value in values.items() if key in option_keys}, here)
    return ConfiguredSource(
        source=driver(name, options, **chosen_members(options, known.sources, here)),
        stores=_known_stores(common.stores, known.stores, here),
        objectives=_objectives(common),
        assertions=tuple(read_assertion(item, at) for item, at in _numbered(common.assert_, "assert", here)),
        tags=common.tags,
        min_free=common.min_free,
        owner=common.owner,
        description=common.description,
        series=common.series,
        asserted=tuple(common.assert_),
        known=tuple(read_known(item, at) for item, at in _numbered(common.known, "known", here)),
        policy=known_policy(common.policy, known.policies, here),
        by_scope={
            scope: known_policy(policy, known.policies, here) for scope, policy in common.policies.items()
        },
    )


def _numbered(
    tables: tuple[dict[str, Any], ...], key: str, here: Place
) -> list[tuple[dict[str, Any], Place]]:
    """Each table of a list of tables, and where it stands."""
    return [(table, here.of(f"{here.table}.{key} #{number}")) for number, table in enumerate(tables, 1)]


def _require_name(key: str, value: str, form: re.Pattern[str], place: Place) -> None:
    if value and not form.match(value):
        hint = "letters, digits, '_', '-' and '.', beginning with a letter or digit"
        raise ConfigError(f"{place.at(key)}: {value!r} is not such a name", hint=hint)


def _require_scopes(policies: Mapping[str, str], options_type: type, place: Place) -> None:
    """Return when backups of this kind can have these scopes; a typing error would else delete what was to stay."""
    known = {"full", *get_args(get_type_hints(options_type).get("scope"))}
    for scope in policies:
        if scope not in known:
            hint = f"scopes of this kind: {', '.join(sorted(known))}"
            raise ConfigError(f"{place.at('policies')}: unknown scope {scope!r}", hint=hint)


def _known_stores(names: tuple[str, ...], stores: Mapping[str, Store], place: Place) -> tuple[str, ...]:
    for name in names:
        if name not in stores:
            hint = close_or_all(name, stores, "configured")
            raise ConfigError(
                f"{place.near('stores')}: unknown store {name!r}", code="config.unknown_store", hint=hint
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"{place.at('stores')}: a store is named twice", code="config.duplicate_place")
    return names or (next(iter(stores)),)


def _require_always_here(first: str, settings: Mapping[str, StoreSettings], place: Place) -> None:
    """Return when backups are made in a store that is always here; raises ConfigError."""
    if settings[first].offline:
        hint = "name a store that is always here before it; backups are made there, and copied"
        raise ConfigError(f"{place.at('stores')}: the first store, {first!r}, is offline", hint=hint)


def _objectives(table: _SourceTable) -> Objectives:
    return Objectives(
        every=table.every,
        verify_every=table.verify_every,
        drill_every=table.drill_every,
        rpo=table.rpo,
        rto=table.rto,
    )


def _what_is_taken(source: Source) -> str:
    """The place of a source, and which part of it: several parts of one database are several sources."""
    # Two spellings of a path, and a link to it, are one place.
    place = source.whereabouts.real or source.info.location
    if source.scope == "full":
        return place
    selection = "".join(f", {key} {value}" for key, value in source.selection.items())
    return f"{place} (scope {source.scope}{selection})"


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
