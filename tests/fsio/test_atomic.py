"""Staged files are gone whenever their writer ends in order."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ops.fsio.atomic import StagedFile, staged_file, staged_folder

pytestmark = pytest.mark.alone


class Ended(Exception):  # noqa: N818 - what a signal raises
    """Stands for the end of a task."""


@pytest.mark.parametrize("staging", [staged_file, staged_folder])
def test_a_signal_while_it_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    staging: Callable[[Path, str], AbstractContextManager[StagedFile]],
) -> None:
    """A signal that comes between the creation of a staged file and its use leaves nothing behind."""
    really = fcntl.flock

    def signalled(descriptor: int, operation: int) -> None:
        really(descriptor, operation)
        os.kill(os.getpid(), signal.SIGTERM)

    def end(*_: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        monkeypatch.setattr(fcntl, "flock", signalled)
        with pytest.raises(Ended), staging(tmp_path, "name"):
            pytest.fail("the signal was not heard")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(tmp_path.iterdir()) == []
