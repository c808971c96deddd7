"""The answers of the tasks about snapshots, ingest jobs, the machine and the demo."""

from __future__ import annotations

from typing import Any, Final

from tests.schemas.shapes import (
    CODE,
    COUNT,
    FINDINGS,
    INTEGER,
    NUMBER,
    SECONDS,
    SHA256,
    TEXT,
    TIME,
    TRUTH,
    YES,
    Schema,
    answer,
    each,
    maybe,
    names_to,
    ref,
    said,
    table,
    words,
)

_POSITIVE: Final[Schema] = {"type": "number", "exclusiveMinimum": 0}
_WRITTEN: Final[dict[str, Schema]] = {
    "job_id": TEXT,
    "elapsed_sec": SECONDS,
    "snapshot": said(TEXT, "path of the file"),
    "rows": COUNT,
}
_MISMATCHES: Final = each(
    table(
        {
            "record": said(TEXT, "what says so: the checksum file, or a manifest"),
            "expected": TEXT,
            "found": TEXT,
            "expected_header": maybe(TEXT),
            "found_header": maybe(TEXT),
            "expected_tail": maybe(each(TEXT)),
            "found_tail": maybe(each(TEXT)),
        }
    )
)
_CHANGES: Final = table({"added": each(TEXT), "changed": each(TEXT), "removed": each(TEXT)})
_LOCK: Final = table(
    {
        "held": said(maybe(TRUTH), "null where the system does not say"),
        "pid": maybe(INTEGER),
        "since": TIME,
    }
)
_AGES: Final = said(
    table(
        {
            "source": TEXT,
            "store": TEXT,
            "last_backup": maybe(TEXT),
            "last_backup_at": maybe(TIME),
            "backup_age_seconds": said(maybe(NUMBER), "negative when the backup is from the future"),
            "every_seconds": maybe(_POSITIVE),
            "data_age_seconds": maybe(NUMBER),
            "rpo_seconds": maybe(_POSITIVE),
            "last_proven_backup": maybe(TEXT),
            "last_proven_at": maybe(TIME),
            "proven_age_seconds": maybe(NUMBER),
            "drill_every_seconds": maybe(_POSITIVE),
        }
    ),
    "What Drillbook did for one source, and what was promised",
)
_TICKER: Final = said(
    table(
        {
            "ticker": TEXT,
            "last_ingest": said(maybe(TIME), "end of the last job that ended well"),
            "ingest_lag_seconds": said(maybe(NUMBER), "since then; negative when it is in the future"),
            "job_latency_ms": said(maybe(SECONDS), "mean of the jobs in the window that ended well"),
            "rows_fetched": said(
                maybe(COUNT), "in the window; null where no job that ended well says how many"
            ),
            "error_count": said(COUNT, "failed jobs in the window"),
            "job_count": said(COUNT, "jobs in the window"),
            "invalid_rows": said(COUNT, "rejected rows in the window"),
            "last_status": said(maybe(TEXT), "of the newest job in the window"),
            "lock": maybe(ref("lock")),
        }
    ),
    "One ticker",
)
_ENTRY: Final = said(
    table(
        {
            "ticker": maybe(TEXT),
            "job_id": maybe(TEXT),
            "kind": said(
                words("run", "raw", "invalid"),
                "a whole job, an answer of a provider that was kept, or rows that were rejected",
            ),
            "started_at": maybe(TIME),
            "finished_at": maybe(TIME),
            "rows_fetched": maybe(INTEGER),
            "status": maybe(TEXT),
            "error_message": maybe(TEXT),
            "duration_ms": maybe(INTEGER),
            "provider": maybe(TEXT),
            "attempt": maybe(INTEGER),
            "retry_after": said(maybe(NUMBER), "seconds"),
        }
    ),
    "One entry; null where the history does not say it",
)
_CONTACT: Final = said(
    table(
        {
            "provider": TEXT,
            "url": said(TEXT, "without user, password and query"),
            "tried": TRUTH,
            "http_status": maybe({"type": "integer", "minimum": 100, "maximum": 999}),
            "latency_ms": said(maybe(NUMBER), "of the last attempt, to the end of its answer"),
            "attempts": said(COUNT, "0 when it was not tried"),
            "waited_seconds": said(SECONDS, "between attempts, in all"),
            "retry_after_seconds": said(maybe(NUMBER), "what the provider wanted at last"),
        }
    ),
    "How asking one provider went",
)


def _without_errors(*names: str) -> dict[str, Any]:
    """What the answer has at its top unless something could not be done."""
    return {"if": {"properties": {"errors": {"maxItems": 0}}}, "then": {"required": list(names)}}


def _with_a_result(*names: str) -> dict[str, Any]:
    """What the answer has at its top where it has a result."""
    return {"if": {"properties": {"results": {"minItems": 1}}}, "then": {"required": list(names)}}


ANSWERS: Final = (
    answer(
        "demo",
        "The demo that was built",
        table(
            {
                "folder": TEXT,
                "config": TEXT,
                "databases": each(table({"source": TEXT, "path": TEXT, "rows": names_to(COUNT)})),
                "left_out": each(table({"source": TEXT, "reason": TEXT, "advice": TEXT})),
            }
        ),
        at_most=1,
    ),
    answer(
        "explain",
        "What codes of errors and findings mean",
        table(
            {
                "code": CODE,
                "severity": TEXT,
                "meaning": TEXT,
                "next": said(maybe(TEXT), "what to do; null: it is always fine"),
            }
        ),
    ),
    answer(
        "doctor",
        "What was examined: the machine, each store, cipher and source, the history of ingest jobs",
        {"oneOf": [ref(name) for name in ("machine", "store", "cipher", "ingest", "source")]},
        defs={
            "machine": table({"source": {"type": "null"}, "config": TEXT, "findings": FINDINGS}),
            "store": table({"store": TEXT, "findings": FINDINGS}),
            "cipher": table({"cipher": TEXT, "findings": FINDINGS}),
            "ingest": table({"ingest": YES, "findings": FINDINGS}),
            "source": table({"source": TEXT, "findings": FINDINGS}),
        },
    ),
    answer(
        "metrics",
        "How late each ticker and each backup is",
        _TICKER,
        top={
            "total": said(COUNT, "tickers in all, those of other pages too"),
            "limit": maybe(COUNT),
            "offset": COUNT,
            "backups": said(each(ref("backup")), "not with --ticker"),
        },
        then=_without_errors("total", "limit", "offset"),
        defs={"lock": _LOCK, "backup": _AGES},
    ),
    answer(
        "logs",
        "Entries of the ingest history, newest first",
        _ENTRY,
        top={"limit": COUNT, "offset": COUNT},
        then=_without_errors("limit", "offset"),
    ),
    answer("test-conn", "Whether a provider answers", _CONTACT, at_most=1),
    answer(
        "snapshot.create",
        "The snapshot that was written",
        table(
            {
                **_WRITTEN,
                "status": words("created", "unchanged", "replaced", "repaired"),
                "size": said(COUNT, "bytes"),
                "sha256": SHA256,
            }
        ),
        at_most=1,
        top=_WRITTEN,
        then=_with_a_result(*_WRITTEN),
    ),
    answer(
        "snapshot.verify",
        "The snapshots of a folder, or any folder with --path, against what is recorded",
        {"oneOf": [ref("snapshots"), ref("folder")]},
        at_most=1,
        defs={
            "snapshots": table(
                {
                    "folder": TEXT,
                    "manifest": maybe(TEXT),
                    "changes": said(maybe(ref("changes")), "with --update"),
                    "snapshots": each(
                        table(
                            {
                                "snapshot": TEXT,
                                "sha256": maybe(SHA256),
                                "size": maybe(COUNT),
                                "findings": FINDINGS,
                                "mismatches": _MISMATCHES,
                            }
                        )
                    ),
                }
            ),
            "folder": table(
                {
                    "folder": TEXT,
                    "manifest": TEXT,
                    "written": TRUTH,
                    "things": said(COUNT, "files, links and others"),
                    "changes": ref("changes"),
                    "findings": FINDINGS,
                }
            ),
            "changes": _CHANGES,
        },
    ),
    answer(
        "snapshot.purge",
        "Which snapshots stay and why, and which are gone or would be",
        table(
            {
                "dry_run": TRUTH,
                "plan": each(
                    table(
                        {
                            "snapshot": TEXT,
                            "series": TEXT,
                            "day": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
                            "size": COUNT,
                            "goes": TRUTH,
                            "why": TEXT,
                        }
                    )
                ),
                "removed": each(TEXT),
                "findings": FINDINGS,
            }
        ),
        at_most=1,
    ),
    answer(
        "snapshot.restore-verify",
        "A snapshot that was loaded and compared",
        table(
            {
                "job_id": TEXT,
                "snapshot": TEXT,
                "rows": COUNT,
                "columns": each(TEXT),
                "sha256": maybe(SHA256),
                "findings": FINDINGS,
                "mismatches": _MISMATCHES,
            }
        ),
        at_most=1,
    ),
)
