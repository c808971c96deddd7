"""The machine with the planted secrets, once for all tests of a module, after everything was run on it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyrage
import pytest

from ops.sources.postgres.server.server import RunningServer, scratch_server
from tests.ciphers.keyrings import Gpg, gpg_home, require_program, secret_file
from tests.conftest import execute
from tests.secrets.place import SOURCES, Place, configuration, environment_of, make_folders, put_recorders
from tests.secrets.planted import POSTGRES_WAYS, S3_WAYS, Canaries, plant
from tests.secrets.watching import Watch, short_folder
from tests.sources.postgres.conftest import require_programs
from tests.sources.postgres.shop import psql
from tests.stores.seaweed import Weed, running_weed

_HBA: Final = "local all postgres trust\nlocal all all scram-sha-256\n"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A machine with planted secrets; nothing was run on it yet."""
    for program in ("age", "gpg", "openssl"):
        require_program(program)
    identities = {name: pyrage.x25519.Identity.generate() for name in ("env", "locked", "wrong")}
    canaries = plant(
        **{f"identity-{name}": str(one).removeprefix("AGE-SECRET-KEY-1") for name, one in identities.items()}
    )
    with contextlib.ExitStack() as stack:
        folder = short_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        make_folders(folder)
        programs = require_programs(17)
        put_recorders(folder, programs.bindir)
        server = stack.enter_context(scratch_server(programs, folder / "server"))
        weed = stack.enter_context(running_weed({way: canaries[f"s3-{way}"] for way in S3_WAYS}))
        ring = stack.enter_context(gpg_home("keeper@example.org", passphrase=canaries["gpg-key-passphrase"]))
        _fill(folder, server, canaries)
        _give(folder, server, canaries, identities["locked"])
        facts = {name: str(one.to_public()) for name, one in identities.items()}
        bucket = weed.bucket()
        _configure(
            folder, server, weed, ring, {"escrow": facts["env"], "locked": facts["locked"], "bucket": bucket}
        )
        watch = stack.enter_context(Watch(folder / "temporary", canaries))
        yield Place(folder, canaries, watch, environment_of(folder, canaries), weed, bucket, server)


def _fill(folder: Path, server: RunningServer, canaries: Canaries) -> None:
    """The databases: two of SQLite, and one of PostgreSQL with a role for each way to give a password."""
    for name in ("prices", "notes"):
        execute(folder / f"work/{name}.db", "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1), (2)")
    psql(server, "postgres", "-c", "CREATE DATABASE shop")
    psql(server, "shop", "-c", "CREATE TABLE sales AS SELECT i AS id FROM generate_series(1, 100) i")
    roles = [f"ops_{way} SUPERUSER LOGIN PASSWORD '{canaries[f'postgres-{way}']}'" for way in POSTGRES_WAYS]
    psql(server, "postgres", "-c", ";".join(f"CREATE ROLE {role}" for role in roles))
    (server.data / "pg_hba.conf").write_text(_HBA)
    psql(server, "postgres", "-c", "SELECT pg_reload_conf()")


def _give(folder: Path, server: RunningServer, canaries: Canaries, locked: pyrage.x25519.Identity) -> None:
    """The secrets that are files: of ours, of libpq and of boto3."""
    given = folder / "given"
    secret_file(given / "identity", f"AGE-SECRET-KEY-1{canaries['identity-env']}")
    for name in ("postgres-file", "postgres-command", "postgres-boxed", "s3-file", "s3-command"):
        secret_file(given / name, canaries[name])
    for name in ("gpg-key-passphrase", "openssl-passphrase", "wrong-password", "wrong-passphrase"):
        secret_file(given / name, canaries[name])
    for way in ("file", "command"):
        secret_file(given / f"access-{way}", f"AK-{way}")
    secret_file(given / "passfile", f"*:*:*:*:{canaries['postgres-passfile']}")
    secret_file(folder / "home/.pgpass", f"*:*:*:*:{canaries['postgres-pgpass']}")
    service = f"host={server.socket_dir}\ndbname=shop\nuser=ops_service"
    secret_file(given / "services", f"[shop]\n{service}\npassword={canaries['postgres-service']}")
    (folder / "home/.aws").mkdir()
    keys = f"aws_access_key_id = AK-profile\naws_secret_access_key = {canaries['s3-profile']}"
    secret_file(folder / "home/.aws/credentials", f"[planted]\n{keys}")
    sealed = pyrage.passphrase.encrypt(str(locked).encode(), canaries["identity-passphrase"])
    (given / "locked-identity").write_bytes(sealed)
    (given / "locked-identity").chmod(0o600)
    (given / "gpg").mkdir(0o700)
    (given / "without-pyrage").mkdir()
    (given / "without-pyrage/sitecustomize.py").write_text('import sys\n\nsys.modules["pyrage"] = None\n')


def _configure(
    folder: Path, server: RunningServer, weed: Weed, ring: Gpg, recipients: dict[str, str]
) -> None:
    facts = {
        **recipients,
        "folder": str(folder),
        "given": str(folder / "given"),
        "sockets": str(server.socket_dir),
        "url": weed.url,
        "fingerprint": ring.fingerprints[0],
        "keyring": str(ring.home),
    }
    (folder / "work/ops.toml").write_text(configuration(facts, ("env", "file"), SOURCES))
    (folder / "work/ways.toml").write_text(
        configuration(facts, ("env", "command", "service", "variable", "boxed"))
    )
    (folder / "work/files.toml").write_text(configuration(facts, ("pgpass", "passfile")))
