"""What the snapshot tasks did and found, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ops.model.findings import Finding, Severity
from ops.report.documents import findings_document
from ops.report.printable import printable
from ops.report.screen import screen
from ops.report.text import facts, findings_text, table_of
from ops.snapshots.excerpt import header_difference
from ops.units import format_duration, format_size

if TYPE_CHECKING:
    from ops.snapshots.compare_checksums import Looked, Mismatch
    from ops.snapshots.create import Written
    from ops.snapshots.excerpt import Excerpt
    from ops.snapshots.folder_verify import Compared
    from ops.snapshots.purge import Kept, Purged
    from ops.snapshots.restore_verify import Proof
    from ops.snapshots.update import Changes
    from ops.snapshots.verify import Verified


def written_document(written: Written, job_id: str, elapsed_s: float) -> dict[str, object]:
    """What `snapshot.create` did."""
    return {
        "job_id": job_id,
        "status": str(written.status),
        "elapsed_sec": round(elapsed_s, 3),
        "snapshot": str(written.path),
        "rows": written.rows,
        "size": written.size,
        "sha256": written.sha256,
    }


def written_text(written: Written, job_id: str, elapsed_s: float) -> str:
    """The same for people."""
    if screen().is_brief:
        facts_of_it = f"{written.rows} rows, {format_size(written.size)}, {format_duration(elapsed_s)}"
        line = f"{written.path}: {written.status}, {facts_of_it}, job {job_id}, sha256 {written.sha256}"
        return printable(line)
    pairs = [
        ("job", job_id),
        ("file", str(written.path)),
        ("rows", str(written.rows)),
        ("size", format_size(written.size)),
        ("sha256", written.sha256),
        ("duration", format_duration(elapsed_s)),
    ]
    return f"Snapshot {written.status}\n{facts(pairs)}"


def verified_document(verified: Verified, changes: Changes | None) -> dict[str, object]:
    """What `snapshot.verify` found in a folder of snapshots; `changes` is null unless the manifest was to be written."""
    return {
        "folder": str(verified.folder),
        "manifest": None if verified.manifest is None else str(verified.manifest),
        "changes": None if changes is None else changes_document(changes),
        "snapshots": [_looked_document(item) for item in verified.looked],
    }


def changes_document(changes: Changes) -> dict[str, object]:
    """Which paths are new, others, or gone."""
    return {"added": changes.added, "changed": changes.changed, "removed": changes.removed}


def _looked_document(looked: Looked) -> dict[str, object]:
    return {
        "snapshot": looked.path,
        "sha256": looked.sha256,
        "size": looked.size,
        "findings": findings_document(looked.findings),
        "mismatches": mismatches_document(looked.mismatches),
    }


def mismatches_document(mismatches: Sequence[Mismatch]) -> list[dict[str, object]]:
    """Each record that a file is not what it says, with what is left of both contents."""
    return [
        {
            "record": item.record,
            "expected": item.expected,
            "found": item.found,
            "expected_header": None if item.then is None else item.then.header,
            "found_header": None if item.now is None else item.now.header,
            "expected_tail": None if item.then is None else item.then.tail,
            "found_tail": None if item.now is None else item.now.tail,
        }
        for item in mismatches
    ]


def verified_text(verified: Verified, changes: Changes | None) -> str:
    """The same for people: what is wrong first, then how many were right."""
    parts = [] if changes is None else [changes_text(changes)]
    right = 0
    for looked in verified.looked:
        if all(finding.severity is Severity.OK for finding in looked.findings):
            right += 1
        else:
            parts.append(_looked_text(looked))
    if text := findings_text(verified.findings):
        parts.append(text)
    against = f" and {printable(str(verified.manifest))}" if verified.manifest else ""
    parts.append(
        f"{right} of {len(verified.looked)} snapshots in {printable(str(verified.folder))} are what is recorded"
        f" (checksum files{against})"
    )
    return "\n".join(parts)


def changes_text(changes: Changes) -> str:
    """A line for each path that a new manifest says something else about."""
    lines = [
        f"  {word:<8}  {printable(path)}"
        for word, paths in (
            ("added", changes.added),
            ("changed", changes.changed),
            ("removed", changes.removed),
        )
        for path in paths
    ]
    return "\n".join(["Manifest written anew:", *lines]) if lines else "Manifest: nothing changed"


def _looked_text(looked: Looked) -> str:
    problems = [finding for finding in looked.findings if finding.severity is not Severity.OK]
    return "\n".join(
        [
            printable(looked.path),
            findings_text(problems),
            *mismatch_lines(looked.mismatches),
        ]
    )


def mismatch_lines(mismatches: Sequence[Mismatch]) -> Iterator[str]:
    """Of each record both digests; then, once, the difference of the headers and the last lines of both contents."""
    for item in mismatches:
        yield f"  {item.record}"
        yield f"    expected  {item.expected}"
        yield f"    found     {item.found}"
    if not mismatches:
        return
    then = next((item.then for item in mismatches if item.then is not None), None)
    now = mismatches[0].now
    if then is None:
        yield "  of the original nothing is left but its digest: there is no header and no line to compare with"
    elif now is not None:
        yield f"  header: {printable(header_difference(then.header, now.header)) or 'the same'}"
        yield from _tail("last lines as recorded", then)
    if now is not None:
        if then is None:
            yield f"  header now: {printable(now.header)}"
        yield from _tail("last lines now", now)


def _tail(title: str, excerpt: Excerpt) -> Iterator[str]:
    yield f"  {title}:"
    for line in excerpt.tail:
        yield f"    {printable(line)}"


def compared_document(compared: Compared) -> dict[str, object]:
    """What `snapshot.verify --path` found, or wrote."""
    return {
        "folder": str(compared.folder),
        "manifest": str(compared.manifest),
        "written": compared.written,
        "things": compared.things,
        "changes": changes_document(compared.changes),
        "findings": findings_document(compared.findings),
    }


def compared_text(compared: Compared, *, update: bool) -> str:
    """The same for people."""
    title = f"{printable(str(compared.folder))}, {compared.things} files, links and others"
    parts = [title, f"  manifest  {printable(str(compared.manifest))}"]
    if update:
        parts.append(changes_text(compared.changes))
    parts.append(findings_text(compared.findings, all_of_them=not update))
    return "\n".join(filter(None, parts))


def purged_document(purged: Purged, *, dry_run: bool) -> dict[str, object]:
    """The plan of `snapshot.purge`, and what is gone."""
    return {
        "dry_run": dry_run,
        "plan": [
            {
                "snapshot": item.path.name,
                "series": item.series,
                "day": item.day.isoformat(),
                "size": item.size,
                "goes": item.goes,
                "why": item.why,
            }
            for item in purged.plan
        ],
        "removed": [path.name for path in purged.removed],
        "findings": findings_document(purged.findings),
    }


def purged_text(purged: Purged, *, dry_run: bool) -> str:
    """The same for people."""
    parts = [_plan_table(purged.plan)] if purged.plan else []
    parts.append(findings_text(purged.findings))
    going = [item for item in purged.plan if item.goes]
    if dry_run:
        size = format_size(sum(item.size for item in going))
        parts.append(
            f"Would remove {len(going)} of {len(purged.plan)} snapshots ({size}); nothing was changed."
        )
    else:
        parts.append(f"{len(purged.removed)} of {len(purged.plan)} snapshots removed.")
    return "\n".join(filter(None, parts))


def _plan_table(plan: Sequence[Kept]) -> str:
    columns = {
        "Snapshot": [item.path.name for item in plan],
        "Day": [item.day.isoformat() for item in plan],
        "Size": [format_size(item.size) for item in plan],
        "": ["remove" if item.goes else "keep" for item in plan],
        "Because": [item.why for item in plan],
    }
    return table_of(columns, ("Snapshot", "", "Because"))


def proof_document(proof: Proof, job_id: str) -> dict[str, object]:
    """What `snapshot.restore-verify` found."""
    return {
        "job_id": job_id,
        "snapshot": str(proof.path),
        "rows": proof.rows,
        "columns": proof.columns,
        "sha256": proof.sha256,
        "findings": findings_document(proof.findings),
        "mismatches": mismatches_document(proof.mismatches),
    }


def proof_text(proof: Proof, verdict: str, job_id: str) -> str:
    """The same for people; `verdict` is the answer in a word."""
    pairs = [("job", job_id), ("rows", str(proof.rows)), ("sha256", proof.sha256 or "-")]
    findings: Sequence[Finding] = proof.findings
    if screen().is_brief:
        line = f"{proof.path}: {verdict}, {proof.rows} rows, job {job_id}, sha256 {proof.sha256 or '-'}"
        said = [findings_text(findings), *mismatch_lines(proof.mismatches)]
        return "\n".join(filter(None, [printable(line), *said]))
    return "\n".join(
        [
            f"{printable(str(proof.path))}: {verdict}",
            facts(pairs),
            findings_text(findings, all_of_them=True),
            *mismatch_lines(proof.mismatches),
        ]
    )
