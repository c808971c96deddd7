"""The list of mutations speaks of what is there: each text is in its file, and each test that must notice exists."""

from __future__ import annotations

import pytest

from tests.mutate import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.file)
def test_it_is_up_to_date(mutation: Mutation) -> None:
    """Code that moved takes its mutations along, or `nox -s mutations` would end at the first that is stale."""
    assert mutation.old in (ROOT / mutation.file).read_text()
    assert mutation.old != mutation.new
    assert all((ROOT / place).exists() for place in mutation.tests.split())
