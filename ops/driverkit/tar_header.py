"""The 512 bytes before a member of a tar archive: one plain form is written, few are read. Pure.

The form is POSIX ustar: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06. What is read
is that, the older forms with the same fields, and none of their extensions (pax, GNU long names, sparse files): a log
needs none, and each is a way to say one name to one reader and another to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MANIFEST: Final = "manifest.json"
"""The member that says what the others are."""
BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
"""What stands behind the last member."""
_MODE: Final = 0o600
LARGEST: Final = 8**11 - 1
"""What eleven octal digits can say: the bytes of the largest member that every tar reads, 8 GiB less one."""
_CHECKSUM: Final = slice(148, 156)
_FILE_TYPES: Final = (b"0", b"\0")
_FOLDER_TYPE: Final = b"5"
_TYPES: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"x": "a pax header",
    b"g": "a pax header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a sparse file",
}


class TarError(Exception):
    """A header that is damaged, or says something that no log needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says: a name, whether it is a folder, and the bytes that follow."""

    name: str
    is_folder: bool
    size: int


def header_of(name: str, size: int, mtime_s: int) -> bytes:
    """The header of a file of ours: owner 0, mode 0600; the same for the same parameters everywhere."""
    seconds = min(max(0, mtime_s), LARGEST)
    fields = [
        name.encode("ascii").ljust(100, b"\0"),
        b"%07o\0%07o\0%07o\0" % (_MODE, 0, 0),
        b"%011o\0%011o\0" % (size, seconds),
        b" " * 8,
        b"0".ljust(101, b"\0"),
        b"ustar\00000".ljust(72, b"\0"),
        b"%07o\0%07o\0" % (0, 0),
    ]
    header = bytearray(b"".join(fields).ljust(BLOCK, b"\0"))
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    return bytes(header)


def padding_of(size: int) -> bytes:
    """What fills a member's last block."""
    return bytes(-size % BLOCK)


def read_header(block: bytes) -> Header | None:
    """What a block says; None for one of zeros, two of which end an archive. Raises TarError."""
    if not any(block):
        return None
    unsigned = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    if _octal(block[_CHECKSUM]) != unsigned:
        raise TarError("a header does not have the checksum that it says")
    kind = block[156:157]
    if kind not in (*_FILE_TYPES, _FOLDER_TYPE):
        raise TarError(f"{_shown(block[:100])} is {_TYPES.get(kind, 'something else than a file')}")
    is_ustar = block[257:262] == b"ustar"
    if is_ustar and any(block[345:500]):
        raise TarError(f"{_shown(block[:100])} has a name in two parts")
    name, _, behind = block[:100].partition(b"\0")
    if any(behind):
        raise TarError(f"{_shown(block[:100])} has something behind its name")
    size = _octal(block[124:136])
    is_folder = kind == _FOLDER_TYPE
    if is_folder and size:
        raise TarError(f"{_shown(name)} is a folder with content")
    return Header(_shown(name), is_folder, size)


def _shown(name: bytes) -> str:
    """A name as text; one that could be taken for another, or that a terminal would obey, is escaped."""
    return name.rstrip(b"\0").decode("latin-1").encode("unicode_escape").decode("ascii")


def _octal(field: bytes) -> int:
    """A number; raises TarError for the forms that only extensions use."""
    text = field.strip(b" \0")
    if not text or text.strip(b"01234567"):
        raise TarError("a header holds a number in another form than octal digits")
    return int(text, 8)
