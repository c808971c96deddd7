"""Whose a backup is, in a bucket: the same as in a folder."""

from __future__ import annotations

import pytest

from ops.ports.store import Store
from tests.actions.test_series import (
    TestVersionOne,
    site,
    test_a_declared_series_is_one_on_all_machines,
    test_thirty_nights_of_two_machines,
)
from tests.stores.conftest import NewStore

__all__ = [
    "TestVersionOne",
    "site",
    "test_a_declared_series_is_one_on_all_machines",
    "test_thirty_nights_of_two_machines",
]


@pytest.fixture
def store(new_store: NewStore) -> Store:
    """A bucket of a real server, in the place of the stores that those tests have."""
    return new_store()
