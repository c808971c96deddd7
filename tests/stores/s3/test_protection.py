"""Versions, locks, legal holds and rules of a bucket: what they say, and that nothing held is called removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OpsError
from ops.ports.removal import BucketProtection, ObjectProtection
from ops.stores.s3.store import S3Store
from tests.histories import put
from tests.stores import lies
from tests.stores.conftest import NewStore
from tests.stores.lying import Answer, Lie, liar_before
from tests.stores.s3.test_store import made_file
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

RULE = {"ID": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


def refusal(action: Callable[[], object]) -> OpsError:
    """The error that it ends with."""
    with pytest.raises(OpsError) as caught:
        action()
    return caught.value


def versioned(weed: Weed, *rules: dict[str, Any]) -> str:
    """A bucket with versions and these rules."""
    bucket, client = weed.bucket(), weed.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if rules:
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}
        )
    return bucket


def test_a_plain_bucket_keeps_nothing(new_store: NewStore) -> None:
    """Without versions, lock and rules it says so, and knows it."""
    plain = new_store().bucket_protection()
    assert plain == BucketProtection(
        versioning=False,
        retention=None,
        retention_known=True,
        old_versions_end_after=None,
        lifecycle_known=True,
    )


def test_a_bucket_with_versions_and_a_rule(new_store: NewStore, weed: Weed) -> None:
    """The days after which a rule ends old versions are told, the rule being for the place of the backups."""
    here, elsewhere = {**RULE, "Filter": {"Prefix": ""}}, {**RULE, "ID": "x", "Filter": {"Prefix": "else/"}}
    found = new_store(bucket=versioned(weed, here)).bucket_protection()
    assert (found.versioning, found.old_versions_end_after) == (True, timedelta(days=30))
    found = new_store(bucket=versioned(weed, elsewhere)).bucket_protection()
    assert (found.old_versions_end_after, found.lifecycle_known) == (None, True)


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({"Filter": {}}, 30),
        ({"Prefix": "p"}, 30),
        ({"Filter": {"Prefix": "petshop/x"}}, None),
        ({"Status": "Disabled", "Filter": {}}, None),
        ({"Filter": {"And": {"Prefix": "", "Tags": []}}}, None),
        ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}}, None),
        (
            {
                "Filter": {},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1},
            },
            None,
        ),
        ({"Filter": {}, "NoncurrentVersionExpiration": {}}, None),
    ],
)
def test_which_rules_end_old_versions(rule: dict[str, Any], days: int | None) -> None:
    """Only one that is switched on, for everything in the place, and that keeps no version for ever."""
    from ops.stores.s3 import protection

    assert protection._days({**RULE, **rule}, "petshop/") == days


def test_a_default_retention_is_told(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """A bucket that locks each object by itself says for how long; what it locked is refused with its time."""
    bucket = weed.bucket(ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    weed.client().put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
    store = new_store(bucket=bucket)
    assert store.bucket_protection().retention == timedelta(days=2)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_text("x")
    store.put("a.db", made_file(tmp_path, 10))
    store.put("a.pg", folder)
    for key in ("a.db", "a.pg"):
        error = refusal(lambda key=key: store.delete(key))  # type: ignore[misc]
        until = store.protection_of(key).until
        assert until is not None
        assert (error.code, f"{until:%Y-%m-%d}" in error.message) == ("store.object_locked", True)
    assert len(list(store.list())) == 2


def test_a_legal_hold_is_told(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """What is held is never called removed, also in the middle of a folder; when the hold is gone it can be."""
    bucket = weed.bucket(ObjectLockEnabledForBucket=True)
    store, client = new_store(bucket=bucket), weed.client()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    store.put("a.db", made_file(tmp_path, 10))
    store.put("a.pg", folder)
    for key, held in (("a.db", "a.db"), ("a.pg", "a.pg/b")):
        where = {"Bucket": bucket, "Key": f"{store.options.folder}{held}"}
        client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
        assert store.protection_of(key) == ObjectProtection(None, held=True)
        error = refusal(lambda key=key: store.delete(key))  # type: ignore[misc]
        assert (error.code, "held by a legal hold" in error.message) == ("store.object_locked", True)
        assert sum(found.key.startswith(key) for found in store.list()) == (1 if key == "a.db" else 3)
        client.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
        store.delete(key)
    assert list(store.list()) == []


def test_what_lies_under_a_marker_is_told(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """What was removed from a bucket with versions can be brought back, and the error says so; what never was cannot."""
    store = new_store(bucket=versioned(weed))
    store.put("a.db", made_file(tmp_path, 10))
    store.delete("a.db")
    error = refusal(lambda: store.open("a.db"))
    assert (error.code, "under a delete marker" in error.message) == ("backup.not_found", True)
    assert "bring it back" in error.hint
    assert "marker" not in str(refusal(lambda: store.open("b.db")))


def test_a_marker_that_the_server_tells_of(new_store: NewStore, weed: Weed) -> None:
    """The header of AWS for it is enough: nothing else is asked."""
    told = {"Content-Type": "application/xml", "x-amz-delete-marker": "true"}
    gone = Answer(404, told, b"<Error><Code>NoSuchKey</Code></Error>")
    with liar_before(weed.port) as (liar, url):
        liar.tell(Lie(frozenset(("GET",)), lambda request, forward: gone))
        store = new_store(endpoint_url=url)
        assert "under a delete marker" in str(refusal(lambda: store.open("a.db")))
        assert not [asked for asked in liar.seen if asked == "BUCKET"]


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented")])
def test_keys_that_may_not_ask(
    new_store: NewStore, weed: Weed, tmp_path: Path, status: int, code: str
) -> None:
    """What the keys may not ask is unknown, not absent; and what they may do goes on."""
    with liar_before(weed.port) as (liar, url):
        liar.tell(lies.refusal(status, code, "", "BUCKET"))
        store: S3Store = new_store(endpoint_url=url, retries=0)
        assert store.bucket_protection() == BucketProtection(
            versioning=None,
            retention=None,
            retention_known=False,
            old_versions_end_after=None,
            lifecycle_known=False,
        )
        store.put("a.db", made_file(tmp_path, 10))
        store.delete("a.db")
        assert list(store.list()) == []


def test_a_lock_that_has_ended_holds_nothing() -> None:
    """A time that is over keeps nothing from being removed; a hold does, whatever the time."""
    now = datetime.now(UTC)
    assert not ObjectProtection(now - timedelta(seconds=1), held=False).holds
    assert ObjectProtection(now + timedelta(hours=1), held=False).holds
    assert ObjectProtection(now - timedelta(hours=1), held=True).holds


def test_versions_are_asked_for_once(new_store: NewStore, weed: Weed) -> None:
    """Many removals ask the bucket for its versions once."""
    with liar_before(weed.port) as (liar, url):
        store = new_store(endpoint_url=url)
        for number in range(3):
            put(store, f"{number}.db", b"x")
            store.delete(f"{number}.db")
        assert liar.seen.count("BUCKET") == 1
