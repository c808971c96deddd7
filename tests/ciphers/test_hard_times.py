"""What is left, and what can be seen, when things are killed, interrupted, full or watched."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.errors import OpsError, SpaceError
from ops.fsio.scratch import SCRATCH_PREFIX, remove_stale_scratch
from ops.run.progress import Progress
from tests.ciphers.keyrings import Case, passphrase_case
from tests.contracts.test_ciphers import CANARY, plain_file, seal, traces

pytestmark = [pytest.mark.alone, pytest.mark.long]

OPERATION = Path(__file__).with_name("operation.py")
PROJECT = Path(__file__).parents[2]
MUCH = CANARY * (1 << 20)
only_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


class Striking:
    """A listener that does something as soon as the first bytes have come out."""

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike
        self._struck = False

    def step(self, what: str, total: int | None = None) -> None:
        """Begins."""

    def advance(self, count: int) -> None:
        """Strikes once."""
        if not self._struck:
            self._struck = True
            self._strike()


STRANGERS: set[int] = set()
"""Children that were there before the test: servers of other tests."""


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """Leaves alone, and does not count, what other tests keep running."""
    STRANGERS.update(children())
    yield
    STRANGERS.clear()


def children() -> list[int]:
    """The processes that this one has started in this test, without those that have ended."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        # Threads and processes come and go while we look.
        with contextlib.suppress(OSError):
            pids = (task / "children").read_text().split()
            found += [int(pid) for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [pid for pid in found if pid not in STRANGERS]


def strikes() -> dict[str, Callable[[], None]]:
    """What can happen in the middle."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    def kill_the_program() -> None:
        for pid in children():
            os.kill(pid, signal.SIGKILL)

    def fill_the_disk() -> None:
        raise OSError(28, "No space left on device")

    return {"interrupt": interrupt, "kill": kill_the_program, "full": fill_the_disk}


@only_linux
@pytest.mark.parametrize("what", ["interrupt", "kill", "full"])
def test_struck_in_the_middle(case: Case, tmp_path: Path, temporary: Path, what: str) -> None:
    """After Ctrl-C, a killed program, a full disk: no sealed file, no plain text, no process is left."""
    sealed, known = seal(case, tmp_path, MUCH)
    plain = plain_file(tmp_path, MUCH)
    into = tmp_path / "into" / "opened"
    listener: Progress = Striking(strikes()[what])
    with pytest.raises((OpsError, KeyboardInterrupt)) as caught:
        case.cipher.seal(plain, tmp_path / "again", listener)
    assert not (tmp_path / "again").exists()
    assert what != "full" or isinstance(caught.value, SpaceError)
    plain.unlink()
    listener = Striking(strikes()[what])
    with contextlib.suppress(OpsError, KeyboardInterrupt):
        case.cipher.unseal(sealed, into, known, listener)
        # The program may have been done before it was killed.
        assert what == "kill"
        into.unlink()
    assert list(into.parent.iterdir()) == []
    assert traces(tmp_path) == traces(temporary) == []
    assert children() == []


def test_sigterm(case: Case, tmp_path: Path) -> None:
    """A SIGTERM whose handler raises, as ours does, leaves nothing, whenever it comes."""

    def end(*_: object) -> None:
        raise SystemExit(143)

    sealed, known = seal(case, tmp_path, MUCH)
    before = signal.signal(signal.SIGTERM, end)
    try:
        for delay in (0.0, 0.01, random.uniform(0, 0.1)):
            timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM))
            with contextlib.suppress(SystemExit):
                timer.start()
                case.cipher.unseal(sealed, tmp_path / "into" / "opened", known)
                timer.join()
                (tmp_path / "into" / "opened").unlink()
            with contextlib.suppress(SystemExit):
                timer.join()
            (tmp_path / "into" / "opened").unlink(missing_ok=True)
            assert traces(tmp_path) == []
    finally:
        signal.signal(signal.SIGTERM, before)
        # A descriptor that was opened in the very moment is closed as garbage, and no other test answers for that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def test_a_name_that_is_taken_meanwhile(case: Case, tmp_path: Path) -> None:
    """What somebody else puts in the place of the target during the work stays; ours is gone."""
    sealed, known = seal(case, tmp_path, MUCH)
    into = tmp_path / "into" / "opened"

    def take() -> None:
        into.write_bytes(b"theirs")

    with pytest.raises(OpsError) as caught:
        case.cipher.unseal(sealed, into, known, Striking(take))
    assert caught.value.code == "refused.name_taken"
    assert into.read_bytes() == b"theirs"
    assert list(into.parent.iterdir()) == [into]


def test_side_by_side(case: Case, tmp_path: Path, temporary: Path) -> None:
    """Several threads seal and open in the same folders at once; none sweeps what is another's."""

    def work(number: int) -> bytes:
        content = os.urandom(1 << 18)
        plain, sealed, into = (tmp_path / f"{name}-{number}" for name in ("p", "s", "o"))
        plain.write_bytes(content)
        known = case.cipher.seal(plain, sealed)
        case.cipher.unseal(sealed, into, known)
        assert into.read_bytes() == content
        return content

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(8)))) == 8
    assert list(temporary.iterdir()) == []


@contextlib.contextmanager
def operation(case: Case, verb: str, given: Path, into: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that is about to seal or to open."""
    arguments = [case.sort, verb, str(given), str(into), case.recipient or "-", str(case.key)]
    with subprocess.Popen(
        [sys.executable, OPERATION, *arguments], cwd=PROJECT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_killed_outright(case: Case, tmp_path: Path, temporary: Path) -> None:
    """After SIGKILL plain text lies only in a scratch folder, and the next run there removes it."""
    sealed, _ = seal(case, tmp_path, MUCH)
    into = tmp_path / "into" / "opened"
    for delay in (0.02, random.uniform(0.05, 0.3)):
        with operation(case, "unseal", sealed, into) as process:
            time.sleep(delay)
            process.kill()
            process.wait()
        into.unlink(missing_ok=True)  # it had ended before
        assert all(any(part.startswith(SCRATCH_PREFIX) for part in path.parts) for path in traces(tmp_path))
        assert traces(temporary) == []
    time.sleep(0.2)
    remove_stale_scratch(into.parent)
    assert traces(tmp_path) == []


@only_linux
def test_a_killed_run_seals_no_half(case: Case, tmp_path: Path) -> None:
    """What a killed sealing leaves never opens as if it were whole."""
    plain = plain_file(tmp_path, MUCH)
    for delay in (0.03, 0.08):
        with operation(case, "seal", plain, tmp_path / "half") as process:
            time.sleep(delay)
            process.kill()
            process.wait()
        if case.cipher.authenticated and (tmp_path / "half").exists():
            with contextlib.suppress(OpsError):
                case.cipher.unseal(tmp_path / "half", tmp_path / "opened")
                assert (tmp_path / "opened").read_bytes() == MUCH
                (tmp_path / "opened").unlink()
        (tmp_path / "half").unlink(missing_ok=True)


def watch(stop: threading.Event, seen: set[bytes]) -> None:
    """Collect arguments and environments of our children until told to stop."""
    while not stop.is_set():
        for pid in children():
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    seen.add(Path(f"/proc/{pid}/{name}").read_bytes())


@only_linux
def test_secrets_are_not_seen(
    case: Case, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret is in an argument or the environment of a program, nor in a file, while it works."""
    monkeypatch.setenv("ESCROW_SECRET", case.canary.decode())
    stop, seen = threading.Event(), set[bytes]()
    watcher = threading.Thread(target=watch, args=(stop, seen))
    watcher.start()
    try:
        for _ in range(3):
            sealed, known = seal(case, tmp_path, CANARY * 100_000)
            case.cipher.unseal(sealed, tmp_path / "opened", known)
            (tmp_path / "opened").unlink()
    finally:
        stop.set()
        watcher.join()
    assert any(b"LC_ALL=C" in content for content in seen), "nothing was watched"
    assert not any(case.canary in content for content in seen)
    assert case.canary not in repr(case.cipher).encode()
    assert list(temporary.iterdir()) == []


@pytest.mark.faults_long
@pytest.mark.parametrize("verb", ["seal", "unseal"])
def test_memory_is_flat(case: Case, tmp_path: Path, verb: str) -> None:
    """Two hundred megabytes pass without our process growing by more than thirty."""
    plain = tmp_path / "large"
    with plain.open("wb") as file:
        file.truncate(200 << 20)
    given = plain
    if verb == "unseal":
        given = tmp_path / "sealed"
        case.cipher.seal(plain, given)
        plain.unlink()
    if not case.cipher.authenticated and verb == "unseal":
        pytest.skip("is never opened without digests; what it does is the same")
    with operation(case, verb, given, tmp_path / "into") as process:
        assert process.stdout is not None
        grown_kib = int(process.stdout.readline())
    assert grown_kib < 30 << 10


@pytest.mark.parametrize("sort", ["gpg-passphrase", "openssl"])
@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 1001, "nul\0"])
def test_passphrases_that_would_be_cut(tmp_path: Path, sort: str, text: str) -> None:
    """A passphrase that a program would silently shorten is refused, and not shown."""
    case = passphrase_case(sort, tmp_path)
    case.key.write_text(f"{text}\n")
    with pytest.raises(OpsError) as caught:
        case.cipher.seal(plain_file(tmp_path, b"x"), tmp_path / "sealed")
    assert caught.value.code == "config.secret_unavailable"
    assert "two" not in caught.value.message
    assert not (tmp_path / "sealed").exists()
