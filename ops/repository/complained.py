"""Whether something was found wrong with a source's data lately, so that it is worth while to look at the source itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import islice
from typing import Final

from ops.errors import OpsError
from ops.formats.names import manifest_key
from ops.model.complaints import COMPLAINTS, recorded_in
from ops.model.evidence import Evidence, Level
from ops.model.findings import Severity
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.catalog import read_manifest, with_records

_LOOKED_AT: Final = 4
"""So many of the newest backups are asked for a full look."""


def has_complained(store: Store, former: Manifest | None, earlier: Iterable[str]) -> bool:
    """Return whether the newest backup that anybody has looked at in full was complained of, or recorded complaints.

    `former`: the newest backup of the source, `earlier` the names of those before. What cannot be read is left aside: it
    is no reason to keep the source waiting.
    """
    if former is None:
        return False
    for manifest in _newest(store, former, earlier):
        if recorded_in(manifest):
            return True
        with contextlib.suppress(OpsError):
            looks = [item for item in with_records(store, manifest).evidence if item.level == Level.FULL]
            if looks:
                return any(map(_complains, looks))
    return False


def _newest(store: Store, former: Manifest, earlier: Iterable[str]) -> Iterable[Manifest]:
    yield former
    for name in islice(earlier, _LOOKED_AT - 1):
        with contextlib.suppress(OpsError):
            yield read_manifest(store, manifest_key(name))


def _complains(look: Evidence) -> bool:
    return any(item.code in COMPLAINTS and item.severity is not Severity.OK for item in look.findings)
