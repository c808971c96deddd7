"""Keys of every sort, made at test time, and the stock programs that use them without us."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyrage
import pytest

from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.ports.cipher import Cipher

SORTS = ("age-library", "age-program", "gpg-keys", "gpg-passphrase", "openssl")
PASSPHRASE = "-canary '\"\\ %$:@/ ação &;|<>`"
QUICK = 10_000
"""Rounds of PBKDF2, so that hundreds of openings take seconds."""


def require_program(name: str) -> None:
    """Skip the test where a program is missing, and fail where CI=true."""
    if shutil.which(name) is None:
        reason = f"the program {name} is not installed here"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def secret_file(path: Path, text: str) -> Path:
    """A private file that holds `text` and a line end."""
    path.touch(0o600)
    path.write_text(f"{text}\n")
    return path


@dataclass(frozen=True)
class Gpg:
    """A GNUPGHOME with keys, and their fingerprints."""

    home: Path
    fingerprints: tuple[str, ...]

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Stock gpg with this home."""
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *arguments]
        return subprocess.run(argv, input=given, capture_output=True, check=True)


@contextmanager
def gpg_home(*addresses: str, passphrase: str = "") -> Iterator[Gpg]:
    """A home with a new key for each address, below a short path; its agent is ended."""
    home = Path(tempfile.mkdtemp(prefix="gk-", dir="/tmp"))
    try:
        gpg = Gpg(home, ())
        for address in addresses:
            word = ("--passphrase", passphrase, "--pinentry-mode", "loopback")
            gpg.run(*word, "--quick-generate-key", f"x <{address}>", "future-default", "default", "never")
        listed = gpg.run("--with-colons", "--list-keys").stdout.decode().splitlines() if addresses else []
        primary = [after for line, after in itertools.pairwise(listed) if line.startswith("pub")]
        end_agent(home)
        yield Gpg(home, tuple(line.split(":")[9] for line in primary))
    finally:
        end_agent(home)
        shutil.rmtree(home, ignore_errors=True)


def end_agent(home: Path) -> None:
    """End the agent of a test's own home."""
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)


@dataclass(frozen=True)
class Rings:
    """Three homes: Anna's, Ben's, and one that has both keys; and one with public keys only."""

    anna: Gpg
    ben: Gpg
    both: Gpg
    public: Gpg


@contextmanager
def gpg_rings() -> Iterator[Rings]:
    """The four homes."""
    with (
        gpg_home("anna@example.org") as anna,
        gpg_home("ben@example.org") as ben,
        gpg_home() as both,
        gpg_home() as public,
    ):
        for one in (anna, ben):
            keys = one.run("--armor", "--export").stdout
            for ring in (public, both, anna, ben):
                ring.run("--import", given=keys)
            secret = one.run("--pinentry-mode", "loopback", "--passphrase", "", "--export-secret-keys").stdout
            both.run("--import", given=secret)
        for one in (anna, ben, both, public):
            end_agent(one.home)
        yield Rings(anna, ben, both, public)


@dataclass(frozen=True)
class Case:
    """One sort of cipher in all the roles that a test needs; `key` is the private file or the home.

    `new` seals and opens with another key; `both` seals for the two and opens with either; None where a
    sort has no such thing. `canary` is a part of the secret that must appear nowhere.
    """

    sort: str
    cipher: Cipher
    new: Cipher
    keyless: Cipher
    both: Cipher | None
    key: Path
    canary: bytes
    recipient: str = ""

    def open_by_hand(self, sealed: Path) -> bytes:
        """What the stock program makes of a sealed file."""
        argv = {
            "age": ["age", "-d", "-i", str(self.key), str(sealed)],
            "gpg-keys": ["gpg", "--homedir", str(self.key), "--batch", "-q", "-d", str(sealed)],
            "gpg-passphrase": [*self._gpg(), "-d", str(sealed)],
            "openssl": [*self._openssl("-d"), "-in", str(sealed)],
        }[self.sort if not self.sort.startswith("age") else "age"]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def seal_by_hand(self, plain: Path, sealed: Path) -> None:
        """Seal with the stock program."""
        argv = {
            "age": ["age", "-r", self.recipient, "-o", str(sealed), str(plain)],
            "gpg-keys": [
                "gpg", "--homedir", str(self.key), "--batch", "-q", "-r", self.recipient, "-o", str(sealed),
                "-e", str(plain),
            ],
            "gpg-passphrase": [*self._gpg(), "-o", str(sealed), "-c", str(plain)],
            "openssl": [*self._openssl("-e"), "-in", str(plain), "-out", str(sealed)],
        }[self.sort if not self.sort.startswith("age") else "age"]  # fmt: skip
        subprocess.run(argv, check=True, capture_output=True)

    def _gpg(self) -> list[str]:
        word = ["--pinentry-mode", "loopback", "--passphrase-file", str(self.key)]
        return [
            "gpg",
            "--homedir",
            str(self.key.parent / "g"),
            "--batch",
            "-q",
            "--no-symkey-cache",
            "--s2k-count",
            "65536",
            *word,
        ]

    def _openssl(self, direction: str) -> list[str]:
        word = ["-pass", f"file:{self.key}"]
        return ["openssl", "enc", direction, "-aes-256-cbc", "-pbkdf2", "-iter", str(QUICK), *word]


def age_case(sort: str, folder: Path) -> Case:
    """Two identities, and ciphers that use them."""
    one, two = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    old = secret_file(folder / "identity", str(one))
    new = secret_file(folder / "new-identity", str(two))
    either = secret_file(folder / "both", f"# old\n{one}\n\n# new\n{two}")
    to_old, to_new = str(one.to_public()), str(two.to_public())
    options = AgeOptions(recipients=(to_old,), identity_file=old)
    return Case(
        sort,
        AgeCipher("escrow", options),
        AgeCipher("new", AgeOptions(recipients=(to_new,), identity_file=new)),
        AgeCipher("keyless", replace(options, identity_file=None)),
        AgeCipher("both", AgeOptions(recipients=(to_old, to_new), identity_file=either)),
        old,
        str(one).encode()[20:50],
        to_old,
    )


def gpg_case(rings: Rings) -> Case:
    """Anna's and Ben's keys."""
    to_anna, to_ben = rings.anna.fingerprints[0], rings.ben.fingerprints[0]
    return Case(
        "gpg-keys",
        GpgCipher("anna", GpgOptions(recipients=(to_anna,), homedir=rings.anna.home)),
        GpgCipher("ben", GpgOptions(recipients=(to_ben,), homedir=rings.ben.home)),
        GpgCipher("keyless", GpgOptions(recipients=(to_anna,), homedir=rings.public.home)),
        GpgCipher("both", GpgOptions(recipients=(to_anna, to_ben), homedir=rings.both.home)),
        rings.anna.home,
        b"no secret of ours",
        to_anna,
    )


def passphrase_case(sort: str, folder: Path) -> Case:
    """Two passphrases."""
    old = secret_file(folder / "passphrase", PASSPHRASE)
    new = secret_file(folder / "new-passphrase", "another one")
    home = folder / "g"
    home.mkdir(0o700)

    def cipher(file: Path | None) -> Cipher:
        if sort == "openssl":
            return OpensslCipher("o", OpensslOptions(passphrase_file=file, iterations=QUICK))
        return GpgCipher("s", GpgOptions(passphrase_file=file, homedir=home))

    return Case(sort, cipher(old), cipher(new), cipher(None), None, old, PASSPHRASE.encode()[:15])


@contextmanager
def short_temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, whose path is short enough for an agent's socket."""
    with tempfile.TemporaryDirectory(prefix="ct-", dir="/tmp") as place:
        monkeypatch.setenv("TMPDIR", place)
        monkeypatch.setattr("tempfile.tempdir", place)
        yield Path(place)
