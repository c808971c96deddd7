"""The Invoke collections. A `tasks.py` of your own can add them: `namespace = ops.tasks.collection()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.collection import Collection


def collection(name: str | None = None) -> Collection:
    """All of Drillbook's tasks as one Invoke collection, to be used whole or added to another one."""
    from invoke.collection import Collection

    from ops.tasks.backup import collection as backup
    from ops.tasks.doctor import collection as general
    from ops.tasks.ingest import collection as ingest
    from ops.tasks.snapshot import collection as snapshot
    from ops.tasks.store import collection as stores

    alone = (general.demo, general.doctor, ingest.logs, ingest.metrics, ingest.ask_provider)
    named = (backup.namespace, snapshot.namespace, stores.namespace)
    return Collection(*([name] if name else []), *alone, *named)
