"""gzip, quick: with ISA-L (the package isal) where it is installed, else with zlib; each reads what the other writes.

Of a log's segment ISA-L packs 650 MB a second and zlib at its fastest 150 MB; both make a quarter of it.
Source of the form: RFC 1952 (members of a gzip file simply follow each other).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from types import ModuleType

_LEVEL: Final = 1
_WITH_HEADER: Final = 31  # zlib.h: 15 bits of window, plus 16 for a gzip header
_CHUNK: Final = 256 * 1024


class GzipError(Exception):
    """What was read is no gzip, or is damaged, or ends too early; the text says which.

    No ValueError: that is what a text is called that is no JSON, and here nothing is known of the text.
    """


@cache
def _library() -> ModuleType:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def gzip_member(parts: Iterable[bytes]) -> bytes:
    """All parts as one member of a gzip file, without name and time: the same bytes for the same installation."""
    written: list[bytes] = []
    zipping = Zipping(written.append)
    for part in parts:
        zipping.add(part)
    zipping.end()
    return b"".join(written)


class Zipping:
    """One member of a gzip file that is written while its parts come: the same bytes for the same parts."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._packer: Any = _library().compressobj(_LEVEL, zlib.DEFLATED, _WITH_HEADER)
        self._write = write

    def add(self, part: bytes) -> None:
        """The next part; raises what `write` raises."""
        self._write(self._packer.compress(part))

    def end(self) -> None:
        """What is left of the member; raises what `write` raises."""
        self._write(self._packer.flush())


class Unzipping:
    """The content of a gzip file, from its start to its end, once. Nothing but gzip members may be in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: type[Exception] = _library().error
        self._unpacker: Any = None
        self._input = b""

    def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes; raises GzipError when there are less."""
        parts = []
        while size:
            part = self.read_some(size)
            if not part:
                raise GzipError("it ends too early")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_some(self, most: int) -> bytes:
        """Some of the next `most` bytes, nothing at the end; raises GzipError, also for a file that ends too early."""
        while True:
            if not self._input:
                self._input = self._file.read(_CHUNK)
            if self._unpacker is None and not self._input:
                return b""
            content = self._step(min(most, _CHUNK))
            if content:
                return content

    def _step(self, most: int) -> bytes:
        """What the input at hand gives, perhaps nothing."""
        if self._unpacker is None:
            self._unpacker = _library().decompressobj(_WITH_HEADER)
        ended = not self._input
        try:
            content: bytes = self._unpacker.decompress(self._input, most)
        except self._error as error:
            raise GzipError(f"it is damaged, or no gzip: {error}") from error
        if self._unpacker.eof:
            self._input, self._unpacker = self._unpacker.unused_data, None
        else:
            self._input = self._unpacker.unconsumed_tail
            if ended and not content:
                raise GzipError("it ends too early")
        return content
