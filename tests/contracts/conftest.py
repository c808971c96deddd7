"""Fixtures of the tests of drivers, for the contracts that all drivers keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ciphers.conftest import case, rings
from tests.ciphers.keyrings import short_temporary
from tests.sources.postgres.conftest import fresh_database, pg15
from tests.stores.conftest import new_store, shared_bucket, weed

__all__ = ["case", "fresh_database", "new_store", "pg15", "rings", "shared_bucket", "weed"]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of the test alone, for those of ciphers."""
    with short_temporary(monkeypatch) as place:
        yield place
