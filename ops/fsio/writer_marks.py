"""Who writes what is half written: a mark by which a later run knows whether that process is gone.

The mark is part of a name or of a small record. It holds within what a process id means anything (a digest of the boot
and the process-id namespace), the id, and when the process started: three things that no later process shares.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from ops.fsio.process_marks import process_room, process_start

FOREIGN_AFTER: Final = timedelta(days=7)
"""How long something must lie unchanged before it is taken for a dead process's of which nothing else can be known."""
_NOWHERE: Final = "0" * 8
_TEXT: Final = re.compile(r"([0-9a-f]{8})-(\d{1,10})-(\d{1,20})")


@dataclass(frozen=True, slots=True)
class Writer:
    """One process: `system` says in which boot and process-id namespace, `started` when, in the kernel's count."""

    system: str
    pid: int
    started: int

    @classmethod
    def here(cls) -> Self:
        """Return the process that we are."""
        room, pid = process_room(), os.getpid()
        system = _NOWHERE if room is None else hashlib.sha256(room.encode()).hexdigest()[: len(_NOWHERE)]
        return cls(system, pid, process_start(pid) or 0)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return whom a mark means; None when it is not one."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))

    def __str__(self) -> str:
        """Return the mark."""
        return f"{self.system}-{self.pid}-{self.started}"

    @property
    def is_gone(self) -> bool | None:
        """Return whether the process has ended; None where that cannot be known here: another machine, an earlier boot."""
        if self.system in {_NOWHERE, ""} or self.system != Writer.here().system:
            return None
        started = process_start(self.pid)
        return started != self.started if started is not None else not _hidden(self.pid)


def _hidden(pid: int) -> bool:
    """Whether there is such a process, which /proc does not show to everybody (its mount option hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False
