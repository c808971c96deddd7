"""What is decided before a backup is captured: whose it is, its place in the order, its name, what it can build on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Final

from ops.formats.encrypted_manifest import is_closed
from ops.formats.names import SAFETY_TAG
from ops.model.complaints import Known
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest, Origin
from ops.model.moment import microseconds
from ops.model.series import Whose
from ops.ports.source import Source
from ops.repository.capacity import require_room_for
from ops.repository.dependencies import base_in
from ops.repository.find import newest_manifest
from ops.repository.identity import give_identity
from ops.repository.newest import Named
from ops.repository.origin import examine_member, settle_origin
from ops.repository.private_memory import known_manifest
from ops.repository.publish import free_name, require_free
from ops.repository.recovery import sweep
from ops.repository.repository import Repository
from ops.repository.restores import last_restored
from ops.run.job import Job

_EARLIER: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to take: `name` for a payload name of one's own, `min_free` bytes that must be free beforehand.

    `policy`: the name of the policy that keeps this backup (empty: that of the source or store). `whose`: which source it
    is of (None: the one that is captured, on this machine); `assertions`: what is expected of it, as the configuration
    has it; `accept`: codes that the operator accepts; `known`: what is known to be wrong with the source. `whole`: nothing
    may be left to other backups.
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    policy: str = ""
    min_free: int | None = None
    wait_s: float = 0
    whose: Whose | None = None
    assertions: tuple[Mapping[str, object], ...] = ()
    accept: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    whole: bool = False

    def about(self, source: Source, to: Repository) -> Whose:
        """Return which source the backup is of."""
        return self.whose or Whose.of(source, to.machine)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is settled before the first byte is read: its place in the order, the payload's name, what was noticed.

    `former`: the newest backup of the source that no restore made; `restored`: the one that replaced the live data since
    then; `base`: the former, where the new one may build on it; `earlier`: the names of those before, in `home`.
    """

    home: Repository
    origin: Origin
    started_at: datetime
    sequence: int
    name: str
    findings: tuple[Finding, ...]
    former: Manifest | None = None
    restored: Manifest | None = None
    base: Manifest | None = None
    earlier: tuple[str, ...] = ()


def begin_backup(source: Source, to: Repository, request: BackupRequest, job: Job, suffix: str = "") -> Begun:
    """Clean up after the dead, ask for space, and find the name, which is free also with `suffix` behind it.

    Raises SpaceError, SourceError, StoreError, RefusedError.
    """
    started, store = job.clock(), to.store
    findings = [*sweep(to), *give_identity(store)]
    with job.step("check space"):
        require_room_for(to, source.estimate(), request.min_free, f"a backup of {source.info.name!r}")
    aside = SAFETY_TAG in request.tags
    settled = settle_origin(request.about(source, to), source.identify(), to, job, aside=aside)
    newest = settled.newest
    last = next(newest.backups, None)
    sequence, warning = _next_in_order(last, started)
    name = request.name or free_name(store, source.form.base, source.form.suffix, started, suffix)
    require_free(store, f"{name}{suffix}")
    mine = (item.name for item in chain(filter(None, [last]), newest.backups) if not item.is_safety)
    former, problems = newest_manifest(store, mine)
    former = known_manifest(former, to) if former else None
    findings += [replace(item, severity=Severity.WARNING) for item in (*newest.findings, *problems)]
    restored = aside or (last is not None and last.is_safety)
    findings += examine_member(settled.origin, former, to, restored=restored, accepted=request.accept)
    findings += [*settled.findings, *_closed(former, source)]
    base, full_every = None, source.supports.full_every
    if former is not None and full_every is not None and not request.whole and not aside:
        base, said = base_in(to, former, full_every, started)
        findings += said
    return Begun(
        home=to,
        origin=settled.origin,
        started_at=started,
        sequence=sequence,
        name=name,
        findings=(*findings, *warning),
        former=former,
        restored=_restored(source, to, settled.origin, former),
        base=base,
        earlier=tuple(islice(mine, _EARLIER)),
    )


def _restored(source: Source, to: Repository, origin: Origin, former: Manifest | None) -> Manifest | None:
    """The backup that a restore put in the place of the live data since the former one, where that is of importance."""
    if former is None or not source.supports.continues:
        return None
    found = last_restored(to, origin.series, former)
    return None if found is None or is_closed(found) else found


def _closed(former: Manifest | None, source: Source) -> list[Finding]:
    """A warning where nothing can be compared with the former backup."""
    if former is None or not is_closed(former):
        return []
    message = (
        f"what {former.payload} holds is encrypted, and this machine has no key and no memory of it: whether this backup"
        " continues it, and whether tables lost their rows, was not looked at; the next one is compared again"
    )
    if source.supports.full_every is not None:
        message += ". Nothing was left to it: this is a full backup"
    return [
        Finding(severity=Severity.WARNING, code="backup.former_closed", message=message, where=former.payload)
    ]


def _next_in_order(newest: Named | None, now: datetime) -> tuple[int, list[Finding]]:
    """The place of a new backup behind the newest one of the source, whatever the clock says; a warning where it is behind.

    Everything orders backups by this: a clock that was set back must not make an older one the latest.
    """
    if newest is None:
        return microseconds(now), []
    sequence = max(newest.sequence + 1, microseconds(now))
    if newest.created_at < now:
        return sequence, []
    message = (
        f"this machine's clock ({now:%Y-%m-%d %H:%M:%S}Z) is behind the newest backup"
        f" ({newest.created_at:%Y-%m-%d %H:%M:%S}Z)"
    )
    warning = Finding(severity=Severity.WARNING, code="clock.behind", message=message, where="clock")
    return sequence, [warning]
