"""What `store.check` says of a bucket and its server."""

from __future__ import annotations

from typing import Any

import pytest

from ops.model.findings import Finding, Severity
from tests.stores import lies
from tests.stores.conftest import NewStore
from tests.stores.lying import Lie, liar_before
from tests.stores.s3.test_protection import RULE, versioned
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long


def told(findings: Any) -> dict[str, tuple[Severity, str]]:  # noqa: ANN401 - any iterable of findings
    """By the beginning of its words each finding."""
    found: list[Finding] = list(findings)
    return {item.message.split("(")[0].split(":")[0].strip(): (item.severity, item.code) for item in found}


def told_by(weed: Weed, new_store: NewStore, lie: Lie) -> dict[str, tuple[Severity, str]]:
    """The same of a server that lies so."""
    with liar_before(weed.port) as (liar, url):
        store = new_store(endpoint_url=url, retries=0)
        liar.tell(lie)
        return told(store.examine())


def test_a_server_that_offers_all(new_store: NewStore) -> None:
    """Where nothing is worked around, nothing is warned of."""
    assert told(new_store().examine()) == {
        "the server refuses to replace what is there": (Severity.OK, "store.offers"),
        "the server refuses what arrives with another SHA-256": (Severity.OK, "store.offers"),
        "the bucket keeps no versions": (Severity.OK, "store.versions"),
        "the bucket locks no new objects by itself": (Severity.OK, "store.retention"),
    }
    assert list(new_store().list(".drillbook/")) == []


def test_a_server_without_conditions(weed: Weed, new_store: NewStore) -> None:
    """One that ignores the condition, or does not know it, is told with what follows."""
    for lie in (lies.condition_ignored, lies.condition_not_offered):
        found = told_by(weed, new_store, lie)
        assert found["the server would replace what is there"] == (Severity.WARNING, "store.offers")


def test_a_server_that_removes_one_by_one(weed: Weed, new_store: NewStore) -> None:
    """That is told, and no warning."""
    found = told_by(weed, new_store, lies.wants_md5)
    assert found["the server removes one object at a time"] == (Severity.OK, "store.offers")


def test_a_server_that_does_not_answer(weed: Weed, new_store: NewStore) -> None:
    """What could not be tried is a warning, not silence."""
    found = told_by(weed, new_store, lies.too_busy)
    assert {severity for severity, _ in found.values()} == {Severity.WARNING}
    assert {code for _, code in found.values()} == {"store.throttled"}


def test_versions(weed: Weed, new_store: NewStore) -> None:
    """Versions that a rule ends are told with the days; without a rule they are a warning."""
    (severity, code) = told(new_store(bucket=versioned(weed)).examine())[
        "the bucket keeps versions of what is removed; no rule ends them"
    ]
    assert (severity, code) == (Severity.WARNING, "store.versions")
    found = told(new_store(bucket=versioned(weed, {**RULE, "Filter": {"Prefix": ""}})).examine())
    assert (
        found["the bucket keeps versions of what is removed, and ends them after 30 days"][0] is Severity.OK
    )


def test_a_rule_that_deletes_backups(weed: Weed, new_store: NewStore) -> None:
    """A rule that removes what nobody removed, in a part of the place too, is a warning with its days; one elsewhere is none."""
    bucket, client = weed.bucket(), weed.client()

    def rule(prefix: str) -> None:
        rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 7}}]
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    words = "a rule of the bucket deletes what lies there after 7 days, whatever your policy keeps"
    for prefix, told_of in (("", True), ("ops/backup-", True), ("else/", False)):
        rule(prefix)
        found = told(new_store(bucket=bucket, prefix="ops").examine())
        assert (found.get(words) == (Severity.WARNING, "store.expires")) is told_of
