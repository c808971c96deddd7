"""What was looked at and what was there: findings, their severity, the verdict that follows. Imports nothing of ours."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad one finding is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Verdict(enum.StrEnum):
    """What a verify or drill says about a backup."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what was there.

    `blocking` marks a warning that leaves the question open (no verdict can be reached), as a missing
    SQLite module does. `inherited` marks what was seen and recorded on the source itself: the copy is faithful, and
    that is no reason to refuse a restore in an emergency. `known` marks what the operator has said to know of. `member`: of
    which source of a backup of several it is said (empty: of none, or of all).
    `hint`: what to do, where that is more than the usual next move of the code (`ops.report.next_moves`).
    """

    severity: Severity
    code: str
    message: str
    where: str = ""
    expected: str = ""
    found: str = ""
    blocking: bool = False
    inherited: bool = False
    known: bool = False
    member: str = ""
    hint: str = ""


def worst(findings: tuple[Finding, ...] | list[Finding]) -> Severity:
    """The most serious severity among findings; OK when there are none."""
    found = {finding.severity for finding in findings}
    for severity in (Severity.CRITICAL, Severity.WARNING):
        if severity in found:
            return severity
    return Severity.OK


def verdict_of(findings: tuple[Finding, ...] | list[Finding]) -> Verdict:
    """FAILED when a finding is critical, else INCONCLUSIVE when one leaves the question open, else PASSED."""
    if worst(findings) is Severity.CRITICAL:
        return Verdict.FAILED
    if any(finding.blocking for finding in findings):
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED
