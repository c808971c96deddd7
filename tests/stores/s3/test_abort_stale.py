"""Uploads that nobody will finish, and pruning, which gives them up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.prune import Pruned, PruneRequest, prune
from ops.errors import StoreError
from ops.model.findings import Severity
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.s3.connection import Connection
from ops.stores.s3.folder import claim_name
from ops.stores.s3.store import S3Store
from tests.conftest import run_drillbook
from tests.histories import WHOSE, looked_at, stored_backup
from tests.stores.conftest import NewStore
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

MIB = 1 << 20


def pruned(store: S3Store, *, stale_after: timedelta, dry_run: bool = False) -> Pruned:
    """Prune the source `prices`, of which nothing is to go."""
    request = PruneRequest(whose=WHOSE, policy=Policy(forever=True), dry_run=dry_run, stale_after=stale_after)
    return prune(Repository(store=store), request, Job())


def begin(store: S3Store, weed: Weed, key: str, *, claimed: bool = True) -> None:
    """Begin an upload as a run does that is killed then: its name is taken, a part is there."""
    if claimed:
        claim_name(Connection(store.options, "dead"), key.partition("/")[0], "dead")
    where = {"Bucket": store.options.bucket, "Key": f"{store.options.folder}{key}"}
    begun = weed.client().create_multipart_upload(**where)
    weed.client().upload_part(**where, UploadId=begun["UploadId"], PartNumber=1, Body=bytes(5 * MIB))


def unfinished(store: S3Store, weed: Weed) -> list[str]:
    """The keys of the uploads that are there."""
    found = weed.client().list_multipart_uploads(Bucket=store.options.bucket, Prefix=store.options.folder)
    return sorted(item["Key"].removeprefix(store.options.folder) for item in found.get("Uploads", ()))


def test_pruning_gives_up_what_nobody_finishes(new_store: NewStore, weed: Weed) -> None:
    """Old uploads of files and in folders go and are named; young ones, a dry run's, and those of other programs stay."""
    store = new_store()
    looked_at(stored_backup(store, datetime.now(UTC)))
    for key in ("backup-1.db", "backup-2.pg/dump/1.dat"):
        begin(store, weed, key)
    begin(store, weed, "their-video.mp4", claimed=False)
    everything = ["backup-1.db", "backup-2.pg/dump/1.dat", "their-video.mp4"]
    assert pruned(store, stale_after=timedelta(0), dry_run=True).findings == ()
    assert pruned(store, stale_after=timedelta(hours=1)).findings == ()
    assert unfinished(store, weed) == everything
    done = pruned(store, stale_after=timedelta(0))
    assert [(item.code, item.severity, item.where) for item in done.findings] == [
        ("prune.upload_given_up", Severity.OK, key) for key in everything[:2]
    ]
    assert unfinished(store, weed) == everything[2:]
    assert pruned(store, stale_after=timedelta(0)).findings == ()


@pytest.mark.parametrize("denied", ["s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"])
def test_keys_that_may_not_give_up(weed: Weed, tmp_path: Path, new_store: NewStore, denied: str) -> None:
    """Where the bucket's policy forbids it, pruning does its work all the same, and warns."""
    store = new_store(bucket=weed.bucket())
    looked_at(stored_backup(store, datetime.now(UTC)))
    begin(store, weed, "backup-1.db")
    bucket = f"arn:aws:s3:::{store.options.bucket}"
    statement = {"Effect": "Deny", "Principal": "*", "Action": denied, "Resource": [bucket, f"{bucket}/*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    weed.client().put_bucket_policy(Bucket=store.options.bucket, Policy=policy)
    with pytest.raises(StoreError) as caught:
        store.abort_stale_uploads(timedelta(0))
    assert caught.value.code == "store.refused"
    (finding,) = pruned(store, stale_after=timedelta(0)).findings
    assert (finding.code, finding.severity, finding.where) == (
        "prune.uploads_kept",
        Severity.WARNING,
        "store.refused",
    )


def test_from_the_command_line(new_store: NewStore, weed: Weed, database: Path, tmp_path: Path) -> None:
    """`backup.prune` leaves an upload alone that is younger than a week: somebody may be sending it."""
    store = new_store()
    begin(store, weed, "backup-1.db")
    lines = f'kind = "s3"\nbucket = "{store.options.bucket}"\nprefix = "{store.options.prefix}"\n'
    config = f'[source.prices]\nkind = "sqlite"\npath = "{database}"\n[store.far]\n{lines}endpoint_url = "{weed.url}"\n'
    (tmp_path / "ops.toml").write_text(config)
    keys = {"AWS_ACCESS_KEY_ID": "AK-full", "AWS_SECRET_ACCESS_KEY": "SK-full"}
    done = run_drillbook("backup.prune", "--yes", cwd=tmp_path, environment=keys)
    assert done.returncode == 0, done.stdout
    assert unfinished(store, weed) == ["backup-1.db"]
