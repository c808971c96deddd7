"""The cipher `age`: files for the holders of keys, in the format age-encryption.org/v1."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops.ciphers.age.engines import judge_opening, judge_sealing, sealing, unsealing
from ops.ciphers.age.header import LONGEST_HEADER, read_stanzas, require_for_keys
from ops.ciphers.age.keys import AgeOptions, has_identity, read_identity, read_recipients
from ops.driverkit.filter_cipher import digest_of_keys, probe_cipher, seal_file, sealed_source, unseal_file
from ops.model.findings import Finding
from ops.ports.cipher import Sealed
from ops.run.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class AgeCipher:
    """age, by its library or its program."""

    name: str
    options: AgeOptions

    kind: ClassVar[str] = "age"

    @property
    def suffix(self) -> str:
        """`.age`."""
        return ".age"

    @property
    def authenticated(self) -> bool:
        """Every byte."""
        return True

    @property
    def can_open(self) -> bool:
        """Whether an identity is configured."""
        return has_identity(self.options)

    @property
    def sealed_for(self) -> str | None:
        """A digest of its recipients, without the names that SSH keys have at their ends."""
        return digest_of_keys(" ".join(text.split()[:2]) for text in read_recipients(self.options, self.name))

    @property
    def by_passphrase(self) -> bool:
        """Never: a passphrase can only lock an identity."""
        return False

    def seal(self, plain: Path, sealed: Path, progress: Progress = silent) -> Sealed:
        """One pass through the library or the program."""
        recipients = read_recipients(self.options, self.name)
        filter_ = sealing(recipients, plain.stat().st_size if plain.is_file() else 0)
        return seal_file(filter_, plain, sealed, judge_sealing, progress)

    def unseal(
        self, sealed: Path, into: Path, expected: Sealed | None = None, progress: Progress = silent
    ) -> str:
        """One pass through the library or the program, after a look at the header."""
        identity = read_identity(self.options, self.name)
        with sealed_source(sealed, expected) as source:
            require_for_keys(read_stanzas(os.pread(source, LONGEST_HEADER, 0)))
            filter_ = unsealing(identity, os.fstat(source).st_size)
            return unseal_file(filter_, source, into, judge_opening, expected, progress)

    def probe(self) -> list[Finding]:
        """A sample there and back, and the files of identity and passphrase."""
        options = self.options
        private = [options.identity_file, options.passphrase_file]
        return probe_cipher(
            self, private, seals=bool(options.recipients or options.recipients_file) or not self.can_open
        )
