"""What is staged in folders of other people: only our own leftovers are removed, and only of the dead."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from ops.fsio.atomic import publish, write_all
from ops.fsio.leftovers import (
    FolderClock,
    Leftover,
    is_marked_by_us,
    leftover_at,
    marked_name,
    name_in_mark,
    staged_beside,
)
from tests.dead import ELSEWHERE, dead_name

pytestmark = pytest.mark.alone


def test_a_mark_keeps_the_name() -> None:
    """What a staged file is to be called can be read from its name; another program's name has none."""
    assert name_in_mark(marked_name("a.csv")) == "a.csv"
    assert is_marked_by_us(marked_name("a.csv"))
    assert marked_name("a.csv") != marked_name("a.csv")
    for other in (".tmp-a.csv", "a.csv", ".tmp-a.csv.drillbook-x", ".tmp-.drillbook-0badcafe-1-2-3"):
        assert name_in_mark(other) is None
    assert not is_marked_by_us(dead_name("a.csv", ELSEWHERE))


def test_others_files_stay(tmp_path: Path) -> None:
    """Of all that begins with .tmp- only what a dead run of ours left of this very name goes."""
    stay = [".tmp-a.csv", dead_name("a.csv", ELSEWHERE), dead_name("b.csv")]
    goes = dead_name("a.csv")
    for name in (*stay, goes):
        (tmp_path / name).write_bytes(b"x")
    with staged_beside(tmp_path, "a.csv") as staged:
        write_all(staged, b"new")
        publish(staged.path, tmp_path / "a.csv")
    assert {path.name for path in tmp_path.iterdir()} == {*stay, "a.csv"}
    assert (tmp_path / "a.csv").read_bytes() == b"new"


def test_looking_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that wants its own file's lock is never refused because of a look at what is left."""
    asked: list[int] = []
    really = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        asked.append(operation)
        really(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / ".tmp-theirs").write_bytes(b"123")
    found = leftover_at(tmp_path / ".tmp-theirs", FolderClock(tmp_path))
    assert found == Leftover(".tmp-theirs", 3, ours=False)
    assert not [operation for operation in asked if operation & fcntl.LOCK_EX]
