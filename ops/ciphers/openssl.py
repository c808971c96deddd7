"""The cipher `openssl`: AES-256-CBC under a passphrase, as `openssl enc` writes it.

It authenticates nothing: whoever can write the file can change what comes out of it. So nothing is opened
without knowing size and digest of what was sealed. The file does not say how often the passphrase was hashed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from ops.driverkit.filter_cipher import (
    UNCLEAR,
    damaged,
    failed,
    not_encrypted,
    plain_environment,
    probe_cipher,
    read_passphrase,
    seal_file,
    sealed_source,
    unseal_file,
)
from ops.errors import CipherError, ConfigError
from ops.host.secret import Secret
from ops.model.findings import Finding
from ops.ports.cipher import Sealed
from ops.proc.filter import SECRET_HERE, Filter, Filtered
from ops.run.progress import Progress, silent

_MAGIC: Final = b"Salted__"
_MAGIC_IN_BASE64: Final = b"U2FsdGVkX1"
_HEADER: Final = 16  # the magic and eight bytes of salt
_BLOCK: Final = 16
_FEWEST: Final = 10_000
_MOST: Final = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OpensslOptions:
    """What the table of an openssl cipher may say: the passphrase's place, and how often PBKDF2 hashes it.

    600,000 is what OWASP asks of PBKDF2 with SHA-256. Another number opens only what was sealed with it.
    """

    passphrase_env: str | None = None
    passphrase_file: Path | None = None
    passphrase_command: tuple[str, ...] | None = None
    iterations: int = 600_000


@dataclass(frozen=True, slots=True)
class OpensslCipher:
    """`openssl enc -aes-256-cbc -pbkdf2` with a passphrase."""

    name: str
    options: OpensslOptions

    kind: ClassVar[str] = "openssl"

    @property
    def suffix(self) -> str:
        """`.enc`."""
        return ".enc"

    @property
    def authenticated(self) -> bool:
        """No."""
        return False

    @property
    def can_open(self) -> bool:
        """With the passphrase that also seals."""
        options = self.options
        return bool(options.passphrase_env or options.passphrase_file or options.passphrase_command)

    @property
    def sealed_for(self) -> str | None:
        """Nothing: a digest of the passphrase would help to guess it."""
        return None

    @property
    def by_passphrase(self) -> bool:
        """Always."""
        return True

    def seal(self, plain: Path, sealed: Path, progress: Progress = silent) -> Sealed:
        """One pass through `openssl enc`."""
        return seal_file(self._filter("-e"), plain, sealed, _judge_sealing, progress)

    def unseal(
        self, sealed: Path, into: Path, expected: Sealed | None = None, progress: Progress = silent
    ) -> str:
        """Only with `expected`: nothing else can show that the content is what was sealed."""
        if expected is None:
            message = f"{sealed} proves nothing by itself, and no digest of its content is recorded"
            hint = "open it by hand, and trust the result no more than the place where it lay; see docs: encryption"
            raise CipherError(message, code="cipher.unverifiable", hint=hint)
        filter_ = self._filter("-d")
        with sealed_source(sealed, expected, _said_of_base64) as source:
            _require_form(source, expected)
            return unseal_file(filter_, source, into, _judge_opening, expected, progress, another=_unclear)

    def probe(self) -> list[Finding]:
        """A sample there and back, and the passphrase's file."""
        return probe_cipher(self, [self.options.passphrase_file], seals=True)

    def _filter(self, direction: str) -> Filter:
        iterations = self.options.iterations
        if not _FEWEST <= iterations <= _MOST:
            message = f"cipher {self.name!r}: iterations is {iterations}, not {_FEWEST} to {_MOST}"
            raise ConfigError(message, hint="leave it away: 600000 is right for most")
        options = self.options
        secret = Secret(
            f"passphrase of cipher {self.name!r}",
            options.passphrase_env,
            options.passphrase_file,
            options.passphrase_command,
        )
        passphrase = read_passphrase(secret)
        if passphrase is None:
            message = f"cipher {self.name!r} has no passphrase"
            hint = "give passphrase_file, passphrase_env or passphrase_command"
            raise CipherError(message, code="cipher.no_identity", hint=hint)
        algorithm = ("-aes-256-cbc", "-salt", "-pbkdf2", "-md", "sha256", "-iter", str(iterations))
        argv = ("openssl", "enc", direction, *algorithm, "-pass", f"fd:{SECRET_HERE}")
        return Filter(argv, plain_environment(), passphrase)


def _require_form(source: int, expected: Sealed) -> None:
    """Return when the file has the form, and the length, that sealing so much gives."""
    start = os.pread(source, _HEADER, 0)
    if start.startswith(_MAGIC_IN_BASE64):
        message = f"cannot be opened as it is{_said_of_base64(source)}"
        hint = "convert it (openssl base64 -d -in FILE -out FILE.enc), and open that by hand; see docs: encryption"
        raise CipherError(message, code="cipher.not_encrypted", hint=hint)
    if not start.startswith(_MAGIC):
        raise not_encrypted("openssl enc")
    if expected.size != _HEADER + (expected.plain_size // _BLOCK + 1) * _BLOCK:
        raise damaged("has not the length that sealing its content gives")


def _said_of_base64(source: int) -> str:
    """What there is to say, behind another word, of a file that is base64 text; else nothing."""
    if not os.pread(source, _HEADER, 0).startswith(_MAGIC_IN_BASE64):
        return ""
    return (
        ": it is base64 text, as openssl enc -a (or -base64) writes it, where bytes belong;"
        " openssl base64 -d -in FILE -out FILE.enc makes those of it"
    )


def _judge_sealing(ended: Filtered) -> None:
    if ended.exit_code != 0:
        raise failed("openssl", ended)


def _unclear(what: str) -> CipherError:
    """It did not open, or what came out is not what went in.

    Of 256 wrong passphrases one gives padding that looks right: then openssl says that all is well.
    """
    message = f"{what}: the passphrase or the number of iterations is wrong, or it is damaged"
    hint = "compare its SHA-256 with the recorded one: if they are equal, the passphrase is the wrong one"
    return CipherError(message, code=UNCLEAR, hint=hint)


def _judge_opening(ended: Filtered) -> None:
    if ended.exit_code == 1 and "bad decrypt" in ended.said:
        raise _unclear("cannot be opened")
    if ended.exit_code != 0:
        raise failed("openssl", ended)
