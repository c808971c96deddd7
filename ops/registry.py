"""Which kinds, stores and ciphers there are: one line each. mypy checks here that each driver keeps its port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.ports.store import Store
from ops.sources.eventlog.source import EventLogOptions, EventLogSource
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from ops.sources.sqlite.source import SqliteOptions, SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store

SOURCES: Final[dict[str, tuple[type[Any], Callable[[str, Any], Source]]]] = {
    EventLogSource.kind: (EventLogOptions, EventLogSource),
    PostgresSource.kind: (PostgresOptions, PostgresSource),
    SqliteSource.kind: (SqliteOptions, SqliteSource),
}
"""Kind -> (options type, driver)."""

STORES: Final[dict[str, tuple[type[Any], Callable[[str, Any], Store]]]] = {
    LocalStore.kind: (LocalOptions, LocalStore),
    S3Store.kind: (S3Options, S3Store),
}
"""Kind -> (options type, driver)."""

CIPHERS: Final[dict[str, tuple[type[Any], Callable[[str, Any], Cipher]]]] = {
    AgeCipher.kind: (AgeOptions, AgeCipher),
    GpgCipher.kind: (GpgOptions, GpgCipher),
    OpensslCipher.kind: (OpensslOptions, OpensslCipher),
}
"""Kind -> (options type, driver)."""
