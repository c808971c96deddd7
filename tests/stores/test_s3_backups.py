"""Backups of a database in a bucket, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import run_drillbook
from tests.stores.seaweed import Weed

CONFIG = """
[source.prices]
kind = "sqlite"
path = "{database}"

[store.offsite]
kind = "s3"
bucket = "{bucket}"
prefix = "petshop"
endpoint_url = "{url}"
access_key_env = "OFFSITE_ACCESS"
secret_key_command = ["printf", "SK-full"]
"""


def test_a_bucket_can_be_the_only_store(weed: Weed, database: Path, tmp_path: Path) -> None:
    """A backup is taken, verified and drilled with keys that may put, read and list and delete nothing."""
    bucket = weed.bucket()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject", "s3:AbortMultipartUpload"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    weed.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    (tmp_path / "ops.toml").write_text(CONFIG.format(database=database, bucket=bucket, url=weed.url))
    for arguments in (
        ("backup.create", "--verify"),
        ("backup.verify", "--all", "--level", "full"),
        ("backup.drill", "--no-network"),
        ("backup.list", "--format", "json"),
    ):
        ended = run_drillbook(*arguments, cwd=tmp_path, environment={"OFFSITE_ACCESS": "AK-full"})
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
        assert "SK-full" not in ended.stdout + ended.stderr
    (listed,) = json.loads(ended.stdout)["results"]
    assert listed["proven"] is True
    names = [item["Key"] for item in weed.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert names
    assert all(name.startswith("petshop/") for name in names)
