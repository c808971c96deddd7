"""openssl proves nothing: a wrong passphrase may look like success."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.errors import CipherError
from ops.ports.cipher import Sealed

pytestmark = [pytest.mark.alone, pytest.mark.long]

SEALED: Final = bytes.fromhex(
    "53616c7465645f5f0011223344556677888c03c68f7486c6981f004baf5c2626d513d7d890f284101aac51ec3637419a"
    "4f7bb1a8a64365790bf59acc463c26e2"
)
"""40 letters `a`, encrypted with the passphrase `right` in 10,000 rounds. `wrong 256` gives 47 other bytes, and exit code 0."""
PLAIN: Final = b"a" * 40
KNOWN: Final = Sealed(len(PLAIN), sha256(PLAIN).hexdigest(), len(SEALED), sha256(SEALED).hexdigest())


def code_of(folder: Path, passphrase: str, known: Sealed) -> str:
    """The code of the error with which opening ends; nothing is left of what came out."""
    path = folder / "passphrase"
    path.touch(0o600)
    path.write_text(passphrase)
    cipher = OpensslCipher("old", OpensslOptions(passphrase_file=path, iterations=10_000))
    with pytest.raises(CipherError) as caught:
        cipher.unseal(folder / "sealed", folder / "opened", known)
    assert not (folder / "opened").exists()
    return caught.value.code


@pytest.mark.parametrize("size", [40, 47])
def test_a_wrong_passphrase_that_looks_right(tmp_path: Path, size: int) -> None:
    """Of 256 wrong ones one gives padding that looks right: that is a wrong key, whether it is too long or other bytes."""
    (tmp_path / "sealed").write_bytes(SEALED)
    known = replace(KNOWN, plain_size=size)
    assert code_of(tmp_path, "wrong 256", known) == "cipher.wrong_key"
    assert code_of(tmp_path, "wrong 1", known) == "cipher.wrong_key"


def test_a_damaged_file_that_opens(tmp_path: Path) -> None:
    """Where the file is not the one that was stored, the same is damage."""
    content = bytearray(SEALED)
    content[20] ^= 1
    (tmp_path / "sealed").write_bytes(content)
    assert code_of(tmp_path, "right", KNOWN) == "cipher.damaged"
    (tmp_path / "sealed").write_bytes(SEALED)
    assert code_of(tmp_path, "wrong 256", replace(KNOWN, sha256="0" * 64)) == "cipher.damaged"
