"""What time it is where a store lies."""

from __future__ import annotations

from ops.driverkit.clocks import compare_clocks
from ops.model.findings import Finding
from ops.ports.store import Store, Timed


def clock_of(store: Store) -> list[Finding]:
    """Return a warning where the store's clock, as it last answered, is far from this machine's."""
    ahead = store.clock_ahead() if isinstance(store, Timed) else None
    return [] if ahead is None else compare_clocks(ahead, f"store {store.name!r}")
