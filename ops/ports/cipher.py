"""What a cipher promises: whole or nothing, in both directions. It knows files, and neither kinds nor stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops.model.findings import Finding
from ops.run.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is known of a sealed file: size in bytes and hex SHA-256, of what went in and of what is stored."""

    plain_size: int
    plain_sha256: str
    size: int
    sha256: str


class Cipher(Protocol):
    """Turns files into files that only the holder of a key can read. Methods raise CipherError, ToolError, ConfigError.

    Secrets are read where they are used, and are in no argument, variable, file, error or log of ours.
    """

    @property
    def name(self) -> str:
        """Its configured name."""

    @property
    def kind(self) -> str:
        """Its kind, as the registry has it."""

    @property
    def suffix(self) -> str:
        """What is added to the name of a sealed file, dot included."""

    @property
    def authenticated(self) -> bool:
        """Whether the format itself proves that nothing was changed; without, `unseal` needs `expected`."""

    @property
    def can_open(self) -> bool:
        """Whether an identity or a passphrase is at hand here; it is not tried."""

    @property
    def sealed_for(self) -> str | None:
        """The same text for the same public keys, another for others; None where they are not known by name.

        Never made from a secret: who has the manifest could try out passphrases. Raises ConfigError, CipherError.
        """

    @property
    def by_passphrase(self) -> bool:
        """Whether it seals with a passphrase, not for public keys."""

    def seal(self, plain: Path, sealed: Path, progress: Progress = silent) -> Sealed:
        """Fill `sealed`, a new private file or an empty one of `Store.stage`; both digests, from one pass over `plain`.

        After an error `sealed` is as it was. Not fsynced; after SIGKILL it may be half written. Raises
        RefusedError when there is anything else at `sealed`.
        """

    def unseal(
        self, sealed: Path, into: Path, expected: Sealed | None = None, progress: Progress = silent
    ) -> str:
        """Write the content to the new private file `into`; the SHA-256 of what was written.

        `into` gets its name when the content is whole and proven, and is what `expected` says where that is
        given. Otherwise no plain text is left: after any exception under no name, after SIGKILL only in a
        scratch folder beside `into`, which the next run there sweeps. Not fsynced. With `expected` a
        damaged file is told from a wrong key. Raises RefusedError when `into` exists.
        """

    def probe(self) -> list[Finding]:
        """Seal a few bytes, open them again where that is possible, look at the secrets' files; empty never."""
