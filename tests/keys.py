"""Key pairs of age, fresh ones."""

from __future__ import annotations

from pathlib import Path

import pyrage

from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions


class Keys:
    """One key pair: the cipher of a machine that only seals, and of one that also opens."""

    def __init__(self, folder: Path, name: str) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.file = folder / f"{name}.key"
        self.file.touch(0o600)
        self.file.write_text(f"{identity}\n", encoding="ascii")
        self.recipient = str(identity.to_public())
        self.sealing = AgeCipher("escrow", AgeOptions(recipients=(self.recipient,)))
        self.opening = AgeCipher("escrow", AgeOptions(identity_file=self.file))
