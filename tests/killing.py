"""A program of the tests that is killed at a moment of one's choice, once it has said that it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def run_and_kill(script: Path, *arguments: str | Path, after_s: float | None) -> float:
    """Have the script begin, and kill it after `after_s` seconds (None: never, and it must end well); how long it ran.

    The script prints `ready`, waits for a line, does its work, and ends with exit code 0.
    """
    command: list[str | Path] = [sys.executable, script, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        started = time.monotonic()
        process.stdin.write(b"\n")
        process.stdin.flush()
        if after_s is None:
            assert process.stdout.readline()
        else:
            time.sleep(after_s)
            process.kill()
        elapsed = time.monotonic() - started
        process.communicate()
    assert after_s is not None or process.returncode == 0
    return elapsed
