"""Backups of a database in a bucket, from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyrage
import pytest

from tests.conftest import ask, execute, run_drillbook
from tests.keys import Keys
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

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


SEALING = """encrypt = "escrow"
[cipher.escrow]
kind = "age"
recipients = ["{recipient}"]
identity_file = "{identity}"
"""


@pytest.mark.parametrize("sealed", [False, True])
def test_a_bucket_can_be_the_only_store(weed: Weed, database: Path, tmp_path: Path, sealed: bool) -> None:
    """A backup, plain or sealed, is taken, verified and drilled with keys that may put, read and list and delete nothing."""
    bucket = weed.bucket()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject", "s3:AbortMultipartUpload"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    weed.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    config, keys = CONFIG.format(database=database, bucket=bucket, url=weed.url), Keys(tmp_path, "escrow")
    if sealed:
        config += SEALING.format(recipient=keys.recipient, identity=keys.file)
    (tmp_path / "ops.toml").write_text(config)
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
    assert listed["name"].endswith(".db.age" if sealed else ".db")
    names = [item["Key"] for item in weed.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert names
    assert all(name.startswith("petshop/") for name in names)


SEALED = """
[source.prices]
kind = "sqlite"
path = "{database}"
stores = ["local", "offsite"]

[store.local]
kind = "local"
path = "home"

[store.offsite]
kind = "s3"
bucket = "{bucket}"
endpoint_url = "{url}"
encrypt = "escrow"

[cipher.escrow]
kind = "age"
recipients = ["{recipient}"]
"""
BARE = """
[store.offsite]
kind = "s3"
bucket = "{bucket}"
endpoint_url = "{url}"
[cipher.escrow]
kind = "age"
identity_file = "escrow.key"
"""


def test_nothing_but_the_bucket_and_the_key(weed: Weed, database: Path, tmp_path: Path) -> None:
    """What one machine seals into a bucket, another restores with the key alone; neither machine can do the other's part."""
    bucket, identity = weed.bucket(), pyrage.x25519.Identity.generate()
    facts = {"database": database, "bucket": bucket, "url": weed.url, "recipient": identity.to_public()}
    execute(database, "INSERT INTO notes (body) VALUES ('canary-in-a-coal-mine')")
    (tmp_path / "ops.toml").write_text(SEALED.format(**facts))
    keys = {"AWS_ACCESS_KEY_ID": "AK-full", "AWS_SECRET_ACCESS_KEY": "SK-full"}
    created = run_drillbook("backup.create", "--verify", cwd=tmp_path, environment=keys)
    assert created.returncode == 0, (created.stdout, created.stderr)
    client = weed.client()
    stored = {item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert any(name.endswith(".db.age") for name in stored)
    for name in stored:
        assert b"canary" not in client.get_object(Bucket=bucket, Key=name)["Body"].read(), name
    drilled = run_drillbook("backup.drill", "--from", "offsite:latest", cwd=tmp_path, environment=keys)
    assert (drilled.returncode, "cipher.no_identity" in drilled.stdout) == (1, True)
    listed = run_drillbook("backup.list", cwd=tmp_path, environment=keys)
    assert "2 of 2: local, offsite (sealed, never opened)" in listed.stdout
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "ops.toml").write_text(BARE.format(**facts))
    key = os.open(bare / "escrow.key", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(key, f"{identity}\n".encode())
    os.close(key)
    refused = run_drillbook("backup.create", cwd=bare, environment=keys)
    assert (refused.returncode, "no source is configured" in refused.stdout) == (2, True)
    for arguments in (
        ("backup.verify", "offsite:latest"),
        ("backup.drill", "--from", "offsite:latest"),
        ("backup.restore", "--from", "offsite:latest", "--to", "restored.db"),
    ):
        ended = run_drillbook(*arguments, cwd=bare, environment=keys)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    assert ask(bare / "restored.db", "SELECT count(*) FROM notes WHERE body LIKE 'canary%'") == 1
    listed = run_drillbook("backup.list", "--format", "json", cwd=bare, environment=keys)
    (result,) = json.loads(listed.stdout)["results"]
    assert (result["proven"], result["copies"][0]["opened"]) == (True, True)


def test_keys_that_only_read(weed: Weed, database: Path, tmp_path: Path) -> None:
    """Doctor says that backups cannot be made there; verify and drill go on without a lease and say so; nothing is called deletable."""
    (tmp_path / "ops.toml").write_text(CONFIG.format(database=database, bucket=weed.bucket(), url=weed.url))
    (tmp_path / "ops.toml").write_text(
        (tmp_path / "ops.toml")
        .read_text()
        .replace('["printf", "SK-full"]', '["sh", "-c", "printf $OFFSITE_SECRET"]')
    )

    def run(who: str, *words: str) -> tuple[int, str]:
        environment = {"OFFSITE_ACCESS": f"AK-{who}", "OFFSITE_SECRET": f"SK-{who}"}
        ended = run_drillbook(*words, cwd=tmp_path, environment=environment)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout + ended.stderr

    assert run("full", "backup.create")[0] == 0
    assert "cannot be written" not in run("full", "doctor")[1]
    code, said = run("reader", "doctor")
    assert (code, "store 'offsite' cannot be written" in said) == (2, True), said
    code, said = run("reader", "backup.verify", "--level", "full")
    assert (code, "passed" in said) == (1, True), said
    code, said = run("reader", "store.check")
    assert (code, "these keys can delete" in said, "what is removed is gone" in said) == (2, False, False), (
        said
    )
