"""The time limit that every test has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
HOOKS = """
from tests import conftest
conftest.AGAIN_S = 0.5
from tests.conftest import pytest_runtest_teardown, pytest_timeout_set_timer
"""
HANGING = """
import subprocess, time
import pytest
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
@pytest.fixture
def endless():
    yield
    time.sleep(1000)
def test_asleep():
    time.sleep(1000)
def test_waits_for_a_process_and_in_its_clean_up_again():
    with subprocess.Popen(["sleep", "60"], **QUIET) as process:
        process.wait()
def test_a_fixture(endless):
    pass
def test_a_fixture_after_a_failure(endless):
    assert False
def test_what_comes_after():
    pass
"""


def test_a_test_that_hangs_is_ended(tmp_path: Path) -> None:
    """A test that sleeps or waits longer than it may fails, in its clean-up and its fixtures, too; the next one runs."""
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_hanging.py").write_text(HANGING)
    limit = ("--timeout=1", "--timeout-method=signal")
    alone = ("-c", os.devnull, "-p", "no:randomly", "--rootdir", str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *alone, *limit, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert "3 failed, 2 passed, 2 errors" in ended.stdout.splitlines()[-1], ended.stdout
