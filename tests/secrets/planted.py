"""The planted secrets, and what finds them again in bytes of any origin."""

from __future__ import annotations

import base64
import functools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

POSTGRES_WAYS: Final = ("env", "file", "command", "pgpass", "passfile", "service", "variable", "boxed")
"""How a password of PostgreSQL is given: three keys of ours, libpq's four ways, and into a container."""
S3_WAYS: Final = ("env", "file", "command", "aws", "profile")
_WRONG: Final = ("password", "s3-secret", "passphrase")


@dataclass(frozen=True)
class Canaries:
    """Secrets by name. None of them is a part of another one, nor of anything else."""

    texts: Mapping[str, str]

    @functools.cached_property
    def _needles(self) -> list[tuple[bytes, str]]:
        return [(needle, name) for name, text in self.texts.items() for needle in _forms_of(text.encode())]

    def __getitem__(self, name: str) -> str:
        """The secret of that name."""
        return self.texts[name]

    def found_in(self, content: bytes) -> set[str]:
        """The names of those that stand in `content`, as they are or in Base64."""
        return {name for needle, name in self._needles if needle in content}


def _forms_of(secret: bytes) -> list[bytes]:
    """The secret, and what of it stands in a Base64 text whatever comes before and after it."""
    shifted = (base64.b64encode(b"\0" * before + secret) for before in range(3))
    return [secret, *(text[4:-4] for text in shifted)]


def plant(**further: str) -> Canaries:
    """New secrets for every place that this program can be given one at, beside the `further` ones."""
    names = [
        *(f"postgres-{way}" for way in POSTGRES_WAYS),
        *(f"s3-{way}" for way in S3_WAYS),
        *("session-token", "aws-token"),
        *("gpg-passphrase", "gpg-key-passphrase", "openssl-passphrase", "identity-passphrase"),
        *("of-nobody", "of-another-cipher"),
        *(f"wrong-{name}" for name in _WRONG),
    ]
    made = {name: f"Canary{secrets.token_hex(12)}" for name in names}
    return Canaries({**made, **{name.replace("_", "-"): text for name, text in further.items()}})
