"""What a bucket keeps of what is pruned: nothing is called deleted that is still there, and the day is told when it goes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ops.actions.prune import Pruned, PruneRequest, prune
from ops.errors import StoreError
from ops.formats.names import manifest_key
from ops.model.findings import Finding, Severity
from ops.ports.removal import BucketProtection, ObjectProtection
from ops.report.retention import pruned_document, pruned_text
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, stored_backup

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
PLAIN = BucketProtection(
    versioning=False, retention=None, retention_known=True, old_versions_end_after=None, lifecycle_known=True
)
FREE = ObjectProtection(None, held=False)


@dataclass(slots=True)
class Keeping(MemoryStore):
    """A bucket with protection of its own."""

    bucket: BucketProtection = PLAIN
    objects: dict[str, ObjectProtection] = field(default_factory=dict)
    mute: bool = False

    def bucket_protection(self) -> BucketProtection:
        """What it does with what is removed."""
        if self.mute:
            raise StoreError("no answer", code="store.unreachable")
        return self.bucket

    def protection_of(self, key: str) -> ObjectProtection:
        """What keeps one file."""
        return self.objects.get(key, FREE)


def pruned(store: Keeping) -> Pruned:
    """Keep the newest of four."""
    for days in range(4, 0, -1):
        looked_at(stored_backup(store, NOW - timedelta(days=days)))
    request = PruneRequest(whose=WHOSE, policy=Policy(keep_last=1))
    return prune(Repository(store=store), request, Job(clock=lambda: NOW))


def said(done: Pruned, code: str) -> list[Finding]:
    """The findings with that code."""
    return [item for item in done.findings if item.code == code]


def test_without_versions_what_is_deleted_is_gone() -> None:
    """Nothing more is said."""
    done = pruned(Keeping())
    assert (len(done.deleted), done.hidden, said(done, "prune.versions")) == (3, False, [])
    assert pruned_document(done, dry_run=False)["freed"] == done.freed > 0
    assert "3 of 4 backups of prices deleted" in pruned_text(done, NOW, dry_run=False)


VERSIONED = replace(PLAIN, versioning=True)


@pytest.mark.parametrize(
    ("bucket", "hidden", "severity", "words"),
    [
        (VERSIONED, True, Severity.WARNING, "no rule of the bucket removes them"),
        (replace(VERSIONED, lifecycle_known=False), True, Severity.WARNING, "may not ask"),
        (
            replace(VERSIONED, old_versions_end_after=timedelta(days=30)),
            True,
            Severity.OK,
            "after 30 days, on 2026-07-30",
        ),
        (replace(PLAIN, versioning=None), False, Severity.OK, "may not ask (s3:GetBucketVersioning)"),
    ],
)
def test_versions(bucket: BucketProtection, hidden: bool, severity: Severity, words: str) -> None:
    """Hidden bytes are called hidden: a warning where nothing ends them, else the day when their room is free."""
    done = pruned(Keeping(bucket=bucket))
    (finding,) = said(done, "prune.versions")
    assert (finding.severity, done.hidden, len(done.deleted)) == (severity, hidden, 3)
    assert words in finding.message
    text, document = pruned_text(done, NOW, dry_run=False), pruned_document(done, dry_run=False)
    assert ("deleted" in text) is not hidden
    assert (document["freed"], document["hidden"]) == ((0, done.freed) if hidden else (done.freed, 0))


def test_a_bucket_that_does_not_answer() -> None:
    """What could not be asked is a warning, and what was deleted stays told."""
    done = pruned(Keeping(mute=True))
    assert len(done.deleted) == 3
    assert [item.severity for item in said(done, "prune.versions")] == [Severity.WARNING]


@pytest.mark.parametrize("on", ["payload", "manifest"])
@pytest.mark.parametrize(
    ("protection", "code", "words"),
    [
        (ObjectProtection(None, held=True), "prune.held", "legal hold"),
        (ObjectProtection(NOW + timedelta(days=5), held=True), "prune.held", "legal hold"),
        (ObjectProtection(NOW + timedelta(days=5), held=False), "prune.locked", "2026-07-05"),
    ],
)
def test_what_is_held_stays(protection: ObjectProtection, code: str, words: str, on: str) -> None:
    """A backup of which one file is held or locked stays whole, is shown with the reason, and is no warning."""
    store = Keeping()
    name = stored_backup(store, NOW - timedelta(days=5)).name
    store.objects[name if on == "payload" else manifest_key(name)] = protection
    done = pruned(store)
    (finding,) = said(done, code)
    assert (finding.severity, finding.where) == (Severity.OK, name)
    assert words in finding.message
    assert {name, manifest_key(name)} <= set(store.files)
    assert name not in done.deleted


def test_a_lock_that_has_ended_holds_nothing() -> None:
    """A time that has passed keeps nothing."""
    store = Keeping()
    name = stored_backup(store, NOW - timedelta(days=5)).name
    store.objects[name] = ObjectProtection(NOW - timedelta(seconds=1), held=False)
    assert name in pruned(store).deleted
