"""The Invoke collections. A `tasks.py` of your own can add them: `namespace = ops.tasks.collection()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.collection import Collection


def collection(name: str | None = None) -> Collection:
    """Return all of Drillbook's tasks as one Invoke collection, to be used whole or added to another one."""
    from invoke.collection import Collection

    from ops.tasks import commands
    from ops.tasks.backup import commands as backup
    from ops.tasks.cli.command import CommandTask, commands_of
    from ops.tasks.snapshot import commands as snapshot
    from ops.tasks.store import commands as store

    namespace = Collection(*([name] if name else []), *map(CommandTask, commands_of(commands)))
    for module in (backup, snapshot, store):
        inner = Collection(module.__name__.split(".")[-2], *map(CommandTask, commands_of(module)))
        namespace.add_collection(inner)
    return namespace
