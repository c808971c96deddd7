"""Fixtures of the tests of actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.sources.sqlite import look
from ops.sources.sqlite import source as driver
from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import execute
from tests.sick import Case, Make


@pytest.fixture
def make(tmp_path: Path, store: LocalStore, scratch: Path) -> Make:
    """Makes a case of a script."""

    def made(script: str, *, wal: bool = True, foreign_keys: ForeignKeys = "check") -> Case:
        path = tmp_path / "live" / "sick.db"
        path.parent.mkdir()
        execute(path, f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}; {script}")
        return Case(SqliteSource("sick", SqliteOptions(path=path, foreign_keys=foreign_keys)), store, scratch)

    return made


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every database is too large to be looked at whole at every backup."""
    monkeypatch.setattr(look, "ALWAYS_UP_TO", 0)
    monkeypatch.setattr(driver, "ALWAYS_UP_TO", 0)
