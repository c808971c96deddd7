"""Results as an operator reads them at three in the morning: the answer first, then why, then what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ops.errors import BackupError, OpsError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import is_closed
from ops.formats.manifest import payload_sha256
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import Manifest, TableMeasure
from ops.report.lines import evidence_line, restored_line, taken_line, verdict_text
from ops.report.next_moves import move_of, usual_move
from ops.report.printable import printable
from ops.report.screen import screen
from ops.report.tables import fitted, lay_out
from ops.units import format_duration, format_size, format_time

if TYPE_CHECKING:
    from ops.actions.backup import Taken
    from ops.actions.restore import Restored
    from ops.repository.backup import Backup

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
_FOR_RECORDS: Final = {"job", "sha256"}
"""Facts that no person reads, and every record needs."""
_NEXT: Final = "  next"
_TASK: Final = re.compile(r"\b(?:backup|store|snapshot)\.[a-z-]+\b")
_INDENT: Final = 12
"""Where the message of a finding begins."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> str:
    """Return a table: as wide as its content in a mail and a log, within its width on a terminal."""
    return table_of({name: [row[number] for row in rows] for number, name in enumerate(columns)}, first)


def table_of(columns: Mapping[str, Sequence[str]], first: Sequence[str] = ()) -> str:
    """Return the same table from its columns; `first` are those that a narrow terminal shows too (without it, all)."""
    cells = {name: _printable_cells(column) for name, column in columns.items()}
    on = screen()
    if on.width is None:
        return lay_out(list(cells), list(cells.values()))
    return fitted(cells, on.width, first, everything=on.verbose)


def _printable_cells(cells: Sequence[str]) -> Sequence[str]:
    # Asked of all at once; what Python calls printable needs no escape.
    return cells if "".join(cells).isprintable() else [printable(cell) for cell in cells]


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return name and value a line, values aligned; job ids and digests on a terminal only with `--verbose`."""
    on = screen()
    shown = [pair for pair in pairs if on.verbose or not on.is_terminal or pair[0] not in _FOR_RECORDS]
    width = max(len(name) for name, _ in shown)
    # What has a path in it is there to be copied.
    lines = [
        (f"  {name:<{width}}  {printable(value)}", " " in value and "/" not in value) for name, value in shown
    ]
    return "\n".join(on.folded(line, width + 4) if can_be_folded else line for line, can_be_folded in lines)


def error_text(error: OpsError, source: str, typed: Callable[[str], str], word: str) -> str:
    """Return an error with its code, the next move, and the command to run as it is to be `typed`; `word`: how bad it is."""
    about = f" ({source})" if source else ""
    fold = screen().folded
    lines = [fold(f"{word}{about}: {printable(error.message)}", 2), f"  code  {error.code}"]
    lines += [fold(f"  found {printable(line)}", 8) for line in error.details]
    if hint := error.hint or ("" if error.command or error.choices else usual_move(error.code)):
        lines.append(fold(f"  next  {printable(hint)}", 8))
    if error.command:
        lines.append(f"  run   {printable(typed(error.command))}")
    for command, about in error.choices:
        lines += [f"  {printable(about)}:", f"    {printable(typed(command))}"]
    return "\n".join(lines)


def _tables(tables: Mapping[str, TableMeasure]) -> str:
    """Rows of each table, and its digest where the backup has digests."""
    names = tables.items()
    if not any(item.digest for item in tables.values()):
        return table(["Table", "Rows"], [[name, str(item.rows)] for name, item in names])
    rows = [[name, str(item.rows), (item.digest or "-")[:_SHORT_DIGEST]] for name, item in names]
    return table(["Table", "Rows", "Content"], rows)


def _counted(manifest: Manifest) -> str:
    if is_closed(manifest):
        return "what it holds is encrypted, and no key opens it here"
    return f"{manifest.rows} in {len(manifest.tables)} tables"


def count_text(rows: int | None) -> str:
    """Return how many rows, or a question mark where nobody knows."""
    return "?" if rows is None else str(rows)


def findings_text(findings: Sequence[Finding], *, all_of_them: bool = False, source: str = "") -> str:
    """Return what needs a look, one finding a line with the next move below it; `source`: whose findings they are.

    With `all_of_them` also what was fine, where a person sees it. Several findings with one next move share it.
    """
    everything = all_of_them and not screen().is_brief
    shown = [
        item
        for item in findings
        if everything or item.severity is not Severity.OK or item.code in _ALWAYS_SHOWN
    ]
    moves = [_untold_move(item, source) for item in shown]
    lines = []
    for number, (item, move) in enumerate(zip(shown, moves, strict=True), 1):
        lines.append(screen().folded(_finding_line(item), _INDENT))
        if move and moves[number : number + 1] != [move]:
            lines.append(screen().folded(f"  {_NEXT:<8}  {printable(move)}", _INDENT))
    return "\n".join(lines)


def _untold_move(finding: Finding, source: str) -> str:
    """The next move, unless the message names the very task to run."""
    move = move_of(finding, source)
    task = _TASK.search(move)
    return "" if task and task[0] in finding.message else move


def _finding_line(finding: Finding) -> str:
    line = f"  {_MARKS[finding.severity]:<8}  {printable(finding.message)}"
    if finding.where and finding.where not in finding.message:
        line += f"  [{printable(finding.where)}]"
    if finding.severity is Severity.OK:
        return f"{line}: {printable(finding.found)}" if finding.found else line
    if finding.expected or finding.found:
        line += f"  expected: {printable(finding.expected) or '-'}; found: {printable(finding.found) or '-'}"
    return f"{line}  ({finding.code})"


def taken_text(taken: Taken, looked: Evidence | None = None) -> str:
    """Return what `backup.create` did, and what the verify came to that followed."""
    findings = [findings_text(taken.findings, source=taken.backup.manifest.source.name)]
    if screen().is_brief:
        if looked is not None:
            findings.append(findings_text(looked.findings, source=looked.source.name))
        return "\n".join([taken_line(taken, looked), *filter(None, findings)])
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
    parts = [f"Backup of {manifest.source.name} taken", facts(pairs), *findings]
    if looked is not None:
        parts.append(evidence_text(looked))
    return "\n".join(filter(None, parts))


def stored_text(evidence: Evidence) -> str:
    """Return what a look at the stored, encrypted backup came to, after that at the copy that it was made of."""
    if screen().is_brief and evidence.verdict is Verdict.PASSED:
        return findings_text(evidence.findings, source=evidence.source.name)
    return evidence_text(evidence)


def evidence_text(evidence: Evidence) -> str:
    """Return a verify: the verdict, then every finding."""
    if screen().is_brief:
        said = findings_text(evidence.findings, source=evidence.source.name)
        return "\n".join(filter(None, [evidence_line(evidence), said]))
    title = f"{evidence.backup} ({evidence.source.name}), {evidence.level}: {verdict_text(evidence.verdict)}"
    pairs = [
        ("job", evidence.job_id),
        ("size", format_size(evidence.size)),
        ("rows", count_text(evidence.rows)),
        ("sha256", evidence.payload_sha256),
        ("duration", format_duration(evidence.duration_ms / 1000)),
    ]
    said = findings_text(evidence.findings, all_of_them=True, source=evidence.source.name)
    return "\n".join([printable(title), facts(pairs), said])


def shown_text(backup: Backup, restore: str) -> str:
    """Return one backup whole, and the command that restores it."""
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
            verdict_text(item.verdict),
            format_duration(item.duration_ms / 1000),
        ]
        for item in backup.evidence
    ]
    counted = _counted(manifest) if is_closed(manifest) else _tables(manifest.tables)
    parts = [printable(backup.name), facts(pairs), "", counted, ""]
    looks = (
        table(["Look", "When", "Verdict", "Took"], history) if history else "  never verified, never drilled"
    )
    return "\n".join([*parts, looks, "", f"To restore it:\n  {printable(restore)}"])


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
    where = _restored_to(restored)
    if screen().is_brief and not restored.accepted:
        line = restored_line(backup, restored.rows, where, job_id, duration_ms)
        return "\n".join([line, *_after_restore(backup, restored)])
    pairs = [
        ("job", job_id),
        ("backup", backup.name),
        ("source", backup.manifest.source.name),
        ("restored to", where),
        ("size", format_size(backup.manifest.size)),
        ("rows", count_text(restored.rows)),
        ("sha256", payload_sha256(backup.manifest)),
        ("duration", format_duration(duration_ms / 1000)),
    ]
    title = "Restore"
    if restored.accepted:
        title = f"Restore: NOT AS IT SHOULD BE, accepted: {', '.join(restored.accepted)}"
    return "\n".join([title, facts(pairs), *_after_restore(backup, restored)])


def _restored_to(restored: Restored) -> str:
    if restored.target is not None:
        return restored.target
    if restored.verdict is Verdict.PASSED:
        return "a scratch place (rehearsal: nothing else was touched)"
    verdict = "INCONCLUSIVE" if restored.verdict is Verdict.INCONCLUSIVE else "FAILED"
    return f"nothing: the rehearsal is {verdict}, and nothing was touched"


def _after_restore(backup: Backup, restored: Restored) -> list[str]:
    source = backup.manifest.source.name
    parts = [findings_text(restored.findings, all_of_them=True, source=source)]
    if restored.undo:
        parts.append(f"To go back:\n  {restored.undo}")
    if restored.next_command:
        parts.append(f"To do it for real:\n  {restored.next_command}")
    return [*filter(None, parts)]
