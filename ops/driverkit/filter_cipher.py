"""What all ciphers do alike: a filter between two files, and nothing half done or half trusted left behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ops.driverkit.spoken_names import spoken
from ops.errors import CipherError, ConfigError, OpsError, ToolError, WrongKeyError
from ops.fsio.atomic import translated_write_errors, write_new_file
from ops.fsio.copy import sha256_of
from ops.fsio.output import filled_file, opened_file, secluded_file
from ops.fsio.scratch import scratch_folder
from ops.host.secret import Secret
from ops.model.findings import Finding, Severity
from ops.ports.cipher import Cipher, Sealed
from ops.proc.filter import Filter, Filtered, OverrunError, run_filter
from ops.run.progress import Progress

Judge = Callable[[Filtered], None]
"""Returns when a filter did its work; raises what its exit code and words mean."""
WRONG_KEY: Final = "cipher.wrong_key"
UNCLEAR: Final = "cipher.wrong_key_or_damaged"
_SETTLED_BY_DIGEST: Final = {WRONG_KEY, UNCLEAR, "cipher.not_encrypted"}
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_LONGEST_PASSPHRASE: Final = 1000  # openssl reads 1023 bytes and drops the rest without a word
_SAMPLE: Final = b"Drillbook looks whether this can be sealed, and opened again.\n"
_OTHERS: Final = 0o077
_NOT_STORED: Final = "is not the file that was stored: its SHA-256 is another one"


def digest_of_keys(keys: Iterable[str]) -> str:
    """`Cipher.sealed_for` of these public keys, in whatever order."""
    return hashlib.sha256("\n".join(sorted(set(keys))).encode()).hexdigest()


def plain_environment() -> dict[str, str]:
    """What of our environment a cipher's program needs, none of it secret; it speaks English."""
    return {"LC_ALL": "C", **{name: os.environ[name] for name in _PASSED_ON if name in os.environ}}


def seal_file(filter_: Filter, plain: Path, sealed: Path, judge: Judge, progress: Progress) -> Sealed:
    """`Cipher.seal` by a program; see there."""
    with opened_file(plain) as source, filled_file(sealed) as target, translated_write_errors(sealed):
        progress.step(f"sealing {plain.name}", os.fstat(source).st_size)
        ended = run_filter(filter_, source, target, measured=True, progress=progress)
        judge(ended)
        return Sealed(ended.taken.size, ended.taken.sha256, ended.given.size, ended.given.sha256)


def unseal_file(  # noqa: PLR0913, PLR0917 - the port's parameters, and what the program is and says
    filter_: Filter,
    source: int,
    into: Path,
    judge: Judge,
    expected: Sealed | None,
    progress: Progress,
    *,
    compared: bool = False,
    another: Callable[[str], CipherError] | None = None,
) -> str:
    """`Cipher.unseal` by a program that reads the open file `source`; see there.

    With `compared` also `source` must be what is expected: for formats that do not protect every byte. `another`: what it
    means that something else came out than went in; None: damage, as of every format that proves its content.
    """
    with secluded_file(into) as target, translated_write_errors(into):
        progress.step(f"opening {into.name}", os.fstat(source).st_size)
        limit = None if expected is None else expected.plain_size
        measured = compared and expected is not None
        try:
            ended = run_filter(filter_, source, target, measured=measured, limit=limit, progress=progress)
        except OverrunError:
            raise (another or damaged)("holds more than was sealed") from None
        judge(ended)
        found = (ended.given.size, ended.given.sha256)
        if expected is not None and found != (expected.plain_size, expected.plain_sha256):
            raise (another or damaged)("does not hold what was sealed")
        if expected is not None and measured and ended.taken.sha256 != expected.sha256:
            raise damaged(_NOT_STORED)
        return ended.given.sha256


@contextlib.contextmanager
def sealed_source(
    sealed: Path, expected: Sealed | None, form: Callable[[int], str] = lambda _: ""
) -> Iterator[int]:
    """A descriptor of `sealed` for the block, whose CipherErrors leave with the file's name, and settled.

    From the outside a wrong key and a damaged header look alike. Where it is `expected` what the file is, its
    digest decides: a file that is as it was stored is not damaged. `form`: what the file's beginning shows of why it has
    another size.
    """
    with opened_file(sealed) as source:
        try:
            if expected is not None and (size := os.fstat(source).st_size) != expected.size:
                raise damaged(f"has {size} bytes, not {expected.size}{form(source)}")
            yield source
        except CipherError as error:
            raise _settled(error, sealed, source, expected) from error


def _settled(error: CipherError, sealed: Path, source: int, expected: Sealed | None) -> CipherError:
    found = error
    if expected is not None and error.code in _SETTLED_BY_DIGEST:
        if sha256_of(source) != (expected.sha256, expected.size):
            found = damaged(_NOT_STORED)
        elif error.code == UNCLEAR:
            found = wrong_key()
    return CipherError(f"{sealed} {found.message}", code=found.code, hint=found.hint)


def damaged(what: str) -> CipherError:
    """The sealed file is not what was stored; `what` goes on behind its name."""
    hint = "nothing of it was kept; use another copy or an older backup, and look at the disk or bucket it lies on"
    return CipherError(what, code="cipher.damaged", hint=hint)


def wrong_key() -> CipherError:
    """The keys here do not open the file; the message goes on behind its name."""
    hint = (
        "configure the identity or passphrase of the time when it was sealed; see docs: encryption, rotation"
    )
    return CipherError("cannot be opened with the keys that are configured here", code=WRONG_KEY, hint=hint)


def not_encrypted(program: str) -> CipherError:
    """The file is none of the cipher's; the message goes on behind its name."""
    hint = "look with 'file' what it is; the suffix should say how it was sealed"
    return CipherError(f"is no file of {program}", code="cipher.not_encrypted", hint=hint)


def failed(program: str, ended: Filtered) -> ToolError:
    """The program failed for a reason that says nothing about keys or files."""
    said = f": {ended.said}" if ended.said else ""
    return ToolError(f"{program} ended with {ended.exit_code}{said}")


def read_passphrase(secret: Secret) -> bytes | None:
    """The passphrase as the programs read it; None when none is configured.

    Raises ConfigError (`config.secret_unavailable`) when it cannot be had, or is one that a program would cut.
    """
    text = secret.read()
    if text is None:
        return None
    content = text.encode("utf-8", "surrogateescape")
    if not content or len(content) > _LONGEST_PASSPHRASE or any(mark in text for mark in "\0\r\n"):
        message = f"the {secret.name} must be one line of 1 to {_LONGEST_PASSPHRASE} bytes"
        raise ConfigError(message, code="config.secret_unavailable", hint="see docs: encryption")
    return content


def probe_cipher(cipher: Cipher, private: Sequence[Path | None], *, seals: bool) -> list[Finding]:
    """`Cipher.probe`: `private` are files and folders that hold secrets; `seals` is whether it is set up to seal."""
    findings = [found for path in private if path is not None for found in _look_at(path)]
    if not seals:
        return findings or [_ok(f"cipher {cipher.name!r} opens sealed files here, and seals none")]
    try:
        with scratch_folder(Path(tempfile.gettempdir())) as folder:
            findings.append(_round_trip(cipher, folder))
    except OpsError as error:
        findings.append(
            _finding(Severity.CRITICAL, error.code, spoken(error.message, error.code, "a few bytes"))
        )
    return findings


def _round_trip(cipher: Cipher, folder: Path) -> Finding:
    plain, sealed = folder / "sample", folder / f"sample{cipher.suffix}"
    write_new_file(plain, _SAMPLE)
    expected = cipher.seal(plain, sealed)
    if not cipher.can_open:
        return _ok(f"cipher {cipher.name!r} seals; what it sealed cannot be opened here")
    try:
        cipher.unseal(sealed, folder / "opened", expected)
    except WrongKeyError:
        message = f"cipher {cipher.name!r} seals for keys that are not the ones to open with here"
        return _finding(Severity.WARNING, "cipher.identity_differs", message)
    return _ok(f"cipher {cipher.name!r} seals, and opens again what it sealed")


def _look_at(path: Path) -> list[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        return [_finding(Severity.CRITICAL, "config.secret_unavailable", message)]
    if not mode & _OTHERS:
        return []
    message = f"others can read {path} (mode {mode:04o}), which holds a secret; take their rights away"
    return [_finding(Severity.WARNING, "cipher.secret_exposed", message)]


def _ok(message: str) -> Finding:
    return _finding(Severity.OK, "cipher.ready", message)


def _finding(severity: Severity, code: str, message: str) -> Finding:
    return Finding(severity=severity, code=code, message=message)
