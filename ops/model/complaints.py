"""What an engine complained of on the source itself, what the operator knows of, and what may be accepted. Pure.

A complaint about a restored copy is the source's own (`inherited`) only where `create` saw the same one on the source
and recorded it. That the copy's bytes are those that were captured proves nothing: a torn capture has a fitting SHA-256,
too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest

KEY: Final = "complaints"
"""Where a manifest keeps what was complained of on the source."""
DAMAGE: Final = frozenset(("postgres.damaged", "sqlite.damaged"))
COMPLAINTS: Final = DAMAGE | {"sqlite.constraint", "sqlite.foreign_key", "sqlite.foreign_key_mismatch"}
"""What an engine may complain of in bytes that are those that were captured."""
DIFFERENCES: Final = frozenset(
    (
        "measure.content_differs",
        "measure.fact_differs",
        "measure.rows_differ",
        "measure.table_extra",
        "measure.table_missing",
        "postgres.definition_differs",
        "postgres.newest",
        "postgres.object_missing",
        "postgres.owner_differs",
        "postgres.sequence_differs",
    )
)
"""In what a copy may differ from the manifest after a load that ended clean; an unclean one is never accepted."""
ACCEPTABLE: Final = COMPLAINTS | DIFFERENCES
"""All that may be accepted: never bytes, a key, a manifest or a chain."""
_UNLOOKED: Final = frozenset(("sqlite.not_counted", "sqlite.not_installed", "sqlite.not_loaded"))
KNOWABLE: Final = ACCEPTABLE | _UNLOOKED
"""All that may be known: beside that, what cannot be looked at without what only the application has."""
REMAINS: Final = "backup.checksum_mismatch"
"""What a restore into a new place may be told to accept, to take out what is left of a damaged only copy."""
ACCEPTED: Final = "ACCEPTED: "
"""How the message of a finding begins that a restore was told to accept."""
_UNPROVEN: Final = "a drill proves nothing until it is known (runbook: The source has a fault)"
_CHAINED: Final = "-chain"
"""How the names of digest algorithms end that are the heads of chains."""
_RECORDED_FROM: Final = 2
"""The first version of manifests in which a complaint that is not recorded was not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The operator's word that a finding about one source is known: for this `where` alone, to the end of `until`."""

    code: str
    where: str
    reason: str
    until: date | None = None

    def ended(self, today: date) -> bool:
        """Return whether it holds no more."""
        return self.until is not None and today > self.until

    @property
    def text(self) -> str:
        """Reason and end, for messages."""
        return f"{self.reason}, until {self.until}" if self.until else self.reason


def complaints_document(findings: Iterable[Finding]) -> dict[str, object]:
    """Return what a manifest records of complaints; empty where there are none.

    One that is about nothing in particular, because there were too many to compare, is not recorded.
    """
    found = [
        {"code": item.code, "where": item.where, "message": item.message}
        for item in findings
        if item.code in COMPLAINTS and item.where and item.severity is not Severity.OK
    ]
    return {KEY: found} if found else {}


def recorded_in(manifest: Manifest) -> frozenset[tuple[str, str, str]]:
    """Return code, place and words of all that was complained of on the source; what nobody understands is left aside."""
    listed = manifest.extra.get(KEY)
    if not isinstance(listed, list):
        return frozenset()
    found = set()
    for item in listed:
        if isinstance(item, Mapping):
            code, where, message = item.get("code"), item.get("where"), item.get("message")
            if not (isinstance(code, str) and isinstance(where, str) and isinstance(message, str)):
                continue
            if code in COMPLAINTS and where:
                found.add((code, where, message))
    return frozenset(found)


def settled(
    findings: Iterable[Finding], manifest: Manifest, known: Sequence[Known], today: date
) -> list[Finding]:
    """Return the findings of a look: the source's own as warnings, and as warnings what the operator knows of."""
    recorded = recorded_in(manifest)
    found = [_known(_inherited(item, manifest, recorded), manifest, known, today) for item in findings]
    return [
        replace(item, message=f"{item.message}; {_UNPROVEN}") if unproven_damage([item]) else item
        for item in found
    ]


def _inherited(item: Finding, manifest: Manifest, recorded: frozenset[tuple[str, str, str]]) -> Finding:
    if item.severity is Severity.OK:
        return item
    if (item.code, item.where, item.message) in recorded:
        message = f"{item.message}; the source had it when it was backed up"
        return replace(item, severity=Severity.WARNING, blocking=False, inherited=True, message=message)
    if manifest.version < _RECORDED_FROM and item.code == "sqlite.foreign_key":
        # Nothing was recorded then, and no restore was refused for it.
        return replace(item, inherited=True)
    return item


def _known(item: Finding, manifest: Manifest, known: Sequence[Known], today: date) -> Finding:
    if item.severity is Severity.OK or not (item.code in _UNLOOKED or may_be_accepted(item, manifest)):
        return item
    if item.code in DAMAGE and not item.inherited:
        # Known is the source's damage, and nobody has seen that this is the source's.
        return item
    for entry in known:
        if (entry.code, entry.where) == (item.code, item.where) and not entry.ended(today):
            message = f"{item.message}; known: {entry.text}"
            return replace(item, severity=Severity.WARNING, blocking=False, known=True, message=message)
    return item


def may_be_accepted(item: Finding, manifest: Manifest) -> bool:
    """Return whether somebody's word makes a finding a warning: it is on the list, and no chain differs."""
    if item.code in DIFFERENCES:
        return not (manifest.measures.digest_algorithm or "").endswith(_CHAINED)
    return item.code in COMPLAINTS


def accepted(findings: Iterable[Finding], manifest: Manifest, codes: Sequence[str]) -> list[Finding]:
    """Return the findings with what a restore was told to accept as warnings, told as that."""
    return [
        accept(item)
        if item.severity is Severity.CRITICAL and item.code in codes and may_be_accepted(item, manifest)
        else item
        for item in findings
    ]


def accept(item: Finding) -> Finding:
    """Return a critical finding as a warning that says that it was accepted."""
    return replace(item, severity=Severity.WARNING, message=f"{ACCEPTED}{item.message}")


def unproven_damage(findings: Iterable[Finding]) -> bool:
    """Return whether the source's own damage is among the findings, and nobody has said that it is known."""
    return any(
        item.code in DAMAGE and item.severity is Severity.WARNING and not item.known for item in findings
    )


def damage_recorded_in(manifest: Manifest) -> list[Finding]:
    """Return the damage of the source that its manifest records, for kinds whose copies do not show it."""
    return [
        Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)
        for code, where, message in sorted(recorded_in(manifest))
        if code in DAMAGE
    ]
