"""Drills as JUnit XML, for CI systems: one test suite a drill, one test case a finding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity
from ops.units import format_time

_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(drills: Sequence[Evidence]) -> bytes:
    """The XML document: critical findings are failures, blocking ones are skipped, other warnings are output."""
    root = ET.Element("testsuites", name="restore drills")
    for drill in drills:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_clean(f"{drill.source.name}: {drill.backup}"),
            tests=str(len(drill.findings)),
            failures=str(sum(item.severity is Severity.CRITICAL for item in drill.findings)),
            skipped=str(sum(item.blocking for item in drill.findings)),
            errors="0",
            time=f"{drill.duration_ms / 1000:.3f}",
            timestamp=format_time(drill.started_at),
            hostname=_clean(drill.host),
        )
        for number, finding in enumerate(drill.findings, 1):
            _add_case(suite, number, finding, drill)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add_case(suite: ET.Element, number: int, finding: Finding, drill: Evidence) -> None:
    name = _clean(f"{number:03} {finding.code} {finding.where}".strip())
    case = ET.SubElement(suite, "testcase", classname=f"drill.{drill.source.name}", name=name, time="0")
    text = _clean(f"{finding.message}\nexpected: {finding.expected}\nfound: {finding.found}")
    if finding.severity is Severity.CRITICAL:
        ET.SubElement(case, "failure", message=_clean(finding.message), type=finding.code).text = text
    elif finding.blocking:
        ET.SubElement(case, "skipped", message=_clean(finding.message))
    elif finding.severity is Severity.WARNING:
        ET.SubElement(case, "system-out").text = text


def _clean(text: str) -> str:
    """`text` with what XML cannot hold written as escapes."""
    return _NOT_IN_XML.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
