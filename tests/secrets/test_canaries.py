"""A secret in every place where one can be given, all that the program does, and then: where are they?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.containers import wait_for
from tests.secrets import runs
from tests.secrets.place import Place
from tests.secrets.watching import OURS, Started, passfile_modes, recorded

pytestmark = pytest.mark.long

_LIBPQ: Final = frozenset({"postgres-variable"})
_BOXED: Final = frozenset({"postgres-boxed"})
_NOTHING: Final = frozenset[str]()
MAY_KNOW: Final[Mapping[str, frozenset[str] | None]] = {
    # Ask a server for something: libpq reads PGPASSWORD for itself; in a container it is the way in.
    "pg_dump": _LIBPQ | _BOXED,
    "pg_dumpall": _LIBPQ | _BOXED,
    "psql": _BOXED,
    # Work on files and on servers of ours, look at themselves, or serve.
    "initdb": _NOTHING,
    "pg_config": _NOTHING,
    "pg_restore": _NOTHING,
    "postgres": _NOTHING,
    # Get theirs through a pipe.
    "age": _NOTHING,
    "age-library": _NOTHING,
    "gpg": _NOTHING,
    "gpgconf": _NOTHING,
    "openssl": _NOTHING,
    # Hands the password on, and gets what nobody knows to be a secret: a compose file may need it.
    "engine": _BOXED | {"of-nobody"},
    # The operator's own: of an assertion, which learns nothing; and those that fetch secrets and may need any.
    "probe": _NOTHING,
    "tell": None,
    "spill": None,
}
"""Program -> the secrets that its environment may hold; None: any. All others, such as gpg's agent, may know none."""


@pytest.fixture(scope="module")
def used(place: Place) -> Place:
    """The machine after all of that was done on it."""
    runs.take_backups(place)
    runs.look_at_them(place)
    runs.keep_house(place)
    runs.use_wrong_secrets(place)
    runs.take_them_away(place)
    return place


def started(place: Place) -> Iterator[Started]:
    """All programs that were started, as often as they were seen."""
    yield from recorded(place / "records")
    yield from (one for one in place.watch.started if one.program not in OURS)


def told_too_much(place: Place) -> set[tuple[str, str]]:
    """Programs with a secret in their environment that they need not know, and which secret."""
    return {
        (one.program, secret)
        for one in started(place)
        if (allowed := MAY_KNOW.get(one.program, _NOTHING)) is not None
        for secret in place.canaries.found_in(one.environ) - allowed
    }


def files_with_secrets(place: Place, folder: Path) -> dict[Path, set[str]]:
    """The files below `folder` in which a secret stands, also in their names."""
    found = {
        path: place.canaries.found_in(os.fsencode(path) + (path.read_bytes() if path.is_file() else b""))
        for path in folder.rglob("*")
    }
    return {path: names for path, names in found.items() if names}


def test_every_run_did_what_it_is_for(used: Place) -> None:
    """The secrets were really used: what should work worked, and what should fail failed."""
    wrong = [one for one in used.runs if one.code != one.expected]
    assert wrong == []
    assert {one.program for one in started(used)} >= MAY_KNOW.keys()


def test_no_argument_holds_a_secret(used: Place) -> None:
    """No program was ever started with a secret among its arguments, and none put one there."""
    assert {one.program for one in started(used) if used.canaries.found_in(one.cmdline)} == set()


def test_no_program_knows_what_it_need_not_know(used: Place) -> None:
    """Each program has in its environment the secrets that the table allows, and no other."""
    assert told_too_much(used) == set()


def test_nothing_that_is_said_holds_a_secret(used: Place) -> None:
    """Results, errors, JSON, debug output, progress, the log, JUnit: no secret stands in any."""
    said = [(one.arguments, f"{one.stdout}{one.stderr}") for one in used.runs]
    assert [arguments for arguments, text in said if used.canaries.found_in(text.encode())] == []
    log = (used / "work/run.log").read_text()
    assert all(word in log for word in ("verify full", "drill", "restore", "source.refused"))
    assert used.canaries.found_in(log.encode()) == set()
    assert used.canaries.found_in((used / "work/junit.xml").read_bytes()) == set()


def test_nothing_that_is_stored_holds_a_secret(used: Place) -> None:
    """No secret is in payloads, sealed or plain, manifests, evidence and pins, in folders and in the bucket."""
    configurations = {path for path in (used / "work").glob("*.toml") if path.name == "inlined.toml"}
    assert files_with_secrets(used, used / "work").keys() == configurations
    assert list((used / "work").glob("sealed-*/*.manifest.json"))
    client, stored = used.weed.client(), 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=used.bucket):
        for item in page["Contents"]:
            content = client.get_object(Bucket=used.bucket, Key=item["Key"])["Body"].read()
            assert used.canaries.found_in(item["Key"].encode() + content) == set(), item["Key"]
            stored += 1
    assert stored


def test_files_on_the_way(used: Place) -> None:
    """The one temporary file with a secret is a password file of libpq, for its owner alone, and gone afterwards."""
    assert {(seen.path.name, seen.private) for seen in used.watch.files} == {("pgpass", True)}
    ways = {"postgres-env", "postgres-file", "postgres-command", "wrong-password"}
    assert {seen.secret for seen in used.watch.files} <= ways
    assert passfile_modes(used / "records") == {"600\n700\n"}
    assert list((used / "temporary").iterdir()) == []


def test_nothing_is_left_at_home(used: Place) -> None:
    """No cache, history or other leftover in the home folder holds a secret; what the operator put there is as it was."""
    planted = {".pgpass": {"postgres-pgpass"}, ".aws/credentials": {"s3-profile"}}
    found = files_with_secrets(used, used / "home")
    assert {str(path.relative_to(used / "home")): names for path, names in found.items()} == planted


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_while_a_program_has_a_secret(used: Place, number: signal.Signals) -> None:
    """Interrupted while pg_dump works, a run says no secret and leaves none; killed, it leaves a private file that the next run removes."""
    hold, held = used / "records/hold", used / "records/held"
    arguments = ("backup.create", "--source", "shop-file")
    hold.touch()
    try:
        with used.begun(*arguments) as process:
            assert wait_for(held.exists)
            process.send_signal(number)
            code = 130 if number == signal.SIGINT else -number
            ended = used.ended(process, arguments, code)
    finally:
        hold.unlink()
        held.unlink(missing_ok=True)
    assert ended.code == code
    assert used.canaries.found_in(f"{ended.stdout}{ended.stderr}".encode()) == set()
    left = {path.name for path in files_with_secrets(used, used / "temporary")}
    assert left == ({"pgpass"} if number == signal.SIGKILL else set())
    assert used.run(*arguments).code == 0
    assert list((used / "temporary").iterdir()) == []
