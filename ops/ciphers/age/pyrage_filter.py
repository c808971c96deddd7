"""pyrage as a filter: a program of its own, since the library holds the interpreter lock for as long as it works.

    python pyrage_filter.py seal|unseal DESCRIPTOR FOLDER

works from standard input to standard output. What is secret comes as JSON from the descriptor; pyrage lies in
the folder. Started by its path, it imports nothing of ours.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any, Final

BAD_RECIPIENT: Final = 10
BAD_IDENTITY: Final = 11
WRONG_PASSPHRASE: Final = 12
WRONG_KEY: Final = 13
DAMAGED: Final = 14
_NO_MATCH: Final = ("No matching keys found", "Failed to decrypt an encrypted key")
_IN: Final = "/dev/stdin"
_OUT: Final = "/dev/stdout"


def main(mode: str, descriptor: str, folder: str) -> int:
    """Seal or open; the exit code, one of the above for what the operator can do something about."""
    sys.path.append(folder)
    with os.fdopen(int(descriptor), "rb") as handed:
        given = json.load(handed)
    return _seal(given["recipients"]) if mode == "seal" else _unseal(given)


def _seal(texts: list[str]) -> int:
    import pyrage

    recipients: list[Any] = []
    for text in texts:
        kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
        try:
            recipients.append(kind.from_str(text))
        except pyrage.RecipientError:
            return _say(text[:40], BAD_RECIPIENT)
    pyrage.encrypt_file(_IN, _OUT, recipients)
    return 0


def _unseal(given: dict[str, str]) -> int:
    import pyrage

    text = given["identity"]
    try:
        if given["locked"]:
            locked = base64.b64decode(given["locked"])
            text = pyrage.passphrase.decrypt(locked, given["passphrase"]).decode()
        identities = _identities(text)
    except pyrage.DecryptError as error:
        return WRONG_PASSPHRASE if str(error) in {*_NO_MATCH, "Decryption failed"} else BAD_IDENTITY
    # Nothing of what is said about an identity is passed on: it could quote it.
    except (pyrage.IdentityError, UnicodeDecodeError):
        return BAD_IDENTITY
    try:
        pyrage.decrypt_file(_IN, _OUT, identities)
    except pyrage.DecryptError as error:
        return WRONG_KEY if str(error) in _NO_MATCH else _say(str(error), DAMAGED)
    except OSError as error:
        if error.errno is not None:
            raise
        return _say(str(error), DAMAGED)
    return 0


def _identities(text: str) -> list[Any]:
    import pyrage

    if text.lstrip().startswith("-----BEGIN "):
        return [pyrage.ssh.Identity.from_buffer(text.encode())]
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [pyrage.x25519.Identity.from_str(line) for line in lines]


def _say(what: str, code: int) -> int:
    sys.stderr.write(what)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
