"""The beginning of an age file, read before any key is tried (format: https://age-encryption.org/v1)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from ops.driverkit.filter_cipher import damaged, not_encrypted
from ops.errors import CipherError

MAGIC: Final = b"age-encryption.org/v1\n"
ARMOR: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
LONGEST_HEADER: Final = 1 << 20
_MOST_WORK: Final = 20
"""2**20 rounds of scrypt take some seconds and 1 GiB; the programs write 18."""


def is_sealed(content: bytes) -> bool:
    """Whether this is an age file, plain or armoured."""
    return content.startswith(MAGIC) or content.lstrip().startswith(ARMOR)


def read_stanzas(start: bytes) -> list[list[str]]:
    """The words of each recipient stanza in the header that `start` begins with.

    Raises CipherError: `cipher.not_encrypted`, or `cipher.damaged` when the header has no end.
    """
    content = _without_armor(start) if start.lstrip().startswith(ARMOR) else start
    if not content.startswith(MAGIC):
        raise damaged("ends in its header") if MAGIC.startswith(content) else not_encrypted("age")
    stanzas: list[list[str]] = []
    for line in content.removeprefix(MAGIC).split(b"\n")[:-1]:
        if line.startswith(b"--- "):
            return stanzas
        if line.startswith(b"-> "):
            stanzas.append(line[3:].decode("ascii", "replace").split(" "))
    raise damaged("ends in its header")


def require_for_keys(stanzas: list[list[str]]) -> None:
    """Return when the file was sealed for keys, not with a passphrase; raises CipherError.

    A passphrase is never tried on a backup: its header could ask for hours of work.
    """
    if any(stanza[0] == "scrypt" for stanza in stanzas):
        hint = "if it was sealed by hand (age -p), open it by hand: age --decrypt FILE > PLAIN"
        message = "is sealed with a passphrase, not for keys"
        raise CipherError(message, code="cipher.wrong_key", hint=hint)


def require_bearable_work(stanzas: list[list[str]]) -> None:
    """Return when trying a passphrase takes seconds; raises CipherError (`cipher.bad_identity`)."""
    match stanzas:
        case [["scrypt", _, work]] if work.isascii() and work.isdecimal() and 0 < int(work[:4]) <= _MOST_WORK:
            return
    message = (
        f"the identity is not sealed with a passphrase as age does it (scrypt, work at most {_MOST_WORK})"
    )
    hint = "seal it anew: age --passphrase --output NEW PLAIN-IDENTITY"
    raise CipherError(message, code="cipher.bad_identity", hint=hint)


def _without_armor(start: bytes) -> bytes:
    """The bytes that the armour's whole lines hold, as far as they are base64."""
    content = bytearray()
    for line in start.lstrip().replace(b"\r\n", b"\n").split(b"\n")[1:]:
        try:
            content += base64.b64decode(line, validate=True)
        except binascii.Error:
            break
    return bytes(content)
