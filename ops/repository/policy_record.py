"""Which policies have pruned a source in a store before: one small file for each, below the store's own prefix."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import Final

from ops.errors import OpsError
from ops.model.series import Whose
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.retention import Policy
from ops.repository.transfer import put_text
from ops.units import format_time

_DIGITS: Final = 16


def has_pruned(store: Store, whose: Whose, policy: Policy) -> bool:
    """Return whether the policy, as it is now, is known to have pruned the source in this store before."""
    try:
        store.open(_key(whose, policy)).close()
    except OpsError:
        return False
    return True


def remember_pruned(store: Store, whose: Whose, policy: Policy, now: datetime) -> None:
    """Note that it has; where that cannot be written, the next prune asks again."""
    key = _key(whose, policy)
    document = {"version": 1, "source": whose.name, "place": whose.place, "pruned_at": format_time(now)}
    with contextlib.suppress(OpsError):
        put_text(store, key, json.dumps(document).encode("ascii"))


def _key(whose: Whose, policy: Policy) -> str:
    source, rules = (
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
        for text in (f"{whose.name}\0{whose.place}", json.dumps(asdict(policy), default=str, sort_keys=True))
    )
    return f"{OWN_PREFIX}policies/{source}-{rules}.json"
