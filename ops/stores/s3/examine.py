"""What a bucket and its server say and do of themselves: for `store.check`."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.ports.removal import BucketProtection
from ops.ports.store import OWN_PREFIX
from ops.stores.s3.connection import Connection
from ops.stores.s3.keys import top_object_name
from ops.stores.s3.offers import Offers, try_offers
from ops.stores.s3.protection import bucket_protection

_REPLACES: Final = (
    "the server would replace what is there (it does not heed If-None-Match): names are taken under .drillbook/writing/"
    " before anything is sent, so all machines that write there need this Drillbook"
)


def examine_bucket(connection: Connection) -> list[Finding]:
    """Return a finding for each thing that the server offers or does not, and for what the bucket does with what is removed.

    What could not be asked is a warning.
    """
    key = f"{OWN_PREFIX}drillbook-check-{secrets.token_hex(8)}"
    findings = []
    try:
        offers = try_offers(connection, top_object_name(connection.options.folder, key))
        findings += _of_server(offers, connection.store)
    except OpsError as error:
        message = f"what the server offers could not be tried: {error.message}"
        findings.append(_finding(Severity.WARNING, error.code, message, connection.store))
    try:
        findings += _of_bucket(bucket_protection(connection), connection.store)
    except OpsError as error:
        message = f"what the bucket does with what is removed could not be asked: {error.message}"
        findings.append(_finding(Severity.WARNING, error.code, message, connection.store))
    return findings


def _of_server(offers: Offers, store: str) -> list[Finding]:
    told = [
        (
            offers.conditions,
            "the server refuses to replace what is there (If-None-Match)",
            _REPLACES,
        ),
        (
            offers.checksums,
            "the server refuses what arrives with another SHA-256",
            "the server does not compare the SHA-256 of what arrives: run backup.create with --verify, which reads it back",
        ),
    ]
    found = [
        _finding(Severity.OK if good else Severity.WARNING, "store.offers", kept if good else lacking, store)
        for good, kept, lacking in told
    ]
    if not offers.together:
        message = "the server removes one object at a time: backup.prune takes longer"
        found.append(_finding(Severity.OK, "store.offers", message, store))
    return found


def _of_bucket(bucket: BucketProtection, store: str) -> list[Finding]:
    found = [_of_versions(bucket, store), _of_retention(bucket, store)]
    if bucket.expires_after is not None:
        message = (
            f"a rule of the bucket deletes what lies there after {_days(bucket.expires_after)}, whatever your policy keeps:"
            " take it away, and leave deleting to backup.prune"
        )
        found.append(_finding(Severity.WARNING, "store.expires", message, store))
    return found


def _of_versions(bucket: BucketProtection, store: str) -> Finding:
    ends = bucket.old_versions_end_after
    if bucket.versioning is None:
        message = "whether the bucket keeps versions of what is removed is not known: the keys may not ask (s3:GetBucketVersioning)"
        return _finding(Severity.OK, "store.versions", message, store)
    if not bucket.versioning:
        message = "the bucket keeps no versions: what these keys remove is gone"
        return _finding(Severity.OK, "store.versions", message, store)
    if ends is not None:
        message = f"the bucket keeps versions of what is removed, and ends them after {_days(ends)}"
        return _finding(Severity.OK, "store.versions", message, store)
    why = (
        "no rule ends them: give it one for noncurrent versions, or what backup.prune removes takes its room for ever"
        if bucket.lifecycle_known
        else "whether a rule ends them is not known: the keys may not ask (s3:GetLifecycleConfiguration)"
    )
    return _finding(
        Severity.WARNING, "store.versions", f"the bucket keeps versions of what is removed; {why}", store
    )


def _of_retention(bucket: BucketProtection, store: str) -> Finding:
    if not bucket.retention_known:
        message = "whether the bucket locks new objects is not known: the keys may not ask (s3:GetBucketObjectLockConfiguration)"
    elif bucket.retention is None:
        message = "the bucket locks no new objects by itself"
    else:
        message = f"the bucket locks each new object for {_days(bucket.retention)}: backup.prune leaves it until then"
    return _finding(Severity.OK, "store.retention", message, store)


def _days(length: timedelta) -> str:
    return "a day" if length.days == 1 else f"{length.days} days"


def _finding(severity: Severity, code: str, message: str, where: str) -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)
