"""A bucket on several volume servers: one of them may die."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.run.progress import silent
from ops.units import Size
from tests.stores.s3.test_store import MIB, made_file
from tests.stores.seaweed import Weed, free_ports, store_of, wait_until_ready, weed_program, write_identities

pytestmark = pytest.mark.long


@contextlib.contextmanager
def replicated_weed() -> Iterator[tuple[Weed, list[Weed]]]:
    """The S3 side of a cluster that keeps everything on two of three volume servers, and those three."""
    program, folder = str(weed_program()), Path(tempfile.mkdtemp(prefix="seaweed-"))
    master, filer, s3, *volumes = free_ports(6)
    write_identities(folder)
    with (folder / "log").open("wb") as log, contextlib.ExitStack() as stack:

        def start(port: int, *arguments: str) -> Weed:
            process = subprocess.Popen(
                [program, *arguments], cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
            part = Weed(port, process)
            stack.callback(part.kill)
            return part

        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        here = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")
        (folder / "m").mkdir()
        start(master, "master", *here, f"-port={master}", f"-mdir={folder / 'm'}", "-defaultReplication=001",
              "-volumeSizeLimitMB=64", "-electionTimeout=1s", "-telemetry=false")  # fmt: skip
        servers = []
        for port in volumes:
            place = folder / str(port)
            place.mkdir()
            servers.append(
                start(port, "volume", *here, f"-port={port}", f"-dir={place}", "-max=100",
                      f"-master=127.0.0.1:{master}")
            )  # fmt: skip
        front = start(s3, "filer", *here, f"-port={filer}", f"-master=127.0.0.1:{master}",
                      "-defaultReplicaPlacement=001", "-s3", f"-s3.port={s3}", "-s3.port.iceberg=0",
                      "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}")  # fmt: skip
        wait_until_ready(front, folder / "log")
        yield front, servers


@pytest.mark.faults_long
def test_one_of_three_volume_servers_dies(tmp_path: Path) -> None:
    """What was put is read whole after one server was killed, and a new backup is put and read as well."""
    with replicated_weed() as (front, servers):
        store = store_of(front.url, front.bucket(), tmp_path, part_size=Size(5 * MIB), retries=6)
        files = [made_file(tmp_path, 12 * MIB, name) for name in ("before", "after")]
        store.put("before.db", files[0])
        servers[0].kill()
        assert store.get("before.db", tmp_path / "back", silent)
        assert (tmp_path / "back").read_bytes() == files[0].read_bytes()
        store.put("after.db", files[1])
        assert store.open("after.db").read() == files[1].read_bytes()
