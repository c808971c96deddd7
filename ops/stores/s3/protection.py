"""What keeps objects from being removed: versions, retention, legal holds, and when the bucket ends old versions."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ops.errors import BackupError, OpsError, StoreError
from ops.ports.removal import BucketProtection, ObjectProtection
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.units import format_time

_MAY_NOT_ASK: Final = ("denied", "not_offered", "invalid")
_YEAR_DAYS: Final = 365


def bucket_protection(connection: Connection) -> BucketProtection:
    """Ask the bucket how it keeps what is removed. Raises StoreError when it cannot be reached."""
    retention, retention_known = _default_retention(connection)
    ends, expires, lifecycle_known = _lifecycle(connection)
    return BucketProtection(
        has_versions(connection),
        retention,
        retention_known,
        ends,
        lifecycle_known=lifecycle_known,
        expires_after=expires,
    )


def has_versions(connection: Connection) -> bool | None:
    """Return whether the bucket keeps what is removed as a version; None where the keys may not ask.

    What was answered is remembered for the connection.
    """
    if connection.versions is None:
        connection.versions = (_ask_for_versions(connection),)
    return connection.versions[0]


def _ask_for_versions(connection: Connection) -> bool | None:
    try:
        answer = connection.call(
            "get_bucket_versioning", "ask the bucket for its versions", expect=_MAY_NOT_ASK
        )
    except ExpectedAnswerError:
        return None
    # What was put while versions were on keeps its versions when they are suspended.
    return answer.get("Status") in {"Enabled", "Suspended"}


def _default_retention(connection: Connection) -> tuple[timedelta | None, bool]:
    expect = (*_MAY_NOT_ASK, "no_rule", "missing")
    try:
        answer = connection.call(
            "get_object_lock_configuration", "ask the bucket for its lock", expect=expect
        )
    except ExpectedAnswerError as error:
        return None, error.answer in {"no_rule", "missing"}
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    days = rule.get("Days", 0) + _YEAR_DAYS * rule.get("Years", 0)
    return (timedelta(days=days) if days else None), True


def _lifecycle(connection: Connection) -> tuple[timedelta | None, timedelta | None, bool]:
    """After which time rules end old versions, and objects themselves; whether that may be asked."""
    expect = (*_MAY_NOT_ASK, "no_rule", "missing")
    try:
        answer = connection.call(
            "get_bucket_lifecycle_configuration", "ask the bucket for its rules", expect=expect
        )
    except ExpectedAnswerError as error:
        return None, None, error.answer in {"no_rule", "missing"}
    rules, folder = answer.get("Rules", ()), connection.options.folder
    old = [days for rule in rules if (days := _days(rule, folder)) is not None]
    # Also one for a part of what is there: a backup that lies in it is gone all the same.
    objects = [
        days for rule in rules if (days := rule.get("Expiration", {}).get("Days")) and _touches(rule, folder)
    ]
    return (
        timedelta(days=min(old)) if old else None,
        timedelta(days=min(objects)) if objects else None,
        True,
    )


def _days(rule: dict[str, Any], folder: str) -> int | None:
    """After how many days a rule removes old versions of all that is in `folder`; None when it does not."""
    ends = rule.get("NoncurrentVersionExpiration", {})
    # A name is written once: a rule that keeps the newest old versions keeps all of them.
    if ends.get("NewerNoncurrentVersions", 0) or not _is_for_all_of(rule, folder):
        return None
    days: int | None = ends.get("NoncurrentDays")
    return days


def _prefix(rule: dict[str, Any]) -> str:
    about = rule.get("Filter", {})
    return str(about.get("Prefix", about.get("And", {}).get("Prefix", rule.get("Prefix", ""))))


def _is_for_all_of(rule: dict[str, Any], folder: str) -> bool:
    narrower = set(rule.get("Filter", {})) - {"Prefix"}
    return rule.get("Status") == "Enabled" and not narrower and folder.startswith(_prefix(rule))


def _touches(rule: dict[str, Any], folder: str) -> bool:
    prefix = _prefix(rule)
    return rule.get("Status") == "Enabled" and (folder.startswith(prefix) or prefix.startswith(folder))


def object_protection(connection: Connection, names: Iterable[str]) -> dict[str, ObjectProtection]:
    """Return what keeps each of the objects, as far as the keys may see it; nothing of those that are not there."""

    def of_one(name: str) -> ObjectProtection | None:
        try:
            head = connection.call(
                "head_object", f"look at {name}", expect=("missing", "denied", "not_offered"), Key=name
            )
        except ExpectedAnswerError:
            return None
        until: datetime | None = head.get("ObjectLockRetainUntilDate")
        held = head.get("ObjectLockLegalHoldStatus") == "ON"
        return ObjectProtection(None if until is None else until.astimezone(UTC), held)

    wanted = list(names)
    with ThreadPoolExecutor(connection.options.parallel, "s3-lock") as pool:
        found = zip(wanted, pool.map(of_one, wanted), strict=True)
        return {name: protection for name, protection in found if protection is not None}


def locked_until(protections: Iterable[ObjectProtection]) -> datetime | None:
    """Return the latest time until which one of them is locked; None when none is."""
    return max((each.until for each in protections if each.until is not None), default=None)


def object_locked(connection: Connection, name: str, protection: ObjectProtection) -> StoreError:
    """Return the refusal to remove something that is held, or before its time."""
    step = f"remove {name} in store {connection.store!r}"
    why = "it is held by a legal hold"
    hint = "whoever put the hold on it must take it off; until then nobody can remove it"
    if not protection.held and protection.until is not None:
        why = f"it is locked until {format_time(protection.until)}"
        hint = "wait until then; nobody can shorten it quietly"
    return StoreError(f"{step}: {why}", code="store.object_locked", hint=hint)


def not_found(connection: Connection, key: str, name: str, *, under_marker: bool) -> BackupError:
    """Return the error for the object `name` that is not there; what lies under a delete marker can be brought back.

    `under_marker`: whether the server said so. Not every server does: else its versions are looked at.
    """
    where = f"store {connection.store!r} (bucket {connection.options.bucket})"
    if not under_marker and not _lies_under_marker(connection, name):
        return BackupError(f"{key} is not in {where}", code="backup.not_found")
    message = f"{key} was removed from {where}: its former version lies under a delete marker"
    hint = "an administrator of the bucket can bring it back by removing the marker; see docs: s3"
    return BackupError(message, code="backup.not_found", hint=hint)


def require_unlisted(connection: Connection, key: str, name: str) -> None:
    """Return when the bucket does not list the object `name`, which cannot be opened, or cannot be listed.

    Raises StoreError (`store.unstable`) when it does: nobody knows whether what is listed and not found is there.
    """
    try:
        is_listed = any(found["Key"] == name for found in connection.objects(name))
    except OpsError:
        return
    if is_listed:
        message = f"store {connection.store!r} contradicts itself: it lists {key}, and does not find it"
        hint = "run it again in a while; if it stays, look at the server"
        raise StoreError(message, code="store.unstable", hint=hint)


def _lies_under_marker(connection: Connection, name: str) -> bool:
    try:
        if not has_versions(connection):
            return False
        answer = connection.call(
            "list_object_versions",
            f"look for versions of {name}",
            expect=_MAY_NOT_ASK,
            Prefix=name,
            MaxKeys=2,
        )
    except (ExpectedAnswerError, OpsError):
        return False
    return any(each.get("Key") == name and each.get("IsLatest") for each in answer.get("DeleteMarkers", ()))
