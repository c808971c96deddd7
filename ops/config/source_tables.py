"""The tables of sources: what every one may say, what its kind adds, and the source that is built of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, get_args, get_type_hints

from ops.config.assertions import read_assertion
from ops.config.known import read_known
from ops.config.members import MEMBERS, chosen_members
from ops.config.model import ConfiguredSource
from ops.config.named import NAME, kind_of, require_name
from ops.config.retention import known_policy
from ops.config.tables import Place, build, expand_variables, require_known
from ops.errors import ConfigError
from ops.model.close_names import close_or_all
from ops.model.requests import Objectives
from ops.ports.source import Source
from ops.ports.store import Store
from ops.registry import SOURCES
from ops.repository.retention import Policy
from ops.units import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
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


@dataclass(frozen=True, slots=True)
class Known:
    """What sources may refer to by name."""

    stores: Mapping[str, Store]
    policies: Mapping[str, Policy]
    sources: Mapping[str, Source] = field(default_factory=dict)


def read_sources(
    tables: Sequence[tuple[str, dict[str, Any]]], environ: Mapping[str, str], place: Place, known: Known
) -> dict[str, ConfiguredSource]:
    """The sources in the order of their tables; those that are made of others are built last, and get the built ones."""
    made_of = {
        name: _is_composite(kind_of(table, SOURCES, place.of(f"source.{name}"))) for name, table in tables
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
    name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place, known: Known
) -> ConfiguredSource:
    here = place.of(f"source.{name}")
    options_type, driver = SOURCES[kind_of(table, SOURCES, here)]
    common_keys = {field.name.rstrip("_") for field in fields(SourceTable)}
    option_keys = {field.name for field in fields(options_type)}
    require_known(table, common_keys | option_keys, here)
    values = {key: expand_variables(value, environ, here) for key, value in table.items()}
    common = build(SourceTable, {key: value for key, value in values.items() if key in common_keys}, here)
    _require_scopes(common.policies, options_type, here)
    require_name("series", common.series, NAME, here)
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


def _objectives(table: SourceTable) -> Objectives:
    return Objectives(
        every=table.every,
        verify_every=table.verify_every,
        drill_every=table.drill_every,
        rpo=table.rpo,
        rto=table.rto,
    )


def what_is_taken(source: Source) -> str:
    """The place of a source, and which part of it: several parts of one database are several sources."""
    # Two spellings of a path, and a link to it, are one place.
    place = source.whereabouts.real or source.info.location
    if source.scope == "full":
        return place
    selection = "".join(f", {key} {value}" for key, value in source.selection.items())
    return f"{place} (scope {source.scope}{selection})"
