"""What a keyring says of its keys: why one cannot encrypt, and which secret ones have expired or were revoked.

Form of the listing: https://git.gnupg.org/cgi-bin/gitweb.cgi?p=gnupg.git;a=blob;f=doc/DETAILS
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ops.driverkit.filter_cipher import plain_environment
from ops.errors import OpsError
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.proc import run_program

ALONE: Final = (
    "--batch",
    "--no-tty",
    "--quiet",
    "--no-options",
    "--no-auto-key-locate",
    "--disable-dirmngr",
)
"""Nothing of the operator's settings, no key server, no question."""
PATIENCE_S: Final = 60
_PRIMARY: Final = ("pub", "sec")
_MATERIAL: Final = (*_PRIMARY, "sub", "ssb")
_FIELDS: Final = 12
_NOT_TRUSTED: Final = "10"
"""The reason of gpg's status line INV_RECP."""


@dataclass(slots=True)
class _Part:
    """A primary key or a subkey: gpg's letter for its validity, when it expires, and what it may do."""

    validity: str
    expires: str
    may: str
    fingerprint: str = ""

    @property
    def ended(self) -> str:
        """Return how it ended, in words; empty where it did not."""
        if self.validity == "r":
            return "was revoked"
        return f"expired on {_day(self.expires)}" if self.validity == "e" else ""


@dataclass(slots=True)
class Key:
    """A key with its subkeys; `owner`: its first user id."""

    parts: list[_Part]
    owner: str = ""

    @property
    def named(self) -> str:
        """Return its fingerprint and its owner."""
        return f"{self.parts[0].fingerprint} ({self.owner})" if self.owner else self.parts[0].fingerprint

    @property
    def ended(self) -> str:
        """Return how it, or all of it that can encrypt, ended; empty where it did not."""
        if self.parts[0].ended:
            return self.parts[0].ended
        ends = [part.ended for part in self._encrypting]
        return f"has a subkey for encryption that {ends[-1]}" if ends and all(ends) else ""

    @property
    def _encrypting(self) -> list[_Part]:
        return [part for part in self.parts if "e" in part.may]

    def why_not(self) -> tuple[str, str]:
        """Return why nothing can be encrypted for it, and what to do; empty where nothing but trust is missing."""
        if "D" in self.parts[0].may:
            return "is disabled in this keyring", "enable it: gpg --edit-key KEY enable save"
        if self.ended:
            renew = "import it anew where its owner made it valid for longer, or name another key"
            return self.ended, renew if "expired" in self.ended else "name the key that takes its place"
        if not self._encrypting:
            hint = "name a key with a subkey for encryption; its owner adds one with gpg --quick-add-key FINGERPRINT"
            return "can only sign, and has no subkey for encryption", hint
        return "", ""


def why_refused(home: Path, recipient: str, reason: str) -> tuple[str, str]:
    """Return why gpg does not encrypt for `recipient`, and what to do; `reason`: the number that gpg gave."""
    keys = keys_in(home, "--list-keys", recipient.removesuffix("!"))
    if not keys:
        hint = "import its public key (gpg --import FILE), or correct the recipient"
        return f"the keyring in {home} has no key of {recipient}", hint
    found = [(key, *key.why_not()) for key in keys]
    for key, why, hint in found:
        if why:
            return f"key {key.named} {why}", hint
    if reason == _NOT_TRUSTED:
        hint = (
            "name it by its whole fingerprint, which needs no trust, or sign it (gpg --lsign-key FINGERPRINT)"
        )
        return f"key {found[0][0].named} is not trusted in the keyring in {home}", hint
    hint = "try it by hand: gpg --encrypt --recipient FINGERPRINT"
    return f"key {found[0][0].named} cannot be used by this gpg", hint


def examine_secret_keys(home: Path, cipher: str) -> list[Finding]:
    """Return what to know of secret keys that expired or were revoked: what was encrypted for them is still opened."""
    try:
        ended = [key for key in keys_in(home, "--list-secret-keys") if key.ended]
    except OpsError as error:
        return [Finding(severity=Severity.WARNING, code=error.code, message=error.message, where=cipher)]
    return [
        Finding(
            severity=Severity.OK,
            code="cipher.key_ended",
            message=f"secret key {key.named} {key.ended}; it still opens what was encrypted for it",
            where=cipher,
        )
        for key in ended
    ]


def keys_in(home: Path, command: str, *wanted: str) -> list[Key]:
    """Return the keys that gpg lists; none where it finds or can read none."""
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        listing = folder / "keys"
        arguments = ("--no-auto-check-trustdb", "--with-colons", command, "--", *wanted)
        run_program(
            ["gpg", "--homedir", str(home), *ALONE, *arguments],
            timeout_s=PATIENCE_S,
            environment=plain_environment(),
            folder=folder,
            stdout=listing,
        )
        return _read(listing.read_text(encoding="utf-8", errors="replace").splitlines())


def _read(lines: Iterable[str]) -> list[Key]:
    keys: list[Key] = []
    for line in lines:
        fields = line.split(":")
        kind = fields[0]
        if kind in _MATERIAL and len(fields) >= _FIELDS:
            part = _Part(fields[1], fields[6], fields[11])
            if kind in _PRIMARY:
                # In capital letters stands what the whole key can; only what this part can is asked for.
                keys.append(Key([part]))
            elif keys:
                keys[-1].parts.append(part)
        elif keys:
            _add(keys[-1], kind, fields)
    return keys


def _add(key: Key, kind: str, fields: Sequence[str]) -> None:
    if kind == "fpr" and not key.parts[-1].fingerprint:
        key.parts[-1].fingerprint = fields[9]
    elif kind == "uid" and not key.owner:
        key.owner = fields[9].encode("ascii", "backslashreplace").decode("ascii")


def _day(seconds: str) -> str:
    return (
        f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}" if seconds.isdecimal() else "an unknown day"
    )
