"""What a process ends with, and the word for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.model.findings import Finding, Severity, Verdict, worst

OK: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
WORDS: Final = {OK: "ok", WARNING: "warning", CRITICAL: "critical"}


def exit_code_of(findings: Sequence[Finding], verdict: Verdict | None = None) -> int:
    """Return 0, 1 or 2 for what was found: the worst finding, and at least 1 without a verdict."""
    if verdict is Verdict.FAILED or worst(list(findings)) is Severity.CRITICAL:
        return CRITICAL
    if verdict is Verdict.INCONCLUSIVE or worst(list(findings)) is Severity.WARNING:
        return WARNING
    return OK
