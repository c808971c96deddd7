"""The check of a store that operators run: all promises on stores that keep them, and each break seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import StoreError
from ops.model.findings import Severity
from ops.ports.store import Store
from ops.repository.check_store import check_store
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.stores.conftest import NewStore


@pytest.mark.parametrize("kind", ["local", "memory", "s3"])
def test_our_stores_keep_their_promises(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, job: Job
) -> None:
    """Each promise has a finding that says it is kept, and nothing is left."""
    store: Store = MemoryStore()
    if kind == "s3":
        make: NewStore = request.getfixturevalue("new_store")
        store = make()
    elif kind == "local":
        store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    findings = check_store(store, job)
    assert {(finding.severity, finding.code) for finding in findings} == {(Severity.OK, "promise.kept")}
    assert len({finding.message for finding in findings}) == 9
    assert list(store.list()) == []


class _Replacing(MemoryStore):
    """A store that overwrites."""

    def put(self, key: str, file: Path) -> None:
        """Forget what was there."""
        self.delete(key)
        super().put(key, file)


class _Kept(MemoryStore):
    """A store that removes nothing."""

    def delete(self, key: str) -> None:
        """Refuse."""
        message = "not allowed"
        raise StoreError(message, code="store.refused")


class _Deaf(MemoryStore):
    """A store that forgets nothing when told to, and says nothing."""

    def delete(self, key: str) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("make", "code", "word"),
    [
        (_Replacing, "promise.broken", "written once"),
        (_Kept, "promise.left_behind", "drillbook-check-"),
        (_Deaf, "promise.broken", "removed is gone"),
    ],
)
def test_what_is_not_kept_is_said(make: Callable[[], Store], code: str, word: str, job: Job) -> None:
    """A store that overwrites, one that may not remove, one that does not remove: each has its finding."""
    found = [finding for finding in check_store(make(), job) if finding.severity is not Severity.OK]
    assert any(finding.code == code and word in finding.message for finding in found)
    assert all(finding.expected and finding.found for finding in found if finding.code == "promise.broken")
