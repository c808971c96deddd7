"""Results as an operator reads them at three in the morning: the answer first, then why, then what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ops.errors import BackupError, OpsError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import is_closed
from ops.formats.manifest import payload_sha256
from ops.model.evidence import PARTIAL, Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import Manifest, Measures
from ops.report.tables import lay_out
from ops.units import format_duration, format_size, format_time

if TYPE_CHECKING:
    from ops.actions.backup import Taken
    from ops.actions.restore import Restored
    from ops.repository.backup import Backup

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MARKS: Final = {Severity.OK: "ok", Severity.WARNING: "WARNING", Severity.CRITICAL: "CRITICAL"}
_ALWAYS_SHOWN: Final = {
    "drill.kept",
    "backup.other_series",
    "series.adopted",
    "host.generated",
    "store.made_anew",
    "store.offline",
}
_SHORT_DIGEST: Final = 12


def printable(text: str) -> str:
    """`text` on one line: control characters and bytes that are no text are written as escapes."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table as wide as its content, the same in a terminal, a mail and a log."""
    return table_of({name: [row[number] for row in rows] for number, name in enumerate(columns)})


def table_of(columns: Mapping[str, Sequence[str]]) -> str:
    """The same table from its columns."""
    return lay_out(list(columns), [_printable_cells(cells) for cells in columns.values()])


def _printable_cells(cells: Sequence[str]) -> Sequence[str]:
    # Asked of all at once; what Python calls printable needs no escape.
    return cells if "".join(cells).isprintable() else [printable(cell) for cell in cells]


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Name and value a line, values aligned."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"  {name:<{width}}  {printable(value)}" for name, value in pairs)


def error_text(error: OpsError, source: str, typed: Callable[[str], str], word: str) -> str:
    """An error with its code, the next move, and the command to run as it is to be `typed`; `word`: how bad it is."""
    about = f" ({source})" if source else ""
    lines = [f"{word}{about}: {printable(error.message)}", f"  code  {error.code}"]
    lines += [f"  found {printable(line)}" for line in error.details]
    if error.hint:
        lines.append(f"  next  {printable(error.hint)}")
    if error.command:
        lines.append(f"  run   {printable(typed(error.command))}")
    for command, about in error.choices:
        lines += [f"  {printable(about)}:", f"    {printable(typed(command))}"]
    return "\n".join(lines)


def _tables(measures: Measures) -> str:
    """Rows of each table, and its digest where the backup has digests."""
    names = measures.tables.items()
    if not any(item.digest for item in measures.tables.values()):
        return table(["Table", "Rows"], [[name, str(item.rows)] for name, item in names])
    rows = [[name, str(item.rows), (item.digest or "-")[:_SHORT_DIGEST]] for name, item in names]
    return table(["Table", "Rows", "Content"], rows)


def _counted(manifest: Manifest) -> str:
    if is_closed(manifest):
        return "what it holds is encrypted, and no key opens it here"
    return f"{manifest.rows} in {len(manifest.measures.tables)} tables"


def _count(rows: int | None) -> str:
    return "?" if rows is None else str(rows)


def findings_text(findings: Sequence[Finding], *, all_of_them: bool = False) -> str:
    """What needs a look, one finding a line; with `all_of_them` also what was fine."""
    shown = [
        item
        for item in findings
        if all_of_them or item.severity is not Severity.OK or item.code in _ALWAYS_SHOWN
    ]
    return "\n".join(_finding_line(item) for item in shown)


def _finding_line(finding: Finding) -> str:
    line = f"  {_MARKS[finding.severity]:<8}  {printable(finding.message)}"
    if finding.where and finding.where not in finding.message:
        line += f"  [{printable(finding.where)}]"
    if finding.severity is Severity.OK:
        return f"{line}: {printable(finding.found)}" if finding.found else line
    if finding.expected or finding.found:
        line += f"  expected: {printable(finding.expected) or '-'}; found: {printable(finding.found) or '-'}"
    return f"{line}  ({finding.code})"


def taken_text(taken: Taken) -> str:
    """What `backup.create` did."""
    manifest = taken.backup.manifest
    pairs = [
        ("job", manifest.job_id),
        ("source", f"{manifest.source.name} ({manifest.source.kind}, {manifest.source.location})"),
        *((("scope", _part(manifest)),) if manifest.scope != "full" else ()),
        ("file", manifest.payload),
        ("store", f"{taken.backup.store.name} ({taken.backup.store.location})"),
        ("size", format_size(manifest.size)),
        ("rows", _counted(manifest)),
        ("sha256", payload_sha256(manifest)),
        ("duration", format_duration(manifest.duration_ms / 1000)),
        *(("needs", name) for name in _needed(manifest)),
    ]
    lines = [f"Backup of {manifest.source.name} taken", facts(pairs)]
    return "\n".join([*lines, *filter(None, [findings_text(taken.findings)])])


def evidence_text(evidence: Evidence) -> str:
    """A verify: the verdict, then every finding."""
    title = f"{evidence.backup} ({evidence.source.name}), {evidence.level}: {_verdict(evidence.verdict)}"
    pairs = [
        ("job", evidence.job_id),
        ("size", format_size(evidence.size)),
        ("rows", _count(evidence.rows)),
        ("sha256", evidence.payload_sha256),
        ("duration", format_duration(evidence.duration_ms / 1000)),
    ]
    return "\n".join([printable(title), facts(pairs), findings_text(evidence.findings, all_of_them=True)])


def _verdict(verdict: Verdict) -> str:
    return str(verdict) if verdict is Verdict.PASSED else str(verdict).upper()


def drills_text(drills: Sequence[Evidence]) -> str:
    """All drills of a run in one table, then what needs a look, then one sentence."""
    rows = [
        [
            drill.source.name,
            drill.backup,
            _verdict(drill.verdict) + (", partial" if drill.action == PARTIAL else ""),
            _count(drill.rows),
            format_size(drill.size),
            _against(drill.rto_ms, drill.rto_objective_ms),
            _against(drill.rpo_ms, drill.rpo_objective_ms),
            " ".join(f"{phase.name} {phase.duration_ms / 1000:.2f}" for phase in drill.phases),
        ]
        for drill in drills
    ]
    columns = ["Source", "Backup", "Verdict", "Rows", "Size", "RTO (promised)", "RPO (promised)", "Seconds"]
    parts = [table(columns, rows), *map(_drill_line, drills)]
    parts += [
        f"\n{drill.source.name}, {printable(drill.backup)}:\n{text}"
        for drill in drills
        if (text := findings_text(drill.findings))
    ]
    whole = [drill for drill in drills if drill.action != PARTIAL]
    if whole:
        passed = sum(drill.proves for drill in whole)
        parts.append(f"\n{passed} of {len(whole)} restored, checked and proven.")
    if len(whole) < len(drills):
        parts.append("\nOnly single tables were restored: nothing is proven by that.")
    return "\n".join(parts)


def _drill_line(drill: Evidence) -> str:
    took = format_duration(drill.duration_ms / 1000)
    return f"  {drill.source.name}: job {drill.job_id}, sha256 {drill.payload_sha256}, {took}"


def _against(taken_ms: int | None, objective_ms: int | None) -> str:
    taken = "-" if taken_ms is None else format_duration(taken_ms / 1000)
    return taken if objective_ms is None else f"{taken} ({format_duration(objective_ms / 1000)})"


def shown_text(backup: Backup) -> str:
    """One backup whole."""
    manifest = backup.manifest
    pairs = [
        ("source", f"{manifest.source.name} ({manifest.source.kind}, {manifest.source.location})"),
        ("job", manifest.job_id),
        ("created", format_time(manifest.created_at)),
        ("data as of", format_time(manifest.data_as_of)),
        ("size", format_size(manifest.size)),
        ("sha256", payload_sha256(manifest)),
        ("scope", _part(manifest)),
        ("tags", ", ".join(manifest.tags) or "-"),
        *(("needs", name) for name in _needed(manifest)),
        ("made by", " ".join(manifest.tool.values())),
        ("engine", ", ".join(f"{name} {value}" for name, value in manifest.measures.engine.items())),
        *((name, str(value)) for name, value in manifest.measures.facts.items()),
    ]
    history = [
        [
            item.action,
            format_time(item.started_at),
            _verdict(item.verdict),
            format_duration(item.duration_ms / 1000),
        ]
        for item in backup.evidence
    ]
    counted = _counted(manifest) if is_closed(manifest) else _tables(manifest.measures)
    parts = [printable(backup.name), facts(pairs), "", counted, ""]
    looks = (
        table(["Look", "When", "Verdict", "Took"], history) if history else "  never verified, never drilled"
    )
    return "\n".join([*parts, looks])


def _part(manifest: Manifest) -> str:
    """The scope, with what was chosen."""
    chosen = [
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in manifest.selection.items()
    ]
    return f"{manifest.scope} ({'; '.join(chosen)})" if chosen else manifest.scope


def _needed(manifest: Manifest) -> list[str]:
    try:
        return [need.backup for need in needs_of(manifest)]
    except BackupError as error:
        return [error.message]


def restored_text(backup: Backup, restored: Restored, job_id: str, duration_ms: int) -> str:
    """What `backup.restore` did, ending in the command that goes back, or goes on."""
    where = (
        "a scratch place (rehearsal: nothing else was touched)"
        if restored.target is None
        else restored.target
    )
    pairs = [
        ("job", job_id),
        ("backup", backup.name),
        ("source", backup.manifest.source.name),
        ("restored to", where),
        ("size", format_size(backup.manifest.size)),
        ("rows", _count(None if is_closed(backup.manifest) else backup.manifest.rows)),
        ("sha256", payload_sha256(backup.manifest)),
        ("duration", format_duration(duration_ms / 1000)),
    ]
    title = "Restore"
    if restored.accepted:
        title = f"Restore: NOT AS IT SHOULD BE, accepted: {', '.join(restored.accepted)}"
    parts = [title, facts(pairs), findings_text(restored.findings, all_of_them=True)]
    if restored.undo:
        parts.append(f"To go back:\n  {restored.undo}")
    if restored.next_command:
        parts.append(f"To do it for real:\n  {restored.next_command}")
    return "\n".join(parts)
