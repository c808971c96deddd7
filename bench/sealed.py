"""How long a sealed backup into a bucket takes, against its parts alone and against doing it by hand."""

import functools
import itertools
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.place import Place, drillbook, installed, place_for
from bench.report import Section, against, ratios, seconds
from bench.timing import Candidate, Details, in_turns, program
from tests.stores.seaweed import Weed, key_file, running_weed
from tests.stores.troubles import proxy_before

COMMAND = "nox -s bench -- --only sealed --size 512MiB"
CONFIG = """scratch_dir = "scratch"

[source.bench]
kind = "sqlite"
path = "data.db"
stores = ["{store}"]

[store.local]
kind = "local"
path = "store"

[store.plain]
kind = "s3"
bucket = "{bucket}"
prefix = "{prefix}-plain"
endpoint_url = "{url}"
access_key_file = "access-full"
secret_key_file = "secret-full"

[store.sealed]
kind = "s3"
bucket = "{bucket}"
prefix = "{prefix}-sealed"
endpoint_url = "{url}"
access_key_file = "access-full"
secret_key_file = "secret-full"
encrypt = "escrow"

[cipher.escrow]
kind = "age"
recipients = ["{recipient}"]
"""
UPLOAD = """
import sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="AK-full", aws_secret_access_key="SK-full")
client.upload_file(sys.argv[2], sys.argv[3], sys.argv[4])
"""
LOCAL, SEAL, SEND = "create into a folder", "`age` alone", "boto3 `upload_file` alone"
SEALED = "create into a bucket, sealed with age"
LINK_MIB = 32
OVER_LINK = f", over {LINK_MIB} MiB/s"


def measure_sealed(database: Path, rounds: int) -> Section:
    """The section about sealed backups in a bucket."""
    with (
        place_for(database) as place,
        running_weed() as server,
        proxy_before(server.port) as (proxy, far),
    ):
        proxy.rate = LINK_MIB << 20
        return _measure(place, server, far, rounds)


def _measure(place: Place, server: Weed, far: str, rounds: int) -> Section:
    key_file(place.folder, "full")
    bucket, numbers = server.bucket(), itertools.count(1)
    key = program(installed("age-keygen"))
    recipient = next(line.split()[-1] for line in key.splitlines() if line.startswith("# public key"))
    sealed = place.folder / "sealed.age"

    def create(store: str, url: str = server.url) -> Details:
        config = place.folder / f"{store}.toml"
        prefix = f"{store}-{next(numbers)}"
        config.write_text(
            CONFIG.format(store=store, bucket=bucket, prefix=prefix, url=url, recipient=recipient)
        )
        program(*drillbook("backup.create", "--config", str(config)))
        return {}

    def send(file: Path, url: str = server.url) -> Details:
        program(sys.executable, "-c", UPLOAD, url, file, bucket, f"by-hand-{next(numbers)}")
        return {}

    def seal(file: Path) -> Details:
        program(installed("age"), "-r", recipient, "-o", sealed, file)
        return {}

    def by_hand() -> Details:
        copy = place.scratch / "copy.db"
        with closing(sqlite3.connect(place.database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        program(installed("sha256sum"), copy)
        seal(copy)
        return send(sealed)

    candidate = functools.partial(Candidate, prepare=_fresh(place, sealed))
    seal(place.database)
    kept = place.folder / "kept.age"
    sealed.rename(kept)
    timings = in_turns(
        [
            candidate(name=LOCAL, run=lambda: create("local")),
            candidate(name=SEAL, run=lambda: seal(place.database)),
            candidate(name=SEND, run=lambda: send(kept)),
            candidate(name="create into a bucket, plain", run=lambda: create("plain")),
            candidate(name=SEALED, run=lambda: create("sealed")),
            candidate(name="backup API, `sha256sum`, `age`, `upload_file`", run=by_hand),
            candidate(name=f"{SEND}{OVER_LINK}", run=lambda: send(kept, far)),
            candidate(name=f"{SEALED}{OVER_LINK}", run=lambda: create("sealed", far)),
        ],
        rounds,
    )
    parts, linked = timings[:3], timings[6:]
    rows = [[timing.name, *seconds(timing), *ratios(timing, parts)] for timing in timings[:6]]
    rows += [[timing.name, *seconds(timing), *ratios(timing, linked[:1])] for timing in linked]
    columns = ("what", "min", "median", "min / slowest part", "median / slowest part")
    targets = [
        against(f"{SEALED}{OVER_LINK}", 1.3, linked[1], [*parts, linked[0]]),
        against(SEALED, 1.3, timings[4], parts),
    ]
    return Section("sealed backup in a bucket", COMMAND, columns, rows, targets, EXPLANATION)


def _fresh(place: Place, sealed: Path) -> Callable[[], Callable[[], None]]:
    def prepare() -> Callable[[], None]:
        sealed.unlink(missing_ok=True)
        return place.fresh()

    return prepare


EXPLANATION = (
    "The bucket is SeaweedFS on the same two cores, so that server, cipher and measuring compete for them. The first three "
    "rows are the parts, each alone as a process of its own: a backup into a folder (copied, hashed, every table's content "
    "digested), sealing the same bytes, sending the sealed file. Ours copies first; then the copy is measured, sealed and "
    "sent at the same time. Where both cores are busy with that, nothing is gained by overlapping: the parts alone use more "
    "processor time than two cores have in 1.3 times the slowest. The last two rows show the same through a link that "
    f"lets {LINK_MIB} MiB through a second, as one to another place would: there the processors wait for the link. By hand "
    "no table is counted and nothing is compared."
)
