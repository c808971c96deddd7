"""The cipher `gpg`: OpenPGP files for recipients, or under a passphrase.

The operator's `gpg.conf` is not read, no key server is asked, and the operator's agent is neither used nor
ended: secret keys are used through a GNUPGHOME of ours that points to them, with an agent that goes with it.
Status words: https://git.gnupg.org/cgi-bin/gitweb.cgi?p=gnupg.git;a=blob;f=doc/DETAILS
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from ops.ciphers.gpg.keyring import ALONE, PATIENCE_S, examine_secret_keys, why_refused
from ops.driverkit.filter_cipher import (
    damaged,
    digest_of_keys,
    failed,
    not_encrypted,
    plain_environment,
    probe_cipher,
    read_passphrase,
    seal_file,
    sealed_source,
    unseal_file,
    wrong_key,
)
from ops.errors import CipherError, ConfigError
from ops.fsio.scratch import scratch_folder
from ops.host.secret import Secret
from ops.model.findings import Finding
from ops.ports.cipher import Sealed
from ops.proc import run_program
from ops.proc.filter import SECRET_HERE, Filter, Filtered
from ops.run.progress import Progress, silent

_FINGERPRINT: Final = re.compile(r"(?:0x)?(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?")
_ADDRESS: Final = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_STRONG: Final = ("--cipher-algo", "AES256", "--compress-algo", "none")
_SLOW: Final = (
    "--no-symkey-cache", "--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-cipher-algo", "AES256",
    "--s2k-count", "65011712",
)  # fmt: skip
"""The most that the format can say; without a count, gpg would start an agent to ask how quick this machine is."""
_PRIVATE_KEYS: Final = "private-keys-v1.d"
_PUBLIC_KEYS: Final = "pubring.gpg"
_LONGEST_PLACE: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class GpgOptions:
    """What the table of a gpg cipher may say.

    `recipients`: full fingerprints (used as they are) or addresses (whose keys must be trusted in the keyring);
    without any, files are sealed with the passphrase. `homedir`: the GNUPGHOME to use. The passphrase: of the
    files, or with recipients of the secret key.
    """

    recipients: tuple[str, ...] = ()
    homedir: Path | None = None
    passphrase_env: str | None = None
    passphrase_file: Path | None = None
    passphrase_command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GpgCipher:
    """The program gpg, for recipients or with a passphrase."""

    name: str
    options: GpgOptions

    kind: ClassVar[str] = "gpg"

    @property
    def suffix(self) -> str:
        """`.gpg`."""
        return ".gpg"

    @property
    def authenticated(self) -> bool:
        """The content, by a modification detection code, which is demanded."""
        return True

    @property
    def can_open(self) -> bool:
        """Whether the keyring has any secret key, or, without recipients, a passphrase is configured."""
        return self._has_secret_key or (self._has_passphrase and not self.options.recipients)

    @property
    def sealed_for(self) -> str | None:
        """A digest of its recipients where all are fingerprints: an address may mean another key tomorrow."""
        keys = [_recipient(text).removeprefix("0x").upper() for text in self.options.recipients]
        return digest_of_keys(keys) if keys and all(map(_FINGERPRINT.fullmatch, keys)) else None

    @property
    def by_passphrase(self) -> bool:
        """Where there are no recipients."""
        return not self.options.recipients

    def seal(self, plain: Path, sealed: Path, progress: Progress = silent) -> Sealed:
        """One pass through `gpg --encrypt` or `gpg --symmetric`."""
        with _room() as room:
            filter_ = self._sealing_for_keys(room) if self.options.recipients else self._sealing(room)
            return seal_file(
                filter_,
                plain,
                sealed,
                functools.partial(_judge_sealing, room=room, home=self._home),
                progress,
            )

    def unseal(
        self, sealed: Path, into: Path, expected: Sealed | None = None, progress: Progress = silent
    ) -> str:
        """One pass through `gpg --decrypt`, whose status must say that the content was proven."""
        if not self.can_open:
            message = (
                f"cipher {self.name!r} cannot open {sealed}: there is no secret key and no passphrase here"
            )
            hint = "set homedir to where the secret key is, or give passphrase_file; on a machine for restores only"
            raise CipherError(message, code="cipher.no_identity", hint=hint)
        with sealed_source(sealed, expected) as source, _room() as room:
            _require_form(source)
            if self._has_secret_key:
                self._borrow_keys(room)
            arguments = ("--no-auto-check-trustdb", "--trust-model", "always", "--decrypt")
            filter_ = self._filter(room, room / "home", arguments, self._passphrase())
            judge = functools.partial(_judge_opening, room=room)
            # What stands around the content is not under its protection: a changed byte there may not matter.
            return unseal_file(filter_, source, into, judge, expected, progress, compared=True)

    def probe(self) -> list[Finding]:
        """A sample there and back, and who can read the passphrase's file and the keyring."""
        private = [self.options.passphrase_file, self._home if self._has_secret_key else None]
        found = probe_cipher(self, private, seals=bool(self.options.recipients) or self._has_passphrase)
        return [*found, *(examine_secret_keys(self._home, self.name) if self._has_secret_key else [])]

    @property
    def _home(self) -> Path:
        if self.options.homedir is not None:
            return self.options.homedir.absolute()
        return Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg").absolute()

    @property
    def _has_passphrase(self) -> bool:
        options = self.options
        return bool(options.passphrase_env or options.passphrase_file or options.passphrase_command)

    @property
    def _has_secret_key(self) -> bool:
        try:
            return any(path.suffix == ".key" for path in (self._home / _PRIVATE_KEYS).iterdir())
        except OSError:
            return False

    def _passphrase(self) -> bytes | None:
        options = self.options
        name = f"passphrase of cipher {self.name!r}"
        return read_passphrase(
            Secret(name, options.passphrase_env, options.passphrase_file, options.passphrase_command)
        )

    def _sealing_for_keys(self, room: Path) -> Filter:
        recipients = [_recipient(text) for text in self.options.recipients]
        named = tuple(word for recipient in recipients for word in ("--recipient", recipient))
        # Who wrote the whole fingerprint down has decided; an address is only as good as the keyring's trust.
        decided = all(_FINGERPRINT.fullmatch(recipient) for recipient in recipients)
        trust = ("--trust-model", "always") if decided else ()
        return self._filter(room, self._home, (*_STRONG, *trust, *named, "--encrypt"), None)

    def _sealing(self, room: Path) -> Filter:
        passphrase = self._passphrase()
        if passphrase is None:
            message = f"cipher {self.name!r} has neither recipients nor a passphrase to seal with"
            hint = "give recipients (fingerprints), or passphrase_file, passphrase_env or passphrase_command"
            raise ConfigError(message, code="config.missing_key", hint=hint)
        return self._filter(room, room / "home", (*_STRONG, *_SLOW, "--symmetric"), passphrase)

    def _filter(self, room: Path, home: Path, arguments: tuple[str, ...], secret: bytes | None) -> Filter:
        where = ("--homedir", str(home), "--status-file", str(room / "status"))
        by_us = () if secret is None else ("--pinentry-mode", "loopback", "--passphrase-fd", SECRET_HERE)
        return Filter(("gpg", *where, *ALONE, *by_us, *arguments), plain_environment(), secret)

    def _borrow_keys(self, room: Path) -> None:
        """Make the secret keys usable in our own home, and copy the public ones, whatever form their ring has."""
        home = room / "home"
        (home / _PRIVATE_KEYS).symlink_to(self._home / _PRIVATE_KEYS)
        ended = run_program(
            ["gpg", "--homedir", str(self._home), *ALONE, "--export"],
            timeout_s=PATIENCE_S,
            environment=plain_environment(),
            folder=room,
            stdout=home / _PUBLIC_KEYS,
        )
        if ended.exit_code != 0:
            message = f"gpg cannot read the keyring in {self._home}: {ended.output_tail}"
            raise CipherError(message, code="cipher.bad_identity", hint="look with gpg --list-secret-keys")


@contextlib.contextmanager
def _room() -> Iterator[Path]:
    """A private folder for one run of gpg with an empty home in it; its agent ends with it.

    Not beside the files: the path of an agent's socket must fit into 108 bytes (104 on macOS; unix(7)).
    """
    place = tempfile.gettempdir()
    with scratch_folder(Path(place if len(os.fsencode(place)) <= _LONGEST_PLACE else "/tmp")) as room:  # noqa: S108 - a private folder is made in it
        home = room / "home"
        home.mkdir(0o700)
        try:
            yield room
        finally:
            # An agent that we are killed before ending goes by itself, when the next run has removed its home.
            if (home / _PRIVATE_KEYS).exists():
                _gpgconf(home, "--kill", "all")
            # Where there is a /run/user, sockets of every home get a folder there, which gpg leaves behind.
            _gpgconf(home, "--remove-socketdir")


def _gpgconf(home: Path, *arguments: str) -> None:
    """Tidy up after gpg; what cannot be tidied does no harm."""
    run_program(
        ["gpgconf", "--homedir", str(home), *arguments],
        timeout_s=PATIENCE_S,
        environment=plain_environment(),
        folder=home,
    )


def _recipient(text: str) -> str:
    """The recipient as gpg takes it for exactly that one; a bare address would also find longer ones."""
    squeezed = text.replace(" ", "")
    if _FINGERPRINT.fullmatch(squeezed):
        return squeezed
    if _ADDRESS.fullmatch(text):
        return f"<{text}>"
    hint = "write the whole fingerprint (40 digits, gpg --list-keys shows it), or the key's e-mail address"
    raise CipherError(
        f"{text!r} is no fingerprint and no address of a key", code="cipher.bad_recipient", hint=hint
    )


def _require_form(source: int) -> None:
    """Return when the file begins as an encrypted message does (RFC 4880, 4.2: tags 1, 3, 9, 18, and 20 of gpg)."""
    start = os.pread(source, 64, 0)
    if not start:
        raise damaged("is empty")
    tag = start[0] & 0x3F if start[0] & 0x40 else (start[0] & 0x3C) >> 2
    armored = start.lstrip().startswith(b"-----BEGIN PGP MESSAGE-----"[: len(start)])
    if not armored and not (start[0] & 0x80 and tag in {1, 3, 9, 18, 20}):
        raise not_encrypted("gpg")


def _status(room: Path) -> list[list[str]]:
    """The words of each status line that gpg wrote."""
    try:
        text = (room / "status").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.split()[1:] for line in text.splitlines() if line.startswith("[GNUPG:] ")]


def _judge_sealing(ended: Filtered, room: Path, home: Path) -> None:
    status = _status(room)
    for words in status:
        if words[:1] == ["INV_RECP"]:
            recipient = " ".join(words[2:])
            why, hint = why_refused(home, recipient, words[1])
            message = f"gpg cannot encrypt for {recipient.strip('<>')}: {why}"
            raise CipherError(message, code="cipher.bad_recipient", hint=hint)
    if ended.exit_code != 0 or ["END_ENCRYPTION"] not in status:
        raise failed("gpg", ended)


def _judge_opening(ended: Filtered, room: Path) -> None:
    status = _status(room)
    words = {line[0] for line in status if line}
    proven = {"DECRYPTION_OKAY", "GOODMDC"} <= words and not words & {"DECRYPTION_FAILED", "BADMDC"}
    if ended.exit_code == 0 and proven:
        return
    if ended.exit_code < 0 or not words or "connect to the agent" in ended.said:
        raise failed("gpg", ended)
    if "PLAINTEXT" in words or "BADMDC" in words:
        raise damaged("was truncated or altered, says gpg")
    if any(line[:1] == ["ERROR"] and "BAD_PASSPHRASE" in line[-1] for line in status):
        raise wrong_key()
    if "DECRYPTION_KEY" not in words and words & {"DECRYPTION_FAILED", "NO_SECKEY"}:
        raise wrong_key()
    raise damaged("was truncated or altered, says gpg")
