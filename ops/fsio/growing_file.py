"""A file that one thread writes from its start to its end while another already reads it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from ops.errors import StoreError

_LOOK_EVERY_S: Final = 0.02


class GrowingFile:
    """What is in it stays as it is; more is added until the writer says that it is whole, or that it failed.

    `expected`: bytes that it will hold, rather too many than too few.
    """

    def __init__(self, path: Path, expected: int) -> None:
        self.path, self.expected = path, expected
        self._ended, self._failed = threading.Event(), False

    def finish(self) -> None:
        """The writer's word that nothing is added any more."""
        self._ended.set()

    def fail(self) -> None:
        """The writer's word that it will never be whole."""
        self._failed = True
        self._ended.set()

    @property
    def finished(self) -> bool:
        """Whether the writer has said how it ended."""
        return self._ended.is_set()

    def size_beyond(self, size: int) -> tuple[int, bool]:
        """How much is there, as soon as that is more than `size` bytes or all, and whether it is all.

        Raises StoreError when the writer failed.
        """
        while True:
            ended = self._ended.wait(_LOOK_EVERY_S)
            if self._failed:
                message = f"{self.path.name} cannot be sent: who wrote it failed"
                raise StoreError(message, code="store.unreadable")
            there = os.stat(self.path).st_size
            if ended or there > size:
                return there, ended
