"""Looking at how full a store is."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from ops.errors import SpaceError
from ops.formats.names import SAFETY_TAG, top_name
from ops.fsio.space import free_bytes, require_space
from ops.model.findings import Finding, Severity, Verdict
from ops.model.moment import moment_of
from ops.ports.stamps import ABSENT, NOT_A_FILE, Stamped
from ops.ports.store import LocalFiles, Store
from ops.repository.forecast import Habit, Usage, forecast_full
from ops.repository.listing import Listing
from ops.repository.repository import Repository
from ops.repository.retention import Candidate, Policy
from ops.repository.wrong_clocks import FUTURE
from ops.units import format_size

_NO_KEY: Final = "/"
"""No name ends with it: names and sizes are wanted here, no stamps."""
_OF_HABITS: Final = (
    *("source", "series", "kind", "scope"),
    *("name", "created", "sequence", "size", "good", "drilled", "tags"),
)


def usage_of(store: Store, limit: int | None) -> Usage | None:
    """What the store holds, against its configured limit or what its disk can hold; None where nobody knows that.

    Raises StoreError when the store cannot be read.
    """
    used, _ = _held(store, ())
    return _usage(store, used, limit)


def _usage(store: Store, used: int, limit: int | None) -> Usage | None:
    if limit is not None:
        return Usage(used, limit)
    if isinstance(store, LocalFiles):
        return Usage(used, used + free_bytes(store.path_of("payload").parent))
    return None


def require_below_limit(store: Store, limit: int | None, estimate: int) -> None:
    """Return when `estimate` bytes more stay below the limit; raises SpaceError (`space.limit`)."""
    if limit is None:
        return
    used, _ = _held(store, ())
    if used + estimate > limit:
        message = (
            f"store {store.name!r} holds {format_size(used)} of the {format_size(limit)} that it may,"
            f" and the backup would take up to {format_size(estimate)}"
        )
        hint = "look at what backup.prune would delete, or raise `limit` of the store"
        raise SpaceError(message, code="space.limit", hint=hint, command="backup.prune --dry-run")


def require_room_for(repository: Repository, estimate: int, min_free: int | None, purpose: str) -> None:
    """Return when a file of `estimate` bytes fits below the limit and, where the store has files here, on its disk.

    `min_free`: bytes that must be free; None: a reserve beside the estimate. Raises SpaceError that names the `purpose`.
    """
    store = repository.store
    require_below_limit(store, repository.limit, estimate)
    if isinstance(store, LocalFiles):
        require_space(store.path_of("payload").parent, estimate, min_free=min_free, purpose=purpose)


def warn_when_nearly_full(store: Store, limit: int | None) -> list[Finding]:
    """A warning when the store is above the warning line; the files are counted only where it may be."""
    if limit is None and not (isinstance(store, LocalFiles) and _disk_is_filling(store)):
        return []
    usage = usage_of(store, limit)
    return [_nearly_full(store, usage)] if usage is not None and usage.is_high else []


def _disk_is_filling(store: LocalFiles) -> bool:
    """Whether all that is on the disk passes the line: the store alone holds no more of it."""
    disk = shutil.disk_usage(store.path_of("payload").parent)
    return Usage(disk.total - disk.free, disk.total).is_high


def examine_capacity(
    store: Store, listing: Listing, limit: int | None, policy_of: Callable[[str], Policy], now: datetime
) -> list[Finding]:
    """How full the store is and when it will be full; `policy_of` says what prunes a source's backups there."""
    used, present = _held(store, frozenset(listing.rows.column("name")))
    usage = _usage(store, used, limit)
    if usage is None:
        return []
    when = _when(forecast_full(_habits(present, listing, policy_of, now), usage, now), now)
    if usage.is_high:
        return [_nearly_full(store, usage, when)]
    message = _fullness(store, usage, when)
    return [Finding(severity=Severity.OK, code="capacity.used", message=message)]


def _held(store: Store, payloads: Collection[str]) -> tuple[int, Mapping[str, int]]:
    """The bytes of all files in the store, and of each of the payloads that is there."""
    if isinstance(store, LocalFiles) and isinstance(store, Stamped):
        found = store.stamps(_NO_KEY, list)
        sizes = found.sizes(found.others)
        # Folders hold files of their own: then every file is listed, which takes three times as long.
        if NOT_A_FILE not in sizes:
            there = ((name, size) for name, size in zip(found.others, sizes, strict=True) if size != ABSENT)
            return sum(size for size in sizes if size != ABSENT), {
                name: size for name, size in there if name in payloads
            }
    present: dict[str, int] = defaultdict(int)
    used = 0
    for stored in store.list():
        used += stored.size
        if (name := top_name(stored.key)) in payloads:
            present[name] += stored.size
    return used, present


def _nearly_full(store: Store, usage: Usage, when: str = "") -> Finding:
    message = _fullness(store, usage, when)
    return Finding(severity=Severity.WARNING, code="capacity.high", message=message)


def _fullness(store: Store, usage: Usage, when: str) -> str:
    held = f"{format_size(usage.used)} of {format_size(usage.limit)} ({usage.fraction:.0%})"
    return f"store {store.name!r} holds {held}{when}"


def _when(full: datetime | None, now: datetime) -> str:
    if full is None:
        return ""
    if full <= now:
        return "; it is full"
    return f"; full about {full:%Y-%m-%d} if all goes on like this, with backup.prune at work"


def _habits(
    present: Mapping[str, int], listing: Listing, policy_of: Callable[[str], Policy], now: datetime
) -> list[Habit]:
    groups = defaultdict(list)
    # Column by column: the rows as a whole hold texts of which nothing is asked here.
    columns = (listing.rows.column(name) for name in _OF_HABITS)
    for *group, name, created, sequence, size, good, drilled, tags in zip(*columns, strict=True):
        moment = moment_of(created)
        if moment - now > FUTURE:
            continue  # nobody's habit
        whole = present.get(name, 0) == size
        candidate = Candidate(
            name=name,
            created_at=moment,
            sequence=sequence,
            size=size,
            good={"yes": True, "no": False}.get(good) if whole else False,
            proven=drilled == Verdict.PASSED and whole,
            aside=SAFETY_TAG in tags,
            tags=tags,
        )
        groups[tuple(group)].append(candidate)
    return [Habit(tuple(found), policy_of(source)) for (source, *_), found in groups.items()]
