"""Whether a backup may replace the live data that is there: only as what it is, the whole of that source."""

from __future__ import annotations

from collections.abc import Sequence

from ops.actions.restore_request import RestoreRequest
from ops.errors import OpsError, RefusedError
from ops.model.series import Whose
from ops.ports.source import Restorable, Source, Target
from ops.repository.backup import Backup, series_of
from ops.repository.own import OwnBackups, is_own, own_backups
from ops.repository.series import SHOWN_DIGITS
from ops.run.job import utc_now


def _lives_as_another(source: Source, whose: Whose, store: OwnBackups) -> str | None:
    """Who the source says it is, where none of its backups was made of that one; None also where it cannot say."""
    current = store.own.current
    try:
        found = source.identify()
    except OpsError:
        return None
    before = next((item.manifest.origin for item in store.mine if series_of(item) == current), None)
    if before is None or whose.origin(found).series in store.own.ids:
        return None
    return found.text if bool(before.system) == bool(found.system) else None


def is_place_of(source: Source, target: Target) -> bool:
    """Return whether the target is the source's own place, whatever it is called."""
    return isinstance(source, Restorable) and source.same_place(target.location)


def is_own_member(backup: Backup, source: Source, member: str) -> bool:
    """Return whether it is the member of a backup of several sources that is restored, as it was recorded there."""
    return bool(member) and backup.plain.member(member).source == source.info


def require_own(
    backup: Backup, source: Source, target: Target, whose: Whose, request: RestoreRequest
) -> None:
    """Raise RefusedError where data would be replaced by that of another source, or of one that cannot be told."""
    is_own_place = is_place_of(source, target)
    if not request.from_other and not is_own_place:
        # Also where nothing is there now: the next backup of that source would hold what it never had.
        _require_no_other(backup, source, target.location, request.sources)
    if not target.exists():
        return
    store = own_backups(whose, request.safety.store)
    where = f"series {series_of(backup)[:SHOWN_DIGITS]}, {backup.made_on or 'host not recorded'}, {backup.manifest.source.location}"
    part = store.has_part(backup)
    own = is_own(backup, store) or part or is_own_member(backup, source, request.member)
    if not request.in_full and (not own or store.own.rivals or store.alarms(utc_now())):
        message = f"the latest backup of {whose.name!r} cannot be told for sure ({backup.name}: {where})"
        hint = "more than one source may have written backups of that name: name the backup in full (backup.list)"
        raise RefusedError(message, code="refused.other_series", hint=hint)
    if request.from_other or not is_own_place:
        return
    if own and (now := _lives_as_another(source, whose, store)):
        message = f"{target.location} is another source now ({now}) than the one whose backups these are"
        hint = "where the backup is to replace what is there, add --from-other-source; what is there is kept as a safety backup"
        raise RefusedError(message, code="refused.other_series", hint=hint)
    if part and not request.options.tables:
        message = (
            f"{backup.name} holds only a part of the source (scope {backup.manifest.scope}), and {target.location} is its live data:"
            " what is not in it would be gone"
        )
        hint = "restore it into a new place (--to), or single tables of it (--table); where that is meant, add --from-other-source"
        raise RefusedError(message, code="refused.part", hint=hint)
    if not own:
        message = (
            f"{backup.name} is not a backup of this source ({where}), and {target.location} is its live data"
        )
        hint = "where that is meant, add --from-other-source; where it is this source before it was moved, see backup.adopt"
        raise RefusedError(message, code="refused.other_series", hint=hint)


def _require_no_other(backup: Backup, source: Source, target: str, sources: Sequence[Source]) -> None:
    """Raise RefusedError where the target is the live data of another configured source than the one that is restored."""
    for other in sources:
        if other.info.name == source.info.name or not isinstance(other, Restorable):
            continue
        if other.same_place(target):
            message = (
                f"{target} is the live data of source {other.info.name!r}, and {backup.name} is a backup of"
                f" {source.info.name!r}"
            )
            hint = "where that is meant, add --from-other-source; the safety backup stands under the name of the backup's source"
            raise RefusedError(message, code="refused.other_series", hint=hint)
