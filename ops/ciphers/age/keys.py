"""Recipients and identities, from wherever the operator keeps them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.ciphers.age.header import is_sealed, read_stanzas, require_bearable_work
from ops.driverkit.filter_cipher import read_passphrase
from ops.errors import CipherError, ConfigError
from ops.host.secret import Secret

_RECIPIENT: Final = re.compile(r"age1[0-9a-z]+|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]+(?: .*)?")
_IDENTITY: Final = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+")
_PEM: Final = "-----BEGIN "


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeOptions:
    """What the table of an age cipher may say.

    Whom to seal for: `recipients` (`age1…`, `ssh-ed25519 …`, `ssh-rsa …`) and `recipients_file`, one a line.
    What opens, only where restores happen: an identity file (`age-keygen` writes it; several keys are several
    lines; an SSH key is a file of its own), and its passphrase where it is sealed with one (`age -p`).
    """

    recipients: tuple[str, ...] = ()
    recipients_file: Path | None = None
    identity_env: str | None = None
    identity_file: Path | None = None
    identity_command: tuple[str, ...] | None = None
    passphrase_env: str | None = None
    passphrase_file: Path | None = None
    passphrase_command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity file's text; or, where it is sealed, its bytes and the passphrase."""

    text: str = field(default="", repr=False)
    locked: bytes = field(default=b"", repr=False)
    passphrase: bytes = field(default=b"", repr=False)


def read_recipients(options: AgeOptions, name: str) -> list[str]:
    """All recipients, in order.

    Raises CipherError (`cipher.bad_recipient`) for one that has no known form, ConfigError when there is none.
    """
    found = [text.strip() for text in options.recipients]
    if options.recipients_file is not None:
        try:
            lines = options.recipients_file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            message = f"cipher {name!r}: the recipients cannot be read: {options.recipients_file}: {why}"
            raise CipherError(message, code="cipher.bad_recipient") from error
        found += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        hint = "give recipients = [\"age1…\"]; 'age-keygen' prints the public key of a new identity"
        raise ConfigError(f"cipher {name!r} has no recipients", code="config.missing_key", hint=hint)
    for recipient in found:
        if recipient.upper().startswith("AGE-SECRET-KEY-"):
            message = f"cipher {name!r}: a secret key stands among the recipients"
            hint = "replace it by its public key (age-keygen -y), and make a new one: this one was exposed"
            raise ConfigError(message, code="config.secret_in_file", hint=hint)
        if not _RECIPIENT.fullmatch(recipient):
            message = f"cipher {name!r}: {recipient[:40]!r} is no recipient of age"
            hint = "write age1… (from age-keygen), or the public line of an ssh-ed25519 or ssh-rsa key"
            raise CipherError(message, code="cipher.bad_recipient", hint=hint)
    return found


def has_identity(options: AgeOptions) -> bool:
    """Whether an identity is configured."""
    return bool(options.identity_env or options.identity_file or options.identity_command)


def read_identity(options: AgeOptions, name: str) -> Identity:
    """The configured identity, not yet unlocked.

    Raises ConfigError (`config.secret_unavailable`), and CipherError when none is configured, when it is locked
    and has no passphrase (both `cipher.no_identity`), or when it is none (`cipher.bad_identity`).
    """
    if not has_identity(options):
        hint = "give identity_file, identity_env or identity_command; only on machines where restores happen"
        raise CipherError(f"cipher {name!r} has no identity here", code="cipher.no_identity", hint=hint)
    content = _content(options, name)
    if is_sealed(content):
        return _locked(content, options, name)
    text = content.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    is_key = bool(lines) and all(_IDENTITY.fullmatch(line) for line in lines)
    if not is_key and not text.lstrip().startswith(_PEM):
        message = f"cipher {name!r}: the identity is neither one of age nor an SSH key"
        hint = "it should be what age-keygen wrote, or a private key of ssh-keygen without passphrase"
        raise CipherError(message, code="cipher.bad_identity", hint=hint)
    return Identity(text="\n".join(lines) + "\n" if is_key else text.strip() + "\n")


def _content(options: AgeOptions, name: str) -> bytes:
    secret = Secret(f"identity of cipher {name!r}", options.identity_env, None, options.identity_command)
    if options.identity_env is None and options.identity_file is not None:
        # A locked identity is no text.
        try:
            return options.identity_file.read_bytes()
        except OSError as error:
            message = f"the {secret.name} cannot be read: {options.identity_file}: {error.strerror}"
            raise ConfigError(message, code="config.secret_unavailable", hint="see docs: secrets") from error
    return (secret.read() or "").encode("utf-8", "surrogateescape")


def _locked(content: bytes, options: AgeOptions, name: str) -> Identity:
    require_bearable_work(read_stanzas(content))
    secret = Secret(
        f"passphrase of the identity of cipher {name!r}",
        options.passphrase_env,
        options.passphrase_file,
        options.passphrase_command,
    )
    passphrase = read_passphrase(secret)
    if passphrase is None:
        message = f"the identity of cipher {name!r} is locked, and no passphrase is configured"
        hint = "give passphrase_file, passphrase_env or passphrase_command"
        raise CipherError(message, code="cipher.no_identity", hint=hint)
    return Identity(locked=content, passphrase=passphrase)
