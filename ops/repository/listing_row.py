"""What a listing knows of one backup, and nothing else of it: small enough to be remembered a hundred thousand times."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from ops.formats.encrypted_manifest import is_closed
from ops.formats.manifest import payload_sha256
from ops.formats.names import SAFETY_TAG, manifest_key
from ops.model.evidence import Evidence
from ops.model.findings import Verdict
from ops.model.moment import microseconds, moment_of
from ops.model.series import UNKNOWN, first_version_series
from ops.repository.backup import Backup
from ops.units import format_time

UNKNOWN_ROWS: Final = -1
"""In place of a count that is encrypted."""
NOT_MEASURED: Final = -1
"""In place of a duration that no drill measured."""
_BOOT_DIGITS: Final = 16
"""Of the digest of a boot so many tell it from another one."""
NOT_WHOLE: Final = "not whole"
"""In place of a verdict: what was looked at is not there any more as it was."""
OPENED_WORDS: Final = {None: "", True: "yes", False: "no"}


class Listed(NamedTuple):
    """One copy of a backup. A tuple, because making so many of any other class takes longer than reading them.

    `name` is the payload's, `plain` what it was called before it was sealed. `created` counts microseconds since 1970; `sequence`
    is what backups are ordered by.
    Of the last verify of exactly these bytes, and of the drill that proves them (else the last one), there is the verdict,
    empty where there was none: `drilled` is `passed` for what is proven, and for nothing else. `good`: whether the backup
    itself is. `series` to `whole`: whose it is, as `Origin` has it; in version 1, where `by` is empty, as far as that
    can be told. `rto_ms`, `rpo_ms`: what that drill measured.
    """

    name: str
    plain: str
    job_id: str
    created: int
    sequence: int
    source: str
    kind: str
    data_as_of: str
    size: int
    rows: int
    sha256: str
    tags: tuple[str, ...]
    verified: str
    verified_level: str
    drilled: str
    drilled_on: str
    opened: str
    scope: str
    good: str
    series: str
    place: str
    host: str
    boot: str
    location: str
    by: str
    system: str
    whole: str
    rto_ms: int
    rpo_ms: int

    @property
    def is_safety(self) -> bool:
        """Whether a restore made it of what it replaced: `latest` never means one of these."""
        return SAFETY_TAG in self.tags

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return moment_of(self.created)


@dataclass(frozen=True, slots=True)
class Rows:
    """Many of them, as columns or as rows, whichever is asked for: `column` makes the values of one field."""

    column: Callable[[str], Sequence[Any]]
    _made: list[Listed] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, rows: Sequence[Listed]) -> Rows:
        """Those that were read one by one."""
        columns = dict(zip(Listed._fields, zip(*rows, strict=True), strict=False))
        return cls(lambda name: columns.get(name, ()))

    def changed(self, gone: Collection[str], new: Sequence[Listed]) -> Rows:
        """Return these without those whose names are `gone`, and with the new ones, in the order of the catalogue.

        That is newest first, and by the names of their manifests where all else is the same. It holds no row: one new
        backup beside many remembered ones must not cost the memory of all.
        """
        names, sequences, times = map(self.column, ("name", "sequence", "created"))
        fresh = Rows.of(new)
        kept = (place for place, name in enumerate(names) if name not in gone)

        def order(place: int) -> tuple[int, int, str]:
            if place < 0:
                row = new[~place]
                return -row.sequence, -row.created, manifest_key(row.name)
            return -sequences[place], -times[place], manifest_key(names[place])

        # These are in that order already.
        fresh_places = sorted((~place for place in range(len(new))), key=order)
        places = array("q", heapq.merge(kept, fresh_places, key=order))

        def column(name: str) -> Sequence[Any]:
            before, added = self.column(name), fresh.column(name)
            return [before[place] if place >= 0 else added[~place] for place in places]

        return Rows(column)

    def as_list(self) -> Sequence[Listed]:
        """Each as one value, made once."""
        if not self._made:
            self._made.extend(map(Listed._make, zip(*map(self.column, Listed._fields), strict=True)))
        return self._made


def listed(backup: Backup) -> Listed:
    """The backup as `backup.list` tells it."""
    manifest, plain = backup.manifest, backup.plain
    verify, drill = backup.last("verify"), backup.proof or backup.last("drill")
    return Listed(
        name=manifest.payload,
        plain=plain.payload,
        job_id=manifest.job_id,
        created=microseconds(manifest.created_at),
        sequence=manifest.sequence,
        source=manifest.source.name,
        kind=manifest.source.kind,
        data_as_of=format_time(manifest.data_as_of),
        size=manifest.size,
        rows=UNKNOWN_ROWS if is_closed(manifest) else manifest.rows,
        sha256=payload_sha256(manifest),
        tags=manifest.tags,
        verified=_verdict(verify),
        verified_level="" if verify is None else str(verify.level),
        drilled=_verdict(drill) if backup.proven or drill is None else _not_proven(drill),
        drilled_on="" if drill is None else f"{drill.started_at:%Y-%m-%d}",
        opened=OPENED_WORDS[backup.opened],
        scope=manifest.scope,
        good=OPENED_WORDS[backup.good],
        location=manifest.source.location,
        **_whose(backup),
        rto_ms=_measured(drill.rto_ms if drill else None),
        rpo_ms=_measured(drill.rpo_ms if drill else None),
    )


def _measured(taken_ms: int | None) -> int:
    return NOT_MEASURED if taken_ms is None else taken_ms


def _whose(backup: Backup) -> dict[str, str]:
    origin = backup.manifest.origin
    if origin is None:
        host = backup.made_on
        series = first_version_series(backup.manifest.source, host)
        return {"series": series, "place": "", "host": host, "boot": "", "by": "", "system": "", "whole": ""}
    return {
        "series": origin.series,
        "place": origin.place,
        "host": origin.host,
        "boot": (origin.boot or "")[:_BOOT_DIGITS],
        "by": origin.by or UNKNOWN,
        "system": origin.system,
        "whole": origin.whole,
    }


def _not_proven(drill: Evidence) -> str:
    """The verdict of a drill that proves nothing, also when it passed and a later look failed, or found damage."""
    if drill.verdict is not Verdict.PASSED:
        return str(drill.verdict)
    return str(Verdict.FAILED if drill.proves else Verdict.INCONCLUSIVE)


def _verdict(evidence: Evidence | None) -> str:
    return "" if evidence is None else str(evidence.verdict)
