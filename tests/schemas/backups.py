"""The shapes of backups and of looks at them, and the answers of the tasks about backups and stores."""

from __future__ import annotations

from typing import Final

from tests.schemas.shapes import (
    COUNT,
    FINDINGS,
    INTEGER,
    SERIES,
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

VERDICT: Final = words("passed", "failed", "inconclusive")
BACKUP: Final[dict[str, Schema]] = {
    "name": TEXT,
    "source": TEXT,
    "kind": TEXT,
    "scope": TEXT,
    "store": said(TEXT, "the store that it is in"),
    "job_id": TEXT,
    "created_at": TIME,
    "data_as_of": said(TIME, "the moment of the data"),
    "size": said(COUNT, "bytes"),
    "rows": said(maybe(COUNT), "null where they are encrypted, and no key opens them here"),
    "sha256": said(SHA256, "of the payload; of its checksum file where it is a folder"),
    "tags": each(TEXT),
    "verified": said(
        maybe(VERDICT), "of the last verify; null without one, and where files of it are missing"
    ),
    "drilled": said(maybe(VERDICT), "of the last drill that counts"),
    "proven": said(TRUTH, "the last drill passed, and nothing since then speaks against it"),
    "whole": said(TRUTH, "all of its files are there, with the sizes that were recorded"),
    "host": maybe(TEXT),
    "series": SERIES,
}
_SOURCE: Final = table({"name": TEXT, "kind": TEXT, "location": TEXT})
EVIDENCE_FIELDS: Final[dict[str, Schema]] = {
    "version": {"type": "integer", "minimum": 1},
    "action": words("verify", "drill", "partial"),
    "verdict": VERDICT,
    "backup": TEXT,
    "source": _SOURCE,
    "level": words("quick", "full", "tables"),
    "job_id": TEXT,
    "payload_sha256": SHA256,
    "started_at": TIME,
    "finished_at": TIME,
    "duration_ms": COUNT,
    "size": COUNT,
    "rows": maybe(COUNT),
    "rto_ms": said(maybe(COUNT), "time to usable data; null where nothing was restored"),
    "rto_objective_ms": maybe(COUNT),
    "rpo_ms": said(maybe(INTEGER), "age of the data when the drill began"),
    "rpo_objective_ms": maybe(COUNT),
    "phases": each(table({"name": TEXT, "duration_ms": COUNT})),
    "findings": FINDINGS,
    "tool": names_to(TEXT),
    "host": TEXT,
    "series": maybe(TEXT),
    "store": said(maybe(TEXT), "the id of the store that it was read from"),
}
_MEMBER: Final = table({"name": TEXT, "kind": TEXT, "verdict": VERDICT, "rows": maybe(COUNT)})
EVIDENCE: Final = table(
    EVIDENCE_FIELDS,
    optional={
        "order": COUNT,
        "about": said({"type": "object"}, "what auditors ask for beside it"),
        "members": said(each(_MEMBER), "of a backup of several sources"),
    },
)
_FILE: Final = table({"path": TEXT, "size": COUNT, "sha256": SHA256})
MANIFEST: Final = said(
    table(
        {
            "version": {"enum": [1, 2]},
            "job_id": TEXT,
            "created_at": TIME,
            "source": table({"name": TEXT, "kind": TEXT, "location": TEXT}, more=True),
            "tool": names_to(TEXT),
            "engine": names_to(TEXT),
            "scope": TEXT,
            "tags": each(TEXT),
            "payload": TEXT,
            "files": each(_FILE, minItems=1),
            "measures": table(
                {
                    "digest_algorithm": maybe(TEXT),
                    "tables": names_to(table({"rows": COUNT, "digest": maybe(TEXT)})),
                    "facts": names_to({"type": ["string", "integer"]}),
                }
            ),
            "data_as_of": TIME,
            "started_at": TIME,
            "finished_at": TIME,
            "duration_ms": COUNT,
            "seal": TEXT,
        },
        more=True,
    ),
    "the manifest as it is stored; kinds of source add keys, see docs/operations/manifest.md",
)
_DEFS: Final = {"evidence": EVIDENCE}
_NAMED: Final = {"source": TEXT, "store": TEXT}
_PLAN: Final = {"dry_run": YES}
_COPY: Final = table(
    {
        "store": TEXT,
        "name": TEXT,
        "series": SERIES,
        "opened": said(maybe(TRUTH), "whether an encrypted one was ever opened; null: it is not encrypted"),
    }
)
_COPIED: Final = table({**BACKUP, "to": said(TEXT, "the store that has it now")})
_GROUP: Final = table(
    {
        "group": TEXT,
        "refusal": said(maybe(TEXT), "why nothing of it is deleted"),
        "backups": each(
            table({"name": TEXT, "created_at": TIME, "size": COUNT, "keep": TRUTH, "reasons": each(TEXT)})
        ),
    }
)
ANSWERS: Final = (
    answer(
        "backup.create",
        "Each backup that was taken, or with --dry-run would be",
        {"oneOf": [ref("planned"), ref("created")]},
        defs={
            "planned": table(
                {
                    **_NAMED,
                    "name": said(maybe(TEXT), "null: a fresh one"),
                    "scope": TEXT,
                    "estimate": said(COUNT, "bytes"),
                    **_PLAN,
                }
            ),
            "created": table(
                {**BACKUP, "capture": TEXT, "duration_ms": COUNT, "findings": FINDINGS},
                optional={
                    "verification": said(ref("evidence"), "with --verify"),
                    "stored": said(ref("evidence"), "with --verify: the look at what was stored encrypted"),
                    "copies": said(FINDINGS, "where the source has further stores"),
                },
            ),
            **_DEFS,
        },
    ),
    answer(
        "backup.list",
        "Each backup, newest first, and where its copies are",
        table({**BACKUP, "stores": said(each(TEXT), "in which it is whole"), "copies": each(_COPY)}),
    ),
    answer(
        "backup.show",
        "One backup whole",
        table(
            {
                **BACKUP,
                "manifest": MANIFEST,
                "evidence": each(ref("evidence")),
                "restore": said(TEXT, "the command that restores it"),
                "findings": FINDINGS,
            }
        ),
        at_most=1,
        defs=_DEFS,
    ),
    answer("backup.verify", "The evidence of each verify", ref("evidence"), defs=_DEFS),
    answer("backup.drill", "The evidence of each drill", ref("evidence"), defs=_DEFS),
    answer(
        "backup.restore",
        "What a restore did, or with --dry-run would do",
        {"oneOf": [ref("planned"), ref("restored")]},
        at_most=1,
        defs={
            "planned": table({"backup": TEXT, **_PLAN, "steps": each(TEXT)}),
            "restored": table(
                {
                    "job_id": TEXT,
                    "backup": TEXT,
                    "source": TEXT,
                    "target": said(maybe(TEXT), "null: a rehearsal in a temporary place"),
                    "size": COUNT,
                    "rows": said(
                        maybe(COUNT), "how many came back; null: not known, or only a part was asked for"
                    ),
                    "verdict": said(maybe(VERDICT), "of a rehearsal; null: it was none"),
                    "sha256": SHA256,
                    "duration_ms": COUNT,
                    "safety": said(maybe(TEXT), "the backup of what was replaced"),
                    "undo": said(maybe(TEXT), "the command that goes back"),
                    "next_command": said(maybe(TEXT), "the command that does it for real"),
                    "accepted": said(each(TEXT), "codes of what is not as it should be, and was accepted"),
                    "findings": FINDINGS,
                }
            ),
        },
    ),
    answer(
        "backup.prune",
        "What retention keeps of a source in a store and why, and what is gone or would be",
        table(
            {
                **_NAMED,
                "dry_run": TRUTH,
                "groups": each(_GROUP),
                "doomed": said(each(TEXT), "what no rule keeps"),
                "deleted": each(TEXT),
                "freed": said(COUNT, "bytes"),
                "hidden": said(COUNT, "bytes that the store keeps as versions"),
                "findings": FINDINGS,
            }
        ),
    ),
    answer(
        "backup.adopt",
        "A series that became a part of a source's own, or was separated again",
        table({"source": TEXT, "series": TEXT, "undo": TRUTH, "findings": FINDINGS}),
        at_most=1,
    ),
    answer(
        "backup.keep",
        "A pin",
        table(
            {
                "backup": TEXT,
                "reason": TEXT,
                "until": said(maybe(TIME), "null: until it is released"),
                "pinned_at": TIME,
                "job_id": TEXT,
                "host": TEXT,
            }
        ),
        at_most=1,
    ),
    answer(
        "backup.release",
        "The pins that were taken back",
        table({"backup": TEXT, "released": each(TEXT)}),
        at_most=1,
    ),
    answer(
        "store.check",
        "What each store promises, tried out",
        table({"store": TEXT, "location": TEXT, "findings": FINDINGS}),
    ),
    answer(
        "store.push",
        "Each backup that was copied, or what was missing in the further stores of each source",
        {"oneOf": [ref("copied"), ref("made")]},
        defs={
            "copied": _COPIED,
            "made": table({"source": TEXT, "stores": each(TEXT), "findings": FINDINGS}),
        },
    ),
    answer("store.pull", "The backup that was copied back", _COPIED, at_most=1),
    answer(
        "store.reencrypt",
        "Which backups of a source in a store were encrypted anew, or would be",
        table(
            {
                **_NAMED,
                "dry_run": TRUTH,
                "renewed": each(table({"old": TEXT, "new": TEXT})),
                "current": said(COUNT, "backups that were encrypted for the keys of today already"),
                "findings": FINDINGS,
            }
        ),
    ),
)
