from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from ops.fsio.atomic import STAGED_PREFIX
from ops.fsio.user_cache import cache_folder, read_cached, write_cached

pytestmark = pytest.mark.alone


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where something was kept."""
    path = tmp_path / "cache" / "drillbook" / "x"
    write_cached(path, [b"what ", b"was ", b"kept"])
    return path


def kept(path: Path) -> bytes | None:
    """What can be read back."""
    content = read_cached(path)
    return None if content is None else bytes(content)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/drillbook"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/drillbook"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/drillbook"),
        ({"HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_where_it_is(environment: dict[str, str], expected: str | None) -> None:
    """The place is the one of the XDG specification, and none where the environment names none."""
    assert cache_folder(environment) == (None if expected is None else Path(expected))


def test_what_is_kept_comes_back(path: Path) -> None:
    """What was written is read, from a private file in a private folder, and is replaced whole."""
    assert kept(path) == b"what was kept"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    write_cached(path, [b"other"])
    assert kept(path) == b"other"
    assert os.listdir(path.parent) == ["x"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "longer", "empty"])
def test_damage_is_nothing(path: Path, damage: str) -> None:
    """A file that is not byte for byte what was written is as if there were none."""
    content = path.read_bytes()
    flipped = content[:40] + bytes([content[40] ^ 1]) + content[41:]
    path.write_bytes(
        {"cut": content[:-1], "flipped": flipped, "longer": content + b"x", "empty": b""}[damage]
    )
    assert kept(path) is None


def test_what_others_could_have_written_is_nothing(path: Path, tmp_path: Path) -> None:
    """A file or folder that others may write, and a link, are not read; into such a folder nothing is written."""
    path.chmod(0o620)
    assert kept(path) is None
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert kept(path) is None
    write_cached(path, [b"new"])
    path.parent.chmod(0o700)
    assert kept(path) == b"what was kept"
    link = path.with_name("link")
    link.symlink_to(path)
    assert kept(link) is None


@pytest.mark.needs_root
def test_another_users_is_nothing(path: Path) -> None:
    """A file or folder of somebody else is neither read nor written."""
    os.chown(path, 65534, 65534)
    assert kept(path) is None
    os.chown(path, 0, 0)
    os.chown(path.parent, 65534, 65534)
    assert kept(path) is None
    write_cached(path, [b"new"])
    os.chown(path.parent, 0, 0)
    assert kept(path) == b"what was kept"


def test_no_place_is_no_failure(tmp_path: Path) -> None:
    """Where the folder cannot be made, or a folder has the file's name, nothing is kept and nothing fails."""
    (tmp_path / "file").touch()
    write_cached(tmp_path / "file" / "drillbook" / "x", [b"new"])
    assert kept(tmp_path / "file" / "drillbook" / "x") is None
    (tmp_path / "own" / "x").mkdir(parents=True, mode=0o700)
    (tmp_path / "own").chmod(0o700)
    write_cached(tmp_path / "own" / "x", [b"new"])
    assert kept(tmp_path / "own" / "x") is None
    assert os.listdir(tmp_path / "own") == ["x"]


@pytest.mark.needs_root
def test_a_folder_that_can_not_be_written() -> None:
    """Without the right to write what was kept stays, and nothing fails."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "x")
        write_cached(path, [b"what was kept"])
        path.parent.chmod(0o500)
        for name in (path, path.parent):
            os.chown(name, 65534, 65534)
        os.seteuid(65534)
        try:
            write_cached(path, [b"new"])
            assert kept(path) == b"what was kept"
        finally:
            os.seteuid(0)


def test_a_killed_writer_is_in_nobodys_way(path: Path) -> None:
    """What a dead process left half written is replaced by the next one."""
    path.with_name(f"{STAGED_PREFIX}x").write_bytes(b"half")
    write_cached(path, [b"new"])
    assert kept(path) == b"new"
    assert os.listdir(path.parent) == ["x"]
