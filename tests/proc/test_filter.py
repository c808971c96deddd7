"""Programs as filters: what passes, what does not, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from ops.errors import OpsError
from ops.proc import filter as filters

pytestmark = [pytest.mark.alone, pytest.mark.long]

SECRET = "-canary '\"\\ %$:@/ ação"


def test_a_passphrase_is_blacked_out(tmp_path: Path) -> None:
    """A program that repeats its secret on standard error does not bring it into our messages."""
    with (tmp_path / "out").open("wb") as target, Path(os.devnull).open("rb") as source:
        argv = ("sh", "-c", f"cat /dev/fd/{filters.SECRET_HERE} >&2")
        filter_ = filters.Filter(argv, {"PATH": os.defpath}, SECRET.encode())
        ended = filters.run_filter(filter_, source.fileno(), target.fileno(), measured=True)
    assert ended.said == "…"
    assert SECRET not in repr(filter_)


def run_shell(
    script: str, source: IO[bytes], target: IO[bytes], limit: int | None = None
) -> filters.Filtered:
    """A shell script as a filter."""
    filter_ = filters.Filter(("sh", "-c", script), {"PATH": os.defpath})
    return filters.run_filter(filter_, source.fileno(), target.fileno(), measured=True, limit=limit)


def test_filters_that_do_not_read(tmp_path: Path) -> None:
    """A program that ends well without reading everything has not sealed everything; one that fails says why."""
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(8 << 20))
    with plain.open("rb") as source, (tmp_path / "out").open("wb") as target:
        with pytest.raises(OpsError, match="before it had read all"):
            run_shell("exec true", source, target)
        assert run_shell("echo no >&2; exit 3", source, target).exit_code == 3
        with pytest.raises(filters.OverrunError):
            run_shell("cat", source, target, limit=10)


def test_a_filter_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that puts nothing out for too long is ended, and named."""
    monkeypatch.setattr(filters, "_SILENCE_S", 0.3)
    with Path(os.devnull).open("rb") as source, (tmp_path / "out").open("wb") as target:
        with pytest.raises(OpsError, match="sh put nothing out"):
            run_shell("sleep 1000", source, target)
        with pytest.raises(OpsError, match="sh put nothing out"):
            run_shell("exec >&-; sleep 1000", source, target)


def test_an_input_that_can_not_be_read(tmp_path: Path) -> None:
    """A disk that fails while plain text is read makes no sealed file of the part before."""
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        filter_ = filters.Filter(("cat",), {"PATH": os.defpath})
        with (
            (tmp_path / "out").open("wb") as target,
            pytest.raises(OpsError, match="input of cat cannot be read: Is a directory"),
        ):
            filters.run_filter(filter_, folder, target.fileno(), measured=True)
    finally:
        os.close(folder)
