"""A mark tells whether the process that wrote it is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ops.fsio.writer_marks import Writer
from tests.dead import ELSEWHERE, gone

pytestmark = pytest.mark.alone


def test_a_mark_is_read_as_it_was_written() -> None:
    """The text of a mark means the same process again."""
    assert Writer.parse(str(Writer.here())) == Writer.here()
    assert Writer.here().pid == os.getpid()


@pytest.mark.parametrize(
    "text", ["", "x", "0badcafe-1", "0badcafe-1-2-3", "0BADCAFE-1-2", "0badcafe-1-x", "0badcafe--1-2"]
)
def test_other_texts_are_no_marks(text: str) -> None:
    """What does not have the form of a mark is none."""
    assert Writer.parse(text) is None


def test_who_lives() -> None:
    """We live; who had our number before us, and a child that was waited for, are gone; of strangers nothing is known."""
    assert Writer.here().is_gone is False
    assert gone().is_gone is True
    assert ELSEWHERE.is_gone is None
    assert Writer("00000000", os.getpid(), 1).is_gone is None
    script = "from ops.fsio.writer_marks import Writer; print(Writer.here(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        mark = Writer.parse(child.stdout.readline().strip())
        assert mark is not None
        assert mark.is_gone is False
        child.communicate("")
    assert mark.is_gone is True


def test_a_process_that_was_killed_and_not_waited_for_is_gone() -> None:
    """A zombie writes nothing any more."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    from ops.fsio.process_marks import process_start

    started = process_start(child.pid)
    assert started is not None
    mark = Writer(Writer.here().system, child.pid, started)
    assert mark.is_gone is False
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert mark.is_gone is True
    child.communicate()
