"""A local file as what is sent: its digests, its parts, and each part as a file of its own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.errors import StoreError
from ops.stores.s3.options import MOST_PARTS

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file: its number from 1 on, where it begins, its size, and its SHA-256 as S3 writes it."""

    number: int
    offset: int
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Content:
    """A file that was read through once: size, hex SHA-256, and its parts."""

    path: Path
    size: int
    sha256: str
    parts: tuple[Part, ...]

    @property
    def checksum(self) -> str:
        """The SHA-256 that S3 gives the object: for several parts that of their digests, and their number."""
        if len(self.parts) == 1:
            return self.parts[0].checksum
        digests = b"".join(base64.b64decode(part.checksum) for part in self.parts)
        return f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-{len(self.parts)}"

    def has_checksum(self, told: str) -> bool:
        """Return whether a server that tells `told` for the object has these bytes.

        AWS tells the SHA-256 of the digests of the parts with their number behind it; other servers leave the number away,
        or tell that of the whole.
        """
        whole = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        return told in {self.checksum, self.checksum.partition("-")[0], whole}


def measured(path: Path, part_size: int) -> Content:
    """The file at `path`, hashed and cut into parts. Raises StoreError when it cannot be read."""
    with _opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        # S3 takes so many parts and no more: a very large file is cut into larger ones.
        length = max(part_size, -(-size // MOST_PARTS))
        whole, parts = hashlib.sha256(), []
        for number, offset in enumerate(range(0, max(size, 1), length), 1):
            piece = min(length, size - offset)
            digest = hashlib.sha256()
            for block in _blocks(path, descriptor, offset, piece):
                digest.update(block)
                if piece != size:
                    whole.update(block)
            parts.append(Part(number, offset, piece, base64.b64encode(digest.digest()).decode()))
    sha256 = whole.hexdigest() if len(parts) > 1 else digest.hexdigest()
    return Content(path, size, sha256, tuple(parts))


def digest_of_piece(path: Path, offset: int, size: int, whole: Hash) -> bytes:
    """The SHA-256 of a piece of the file, which is added to that of the `whole` as well."""
    digest = hashlib.sha256()
    with _opened(path) as descriptor:
        for block in _blocks(path, descriptor, offset, size):
            digest.update(block)
            whole.update(block)
    return digest.digest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, "it is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _blocks(path: Path, descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        try:
            block = os.pread(descriptor, min(_BLOCK, end - offset), offset)
        except OSError as error:
            raise _unreadable(path, error.strerror or "") from error
        if not block:
            raise _unreadable(path, "it became shorter while it was read")
        yield block
        offset += len(block)


@contextlib.contextmanager
def opened_part(content: Content, part: Part) -> Iterator[PartFile]:
    """The part as a file, open while the block runs; several threads may read parts of one file."""
    with _opened(content.path) as descriptor:
        yield PartFile(content.path, descriptor, part)


class PartFile:
    """One part as a file that can be read again from its start."""

    def __init__(self, path: Path, descriptor: int, part: Part) -> None:
        self._path, self._descriptor, self._part, self._position = path, descriptor, part, 0

    def __len__(self) -> int:
        """Its size."""
        return self._part.size

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to `offset`: a request that is tried again begins anew."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._part.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, all when it is negative; raises StoreError when the file became shorter."""
        rest = max(0, self._part.size - self._position)
        length = rest if size < 0 else min(size, rest)
        offset = self._part.offset + self._position
        self._position += length
        return b"".join(_blocks(self._path, self._descriptor, offset, length))


def _unreadable(path: Path, why: str) -> StoreError:
    message = f"{path} cannot be sent: {why}"
    return StoreError(message, hint="nothing else may write there while it is sent; run it again")
