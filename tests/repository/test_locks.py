"""The locks of a source in a folder: by place, and beside older programs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.errors import LockHeldError
from ops.fsio.locks import source_lock
from ops.model.series import Machine, Whose
from ops.repository.locks import held_lock, holder_of, in_use
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore

NOW = datetime(2026, 6, 30, tzinfo=UTC)
ONE = Whose(name="app", kind="sqlite", location="/srv/app.db", machine=Machine(host="one"))
OTHER = replace(ONE, machine=Machine(host="other"))


@pytest.fixture
def folder(tmp_path: Path) -> Repository:
    """A store that is a folder."""
    return Repository(store=LocalStore("l", LocalOptions(path=tmp_path / "store")))


def test_machines_with_one_name_do_not_wait(folder: Repository) -> None:
    """The same source name on two machines is two places: both work at once, and each has its own holder."""
    with held_lock(ONE, folder, 0, Job(job_id="a")):
        assert holder_of(OTHER, folder) is None
        with held_lock(OTHER, folder, 0, Job(job_id="b")):
            assert "(job b)" in str(holder_of(OTHER, folder))
            assert "(job a)" in str(holder_of(ONE, folder))
        with (
            pytest.raises(LockHeldError, match="source 'app' is locked: held by process"),
            held_lock(ONE, folder, 0, Job()),
        ):
            pytest.fail("two work on one place")


def test_who_is_at_work_is_shown(folder: Repository) -> None:
    """A listing of who works in the store names the source and the run, and nobody when there is none."""
    assert in_use(folder.store) == []
    with held_lock(ONE, folder, 0, Job(job_id="a")):
        (found,) = in_use(folder.store)
        assert (found.code, found.where) == ("store.in_use", "app")
        assert "(job a)" in found.message
    assert in_use(folder.store) == []


def test_an_older_program_stays_out(folder: Repository) -> None:
    """Who takes the lock of the name alone, as older programs do, is refused while anybody works on that name."""
    assert isinstance(folder.store, LocalStore)
    path = folder.store.lock_path("app")
    with (
        held_lock(ONE, folder, 0, Job()),
        held_lock(OTHER, folder, 0, Job()),
        pytest.raises(LockHeldError),
        source_lock(path, job_id="old", now=NOW),
    ):
        pytest.fail("the old one came in")
    with source_lock(path, job_id="old", now=NOW):
        assert "(job old)" in str(holder_of(ONE, folder))
        with pytest.raises(LockHeldError, match="job old"), held_lock(OTHER, folder, 0, Job()):
            pytest.fail("the old one was not seen")
