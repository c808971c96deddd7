"""The watch itself: what leaks on purpose is noticed, whichever way it leaks."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.secrets.planted import Canaries, plant
from tests.secrets.watching import Watch, prepare_records, program_of, recorded, recorder

pytestmark = pytest.mark.long


@pytest.fixture
def canaries() -> Canaries:
    """Planted secrets."""
    return plant()


def watched(
    canaries: Canaries, folder: Path, script: str, *argv: str, until: Callable[[Watch], object]
) -> Watch:
    """What is seen of a child that runs `script`, once that is what is waited for, or a minute is over."""
    environment = {"SECRET": canaries["of-nobody"], "PATH": "/usr/bin:/bin"}
    with Watch(folder, canaries) as watch:
        argv = (sys.executable, "-c", f"import os, subprocess, sys; {script}", *argv)
        with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE) as process:
            watch.roots.add(process.pid)
            deadline = time.monotonic() + 60
            while not until(watch) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            # All that it has started reads the same pipe, and ends with it.
            process.communicate()
    return watch


def test_a_secret_in_an_argument(canaries: Canaries, tmp_path: Path) -> None:
    """A grandchild with a secret among its arguments is seen, under its name."""
    secret = canaries["of-nobody"]
    script = "subprocess.run(['sh', '-c', '/bin/cat - $0; :', sys.argv[1]], env={})"

    def leaks(watch: Watch) -> set[str]:
        return {one.program for one in watch.started if canaries.found_in(one.cmdline)}

    watch = watched(canaries, tmp_path, script, secret, until=lambda watch: "cat" in leaks(watch))
    assert leaks(watch) == {"cat"}


def test_a_secret_in_an_environment(canaries: Canaries, tmp_path: Path) -> None:
    """A child that was given a secret in its environment is seen; one that was not, is not taken for one."""

    def leaks(watch: Watch) -> set[str]:
        return {one.program for one in watch.started if canaries.found_in(one.environ)}

    leaking = "subprocess.run(['/bin/cat'], env={'TOKEN': os.environ['SECRET']})"
    assert leaks(watched(canaries, tmp_path, leaking, until=leaks)) == {"cat"}
    tight = "subprocess.run(['/bin/cat'], env={'TOKEN': 'none'})"
    assert leaks(watched(canaries, tmp_path, tight, until=lambda watch: watch.started)) == set()


@pytest.mark.parametrize(("mode", "private"), [(0o600, True), (0o640, False)])
def test_a_secret_in_a_file(canaries: Canaries, tmp_path: Path, mode: int, private: bool) -> None:
    """A temporary file with a secret is seen, with its name and whether others could read it."""
    tmp_path.chmod(0o700)
    opened = f"os.open('{tmp_path}/x', os.O_WRONLY | os.O_CREAT, {mode})"
    script = f"os.umask(0); os.write({opened}, os.environb[b'SECRET']); sys.stdin.read()"
    watch = watched(canaries, tmp_path, script, until=lambda watch: watch.files)
    assert {(seen.path.name, seen.secret, seen.private) for seen in watch.files} == {
        ("x", "of-nobody", private)
    }


def test_the_shortest_life_is_recorded(canaries: Canaries, tmp_path: Path) -> None:
    """A recorder writes down arguments and environment of a program that is gone at once, and passes all on to it."""
    records, secret = tmp_path / "records", canaries["of-nobody"]
    records.mkdir()
    prepare_records(records)
    program = recorder(tmp_path, "quick", "exec /bin/echo", records)
    said = subprocess.run([program, "-a b", ""], env={"TOKEN": secret}, capture_output=True, check=True)
    assert said.stdout == b"-a b \n"
    (started,) = recorded(records)
    assert started.program == "quick"
    assert started.cmdline.endswith(b"/quick\0-a b\0\0")
    assert canaries.found_in(started.environ) == {"of-nobody"}
    assert canaries.found_in(started.cmdline) == set()


def test_secrets_are_found_in_disguise(canaries: Canaries) -> None:
    """In the middle of bytes, and in Base64 wherever it begins; a part of one is none."""
    secret = canaries["s3-env"]
    for before in (b"", b"x", b"xx", b"xxx"):
        assert canaries.found_in(before + secret.encode() + b"y") == {"s3-env"}
        assert canaries.found_in(base64.b64encode(before + secret.encode() + b":y")) == {"s3-env"}
    assert canaries.found_in(secret[:-1].encode()) == set()


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (("/usr/bin/pg_dump", "-Fd"), "pg_dump"),
        (("/bin/sh", "/x/bin/gpg", "--decrypt"), "gpg"),
        (("unshare", "--user", "--map-user=1", "--", "/x/initdb"), "initdb"),
        (("postgres: checkpointer", ""), "postgres"),
        (("sh", "-c", '"/x/pg_dump" -V'), "pg_dump"),
        (("sh", "-c", "read line\necho"), "sh"),
        (("/x/python", "-I", "/x/pyrage_filter.py", "seal"), "age-library"),
    ],
)
def test_programs_are_told_apart(words: tuple[str, ...], program: str) -> None:
    """A command line is that of the program that it is about, not of a shell or prefix."""
    assert program_of("\0".join(words).encode() + b"\0") == program
