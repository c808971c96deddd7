"""Which kinds, stores, ciphers and observers there are: one function each, which imports the driver only when it is needed.

mypy checks in those functions that each driver keeps its port, and import-linter sees what they import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from ops.ports.cipher import Cipher
from ops.ports.observer import Observer, Setting
from ops.ports.source import Source
from ops.ports.store import Store

Port = TypeVar("Port")
Driver: TypeAlias = tuple[type[Any], Callable[..., Port]]
"""The type of a driver's options, and the driver, made of a name and such options."""


class Kinds(Mapping[str, Driver[Port]]):
    """Drivers by kind. Only asking for one imports it: neither its name nor whether there is one does."""

    def __init__(self, imports: Mapping[str, Callable[[], Driver[Port]]]) -> None:
        self._imports = imports

    def __getitem__(self, kind: str) -> Driver[Port]:
        """The driver of that kind, imported now."""
        return self._imports[kind]()

    def __contains__(self, kind: object) -> bool:
        # Mapping's own asks for the driver, to see whether that fails.
        return kind in self._imports

    def __iter__(self) -> Iterator[str]:
        """The kinds, in the order of their names."""
        return iter(self._imports)

    def __len__(self) -> int:
        return len(self._imports)


def _eventlog() -> Driver[Source]:
    from ops.sources.eventlog.options import EventLogOptions
    from ops.sources.eventlog.source import EventLogSource

    return EventLogOptions, EventLogSource


def _postgres() -> Driver[Source]:
    from ops.sources.postgres.options import PostgresOptions
    from ops.sources.postgres.source import PostgresSource

    return PostgresOptions, PostgresSource


def _sqlite() -> Driver[Source]:
    from ops.sources.sqlite.options import SqliteOptions
    from ops.sources.sqlite.source import SqliteSource

    return SqliteOptions, SqliteSource


def _local() -> Driver[Store]:
    from ops.stores.local.store import LocalOptions, LocalStore

    return LocalOptions, LocalStore


def _s3() -> Driver[Store]:
    from ops.stores.s3.options import S3Options
    from ops.stores.s3.store import S3Store

    return S3Options, S3Store


def _age() -> Driver[Cipher]:
    from ops.ciphers.age.driver import AgeCipher
    from ops.ciphers.age.keys import AgeOptions

    return AgeOptions, AgeCipher


def _gpg() -> Driver[Cipher]:
    from ops.ciphers.gpg.driver import GpgCipher, GpgOptions

    return GpgOptions, GpgCipher


def _openssl() -> Driver[Cipher]:
    from ops.ciphers.openssl import OpensslCipher, OpensslOptions

    return OpensslOptions, OpensslCipher


SOURCES: Final = Kinds({"eventlog": _eventlog, "postgres": _postgres, "sqlite": _sqlite})
STORES: Final = Kinds({"local": _local, "s3": _s3})
CIPHERS: Final = Kinds({"age": _age, "gpg": _gpg, "openssl": _openssl})


def _json_log(setting: Setting) -> Observer | None:
    from ops.observers.json_log import json_log

    return json_log(setting)


def _terminal(setting: Setting) -> Observer | None:
    from ops.observers.terminal import terminal

    return terminal(setting)


OBSERVERS: Final[dict[str, Callable[[Setting], Observer | None]]] = {
    "json_log": _json_log,
    "terminal": _terminal,
}
"""Each makes an observer for a run, or None where it has nothing to do in this one."""
