"""A folder that is sent file by file while the next is still being made.

Its name is taken first, and what it will hold is not known then: nothing of it can be resumed.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ops.errors import OpsError
from ops.stores.s3.abort_stale import abort_uploads
from ops.stores.s3.connection import Connection
from ops.stores.s3.folder import claim_name, give_up_claim, require_all, show_folder
from ops.stores.s3.keys import object_name
from ops.stores.s3.parts import Content, measured
from ops.stores.s3.stored import remove_own
from ops.stores.s3.upload import send


@dataclass(slots=True)
class SentFolder:
    """The folder `key`, whose name is ours. `whole`: it is listed."""

    connection: Connection
    key: str
    whole: bool = False
    _contents: dict[str, Content] = field(default_factory=dict)
    _writers: dict[str, str] = field(default_factory=dict)

    def put(self, inside: str, file: Path) -> str:
        """Send a file of it; the SHA-256 of what was sent."""
        options = self.connection.options
        name = object_name(options.folder, f"{self.key}/{inside}")
        content = measured(file, options.part_size)
        self._writers[name] = send(self.connection, name, content)
        self._contents[name] = content
        return content.sha256

    def finish(self) -> None:
        """Return when exactly what was sent is there; raises StoreError."""
        require_all(self.connection, f"{self.connection.options.folder}{self.key}/", self._contents)
        show_folder(self.connection, self.key)
        self.whole = True

    def give_up(self, claim: str) -> None:
        """Remove what was sent, as far as that can be done."""
        remove_own(self.connection, self._writers)
        with contextlib.suppress(OpsError):
            abort_uploads(self.connection, self.key)
        give_up_claim(self.connection, self.key, claim)


@contextlib.contextmanager
def sent_folder(connection: Connection, key: str) -> Iterator[SentFolder]:
    """Yield a folder whose name was taken; it is removed again unless it was finished.

    Raises RefusedError when the name is taken.
    """
    claim = claim_name(connection, key, uuid.uuid4().hex)
    folder = SentFolder(connection, key)
    try:
        yield folder
    finally:
        if not folder.whole:
            folder.give_up(claim)
