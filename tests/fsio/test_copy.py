from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ops.fsio import copy as copying
from ops.fsio.copy import ShortSourceError, copy_with_sha256, sha256_of

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("size", [0, 1, 4096, copying.CHUNK - 1, copying.CHUNK, copying.CHUNK + 1])
@pytest.mark.parametrize("kernel", [True, False])
def test_copy_is_equal_and_hashed(
    tmp_path: Path, size: int, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied by the kernel or through memory: the same bytes, and their digest."""
    if not kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    with source.open("rb") as one, target.open("w+b") as other:
        digest = copy_with_sha256(one.fileno(), other.fileno(), size)
        assert sha256_of(other.fileno()) == (digest, size)
    assert target.read_bytes() == source.read_bytes()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()


def test_file_systems_that_can_not_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel says that it cannot copy between two file systems, memory does."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "cross-device")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    with (tmp_path / "a").open("rb") as one, (tmp_path / "b").open("w+b") as other:
        copy_with_sha256(one.fileno(), other.fileno(), 100_000)
    assert (tmp_path / "b").read_bytes() == b"x" * 100_000


def test_disk_error_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is an error of the copy, never a short file with a digest."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "copy_file_range", fail)
    (tmp_path / "a").write_bytes(b"x" * 100)
    with (
        (tmp_path / "a").open("rb") as one,
        (tmp_path / "b").open("w+b") as other,
        pytest.raises(OSError, match="bad sector"),
    ):
        copy_with_sha256(one.fileno(), other.fileno(), 100)


def test_short_source(tmp_path: Path) -> None:
    """A source that ends before its promised size is an error."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    with (
        (tmp_path / "a").open("rb") as one,
        (tmp_path / "b").open("w+b") as other,
        pytest.raises(ShortSourceError),
    ):
        copy_with_sha256(one.fileno(), other.fileno(), 200)


def test_amended_parts_are_hashed(tmp_path: Path) -> None:
    """What `amend` writes is in the copy and in its digest, also beyond the end of the source."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    with (tmp_path / "a").open("rb") as one, (tmp_path / "b").open("w+b") as other:

        def amend(_offset: int, _length: int) -> None:
            os.pwrite(other.fileno(), b"y" * 50, 150)

        digest = copy_with_sha256(one.fileno(), other.fileno(), 200, amend=amend)
    content = b"x" * 100 + b"\0" * 50 + b"y" * 50
    assert (tmp_path / "b").read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
