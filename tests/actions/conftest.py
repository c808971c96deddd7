"""The key that the tests of the actions seal for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.keys import Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """The key in escrow."""
    return Keys(tmp_path, "escrow")
