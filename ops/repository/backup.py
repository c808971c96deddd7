"""A stored backup and its records, and the catalogue of a store: values that all of this folder pass on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import is_sealed, plain_manifest
from ops.model.evidence import Evidence, Pin
from ops.model.findings import Finding, Verdict
from ops.model.manifest import Manifest
from ops.ports.cipher import Cipher
from ops.ports.store import Store

OPENED: Final = "backup.opened"
"""The code of the finding that a sealed backup was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One stored backup: its manifest, the verifies and drills that were kept, oldest first, and its pins.

    `bad_pins`: the keys of pins that can not be read; whatever they say, somebody wanted the backup to stay.
    `openers`: the ciphers of this machine, should it be sealed.
    """

    store: Store
    manifest: Manifest
    evidence: tuple[Evidence, ...] = ()
    pins: tuple[Pin, ...] = ()
    bad_pins: tuple[str, ...] = ()
    openers: tuple[Cipher, ...] = ()

    @property
    def plain(self) -> Manifest:
        """The manifest of what is in it; the same as `manifest`, unless it is sealed."""
        return plain_manifest(self.manifest)

    @property
    def name(self) -> str:
        """The name that `backup.list` prints."""
        return self.manifest.payload

    def last(self, action: str) -> Evidence | None:
        """The newest evidence of `action` (`verify` or `drill`) about exactly these bytes."""
        digest = manifest_files.payload_sha256(self.manifest)
        kept = [item for item in self.evidence if item.action == action and item.payload_sha256 == digest]
        return max(kept, key=lambda item: item.started_at, default=None)

    @property
    def proven(self) -> bool:
        """Whether its last drill passed."""
        drill = self.last("drill")
        return drill is not None and drill.verdict is Verdict.PASSED

    @property
    def opened(self) -> bool | None:
        """Whether anybody has ever opened it; None for one that is not sealed."""
        if not is_sealed(self.manifest):
            return None
        digest = manifest_files.payload_sha256(self.manifest)
        mine = [item for item in self.evidence if item.payload_sha256 == digest]
        return any(finding.code == OPENED for item in mine for finding in item.findings)

    @property
    def good(self) -> bool | None:
        """What the last verify or drill that reached a verdict said; None when there was none."""
        digest = manifest_files.payload_sha256(self.manifest)
        decided = [
            item
            for item in self.evidence
            if item.payload_sha256 == digest and item.verdict is not Verdict.INCONCLUSIVE
        ]
        last = max(decided, key=lambda item: item.started_at, default=None)
        return None if last is None else last.verdict is Verdict.PASSED

    def held_by(self, now: datetime) -> tuple[str, ...]:
        """The pins that hold it now, in words."""
        pinned = [
            f"pinned {f'until {pin.until:%Y-%m-%d}' if pin.until else 'until released'}: {pin.reason}"
            for pin in self.pins
            if pin.until is None or pin.until > now
        ]
        return (*pinned, *(f"pin {key} can not be read" for key in self.bad_pins))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The backups of a store, newest first by the time in their manifests, and what else lies there."""

    backups: tuple[Backup, ...]
    findings: tuple[Finding, ...]
