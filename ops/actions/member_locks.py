"""One run at a time on a source, and on each source that it is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ops.model.findings import Finding
from ops.model.series import Whose
from ops.ports.source import Composite, Source
from ops.repository.locks import held_lock
from ops.repository.repository import Repository
from ops.run.job import Job


@contextlib.contextmanager
def held_locks(
    source: Source, whose: Whose, to: Repository, wait_s: float, job: Job
) -> Iterator[list[Finding]]:
    """Keep other runs off while the block runs; yield what was noticed. Raises what `held_lock` raises.

    Members are locked in the order of their names, so that two runs that share some never wait for each other.
    """
    members = source.members if isinstance(source, Composite) else {}
    with contextlib.ExitStack() as stack:
        noticed = stack.enter_context(held_lock(whose, to, wait_s, job))
        for _, member in sorted(members.items()):
            noticed = [
                *noticed,
                *stack.enter_context(held_lock(Whose.of(member, whose.machine), to, wait_s, job)),
            ]
        yield noticed
