"""Which kinds and stores there are: one line each. mypy checks here that each driver keeps its port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ops.ports import Source, Store
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from ops.sources.sqlite.source import SqliteOptions, SqliteSource
from ops.stores.local import LocalOptions, LocalStore

SOURCES: Final[dict[str, tuple[type[Any], Callable[[str, Any], Source]]]] = {
    PostgresSource.kind: (PostgresOptions, PostgresSource),
    SqliteSource.kind: (SqliteOptions, SqliteSource),
}
"""Kind -> (options type, driver)."""

STORES: Final[dict[str, tuple[type[Any], Callable[[str, Any], Store]]]] = {
    LocalStore.kind: (LocalOptions, LocalStore),
}
"""Kind -> (options type, driver)."""
