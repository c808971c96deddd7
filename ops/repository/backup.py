"""A stored backup and its records, and the catalogue of a store: values that all of this folder pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import is_sealed, plain_manifest
from ops.host.machine import is_generated
from ops.model.evidence import ONLY_TABLES, Evidence, Level, Pin
from ops.model.findings import Finding, Verdict
from ops.model.manifest import Manifest
from ops.model.series import first_version_series
from ops.ports.cipher import Cipher
from ops.ports.store import Store

OPENED: Final = "backup.opened"
"""The code of the finding that a sealed backup was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One stored backup: its manifest, the verifies and drills that were kept, oldest first, and its pins.

    `bad_pins`: the keys of pins that cannot be read; whatever they say, somebody wanted the backup to stay.
    `openers`: the ciphers of this machine, should it be sealed. `elsewhere`: stores in which what it needs is looked for, where its
    own does not have that. `needs_in`: the store that has what it needs, where it lies in a temporary folder itself.
    """

    store: Store
    manifest: Manifest
    evidence: tuple[Evidence, ...] = ()
    pins: tuple[Pin, ...] = ()
    bad_pins: tuple[str, ...] = ()
    openers: tuple[Cipher, ...] = ()
    elsewhere: tuple[Store, ...] = ()
    needs_in: Store | None = None

    @property
    def plain(self) -> Manifest:
        """The manifest of what is in it; the same as `manifest`, unless it is sealed."""
        return plain_manifest(self.manifest)

    @property
    def name(self) -> str:
        """The name that `backup.list` prints."""
        return self.manifest.payload

    @property
    def _looks(self) -> list[Evidence]:
        """The evidence about exactly these bytes, oldest first; of one moment what failed comes last, and so counts.

        In the order in which it was kept: a clock that was wrong makes no old look the newest.
        """
        digest = manifest_files.payload_sha256(self.manifest)
        mine = [item for item in self.evidence if item.payload_sha256 == digest]
        return sorted(mine, key=lambda item: (item.order, item.started_at, item.verdict is Verdict.FAILED))

    @property
    def order(self) -> tuple[int, datetime]:
        """Return what the backups of a store are ordered by: the sequence, and the time where that is the same."""
        return self.manifest.sequence, self.manifest.created_at

    def last(self, action: str) -> Evidence | None:
        """The newest evidence of `action` (`verify` or `drill`) about exactly these bytes."""
        return next((item for item in reversed(self._looks) if item.action == action), None)

    @property
    def proof(self) -> Evidence | None:
        """The drill that proves it: the newest that passed, unless a later look failed. No verdict takes nothing away."""
        proof = None
        for item in self._looks:
            if item.verdict is Verdict.FAILED:
                proof = None
            elif item.proves:
                proof = item
        return proof

    @property
    def proven(self) -> bool:
        """Whether a drill proves it."""
        return self.proof is not None

    @property
    def opened(self) -> bool | None:
        """Whether anybody has ever opened it; None for one that is not sealed."""
        if not is_sealed(self.manifest):
            return None
        return any(finding.code == OPENED for item in self._looks for finding in item.findings)

    @property
    def good(self) -> bool | None:
        """What the last verify or drill that reached a verdict on the backup itself said; None when there was none.

        One that failed is taken back only by a look that went as deep: stored bytes that are as recorded may hold a
        damaged database. What its data was expected to be says nothing here. Where no look reached a verdict, one that read every stored
        byte as recorded counts: a module that is missing on this machine makes no backup worse.
        """
        good, depth = None, 0
        for item in self._looks:
            if item.integrity is Verdict.FAILED:
                good, depth = False, max(depth, _depth(item)) if good is False else _depth(item)
            elif item.integrity is Verdict.PASSED and (good is not False or _depth(item) >= depth):
                good = True
        if good is None and any(item.read_whole for item in self._looks):
            return True
        return good

    @property
    def read_at(self) -> datetime | None:
        """When a look last read every stored byte as it was recorded."""
        return next((item.started_at for item in reversed(self._looks) if item.read_whole), None)

    @property
    def made_on(self) -> str:
        """The host on which it was made; empty where nobody said, and where the name was a container's.

        A manifest of version 1 does not say it; the look of its own job does, which `create --verify` kept.
        """
        origin = self.manifest.origin
        if origin is not None:
            return origin.host
        hosts = (item.host for item in self.evidence if item.job_id == self.manifest.job_id)
        return next((host for host in hosts if host and not is_generated(host)), "")

    def held_by(self, now: datetime) -> tuple[str, ...]:
        """The pins that hold it now, in words."""
        pinned = [
            f"pinned {f'until {pin.until:%Y-%m-%d}' if pin.until else 'until released'}: {pin.reason}"
            for pin in self.pins
            if pin.until is None or pin.until > now
        ]
        return (*pinned, *(f"pin {key} cannot be read" for key in self.bad_pins))


def _depth(evidence: Evidence) -> int:
    """How deep a look went: stored bytes and structure, or all of a restored copy.

    One of some tables takes back no more than a quick one; what it found wrong was found in a restored copy.
    """
    if evidence.level == ONLY_TABLES:
        return 2 if evidence.integrity is Verdict.FAILED else 1
    return 1 if evidence.level == Level.QUICK else 2


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The backups of a store, newest first by the sequence in their manifests, and what else lies there.

    `sizes`: bytes of each file in the store, by key.
    """

    backups: tuple[Backup, ...]
    findings: tuple[Finding, ...]
    sizes: Mapping[str, int]


def series_of(backup: Backup) -> str:
    """Return the series that a backup belongs to by its own word; in version 1 the one that follows from its name."""
    origin = backup.manifest.origin
    return origin.series if origin else first_version_series(backup.manifest.source, backup.made_on)
