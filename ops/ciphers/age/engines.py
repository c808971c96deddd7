"""The two that know age's format: the library pyrage in a process of its own, and the program age.

Both write the same format. The library needs nothing installed but a wheel; the program is quicker, and is taken
for large files, and where the library is not installed.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Final

from ops.ciphers.age import pyrage_filter as library
from ops.ciphers.age.keys import Identity
from ops.driverkit.filter_cipher import damaged, failed, plain_environment, wrong_key
from ops.errors import CipherError, ToolError
from ops.proc.filter import SECRET_HERE, Filter, Filtered

LIBRARY_UP_TO = 1 << 30
_NOT_READ: Final = ("identity", "secret key", "passphrase", "private key")
_DAMAGE: Final = (
    "header", "payload", "chunk", "EOF", "MAC", "truncated", "armor", "trailing", "intro line", "recipient", "base64",
)  # fmt: skip


def _library_folder() -> Path | None:
    """The folder that pyrage lies in, None when it is not installed."""
    found = importlib.util.find_spec("pyrage")
    return None if found is None or found.origin is None else Path(found.origin).parents[1]


def _library_for(size: int) -> Path | None:
    """The library's folder when it is to be used for a file of `size` bytes; raises ToolError when nothing can be."""
    folder = _library_folder()
    has_program = shutil.which("age") is not None
    if folder is None and not has_program:
        message = "neither the library pyrage nor the program age is installed here"
        hint = "pip install 'drillbook[age]', or install your system's package age"
        raise ToolError(message, code="tool.missing", hint=hint)
    return None if has_program and size > LIBRARY_UP_TO else folder


def sealing(recipients: list[str], size: int) -> Filter:
    """What seals a file of `size` bytes for `recipients`. Raises ToolError when nothing is here that can."""
    folder = _library_for(size)
    if folder is not None:
        return _library("seal", folder, {"recipients": recipients})
    named = (word for recipient in recipients for word in ("-r", recipient))
    return Filter(("age", "--encrypt", *named), plain_environment())


def unsealing(identity: Identity, size: int) -> Filter:
    """What opens a file of `size` bytes. Raises ToolError when nothing is here that can."""
    folder = _library_folder() if identity.locked else _library_for(size)
    if folder is not None:
        given = {
            "identity": identity.text,
            "locked": base64.b64encode(identity.locked).decode(),
            "passphrase": identity.passphrase.decode("utf-8", "surrogateescape"),
        }
        return _library("unseal", folder, given)
    if identity.locked:
        message = (
            "an identity that is locked with a passphrase needs the library pyrage, which is not installed"
        )
        raise ToolError(message, code="tool.missing", hint="pip install 'drillbook[age]'")
    argv = ("age", "--decrypt", "-i", f"/dev/fd/{SECRET_HERE}")
    return Filter(argv, plain_environment(), identity.text.encode())


def _library(mode: str, folder: Path, given: dict[str, list[str]] | dict[str, str]) -> Filter:
    # Isolated: what lies in the current folder, or in PYTHONPATH, gets no say where plain text passes.
    argv = (sys.executable, "-I", library.__file__, mode, SECRET_HERE, str(folder))
    return Filter(argv, plain_environment(), json.dumps(given).encode())


def judge_sealing(ended: Filtered) -> None:
    """Return when the file is sealed; raises CipherError or ToolError."""
    if ended.exit_code == 0:
        return
    if ended.exit_code == library.BAD_RECIPIENT or (ended.exit_code > 0 and "recipient" in ended.said):
        message = f"a recipient cannot be read: {ended.said}"
        hint = "copy it again from where age-keygen or ssh-keygen printed it"
        raise CipherError(message, code="cipher.bad_recipient", hint=hint)
    raise failed("age", ended)


def judge_opening(ended: Filtered) -> None:
    """Return when the file is opened whole; raises CipherError, whose message goes on behind its name, or ToolError."""
    code, said = ended.exit_code, ended.said
    if code == 0:
        return
    if code == library.WRONG_KEY or "no identity matched" in said or "incorrect identity" in said:
        raise wrong_key()
    if code == library.DAMAGED:
        raise damaged(f"was truncated or altered: {said}")
    if code == library.WRONG_PASSPHRASE:
        message = "cannot be opened: the passphrase does not unlock the identity, or the identity is damaged"
        raise CipherError(message, code="cipher.bad_identity", hint="try it by hand: age --decrypt IDENTITY")
    if code == library.BAD_IDENTITY or any(word in said for word in _NOT_READ):
        message = "cannot be opened: the identity cannot be read as one of age, nor as an SSH key without passphrase"
        raise CipherError(message, code="cipher.bad_identity", hint="compare it with the copy in escrow")
    if code > 0 and any(word in said for word in _DAMAGE):
        raise damaged("was truncated or altered, says age")
    raise failed("age", ended)
