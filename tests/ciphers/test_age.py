"""Recipients and identities of age: right ones, wrong ones, and none."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyrage
import pytest

from ops.ciphers.age import engines
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.header import MAGIC
from ops.ciphers.age.keys import AgeOptions
from ops.errors import OpsError
from ops.ports.cipher import Cipher, Sealed
from tests.ciphers.keyrings import PASSPHRASE, require_program, secret_file
from tests.contracts.test_ciphers import plain_file

pytestmark = [pytest.mark.alone, pytest.mark.long]


@pytest.fixture(params=["library", "program"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two that know age."""
    name: str = request.param
    if name == "program":
        require_program("age")
        monkeypatch.setattr(engines, "LIBRARY_UP_TO", -1)
    return name


def round_trip(sealing: Cipher, opening: Cipher, folder: Path) -> Sealed:
    """Seal with one, open with the other."""
    sealed, into = folder / "round-trip", folder / "round-trip-opened"
    known = sealing.seal(plain_file(folder, b"content"), sealed)
    opening.unseal(sealed, into, known)
    assert into.read_bytes() == b"content"
    into.unlink()
    sealed.unlink()
    return known


def code_of(cipher: Cipher, folder: Path) -> str:
    """The code with which a round trip fails."""
    with pytest.raises(OpsError) as caught:
        round_trip(cipher, cipher, folder)
    assert not list(folder.glob("round-trip-opened"))
    for sealed in folder.glob("round-trip"):
        sealed.unlink()
    return caught.value.code


def ssh_key(folder: Path, kind: str, word: str = "") -> tuple[str, Path]:
    """Public line and private file of a new SSH key."""
    require_program("ssh-keygen")
    path = folder / f"id_{kind}{len(word)}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", word, "-C", "a comment", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip(), path


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_age_ssh_keys(engine: str, tmp_path: Path, kind: str) -> None:
    """An SSH key is a recipient, and its private file an identity; one with a passphrase is refused as such."""
    public, private = ssh_key(tmp_path, kind)
    cipher = AgeCipher("ssh", AgeOptions(recipients=(public,), identity_file=private))
    round_trip(cipher, cipher, tmp_path)
    public, private = ssh_key(tmp_path, kind, "locked")
    options = AgeOptions(recipients=(public,), identity_file=private)
    assert code_of(AgeCipher("ssh", options), tmp_path) == "cipher.bad_identity"


def test_age_recipients_file(engine: str, tmp_path: Path) -> None:
    """Recipients of a file and of the table are all sealed for; comments and empty lines do not count."""
    identities = [pyrage.x25519.Identity.generate() for _ in range(3)]
    public = [str(identity.to_public()) for identity in identities]
    file = tmp_path / "recipients"
    file.write_text(f"# two\n\n{public[0]}\n  {public[1]}  \n")
    sealing = AgeCipher("a", AgeOptions(recipients=(public[2],), recipients_file=file))
    for number, identity in enumerate(identities):
        key = secret_file(tmp_path / f"key-{number}", f"# comment\n{identity}\n")
        round_trip(sealing, AgeCipher("a", AgeOptions(identity_file=key)), tmp_path)


@pytest.mark.parametrize(
    "bad", ["age1", "age1qqqq", "nobody", "-o/tmp/x", "ssh-ed25519 AAAA", "ssh-dss AAAA", "age1\nage1"]
)
def test_age_bad_recipients(engine: str, tmp_path: Path, bad: str) -> None:
    """A recipient that is none is named, whoever finds out."""
    cipher = AgeCipher("a", AgeOptions(recipients=(bad,)))
    assert code_of(cipher, tmp_path) == "cipher.bad_recipient"
    assert [found.code for found in cipher.probe()] == ["cipher.bad_recipient"]


def test_age_secret_key_as_recipient(tmp_path: Path) -> None:
    """A secret key among the recipients is refused and not repeated."""
    secret = str(pyrage.x25519.Identity.generate())
    with pytest.raises(OpsError) as caught:
        AgeCipher("a", AgeOptions(recipients=(secret,))).seal(plain_file(tmp_path, b"x"), tmp_path / "s")
    assert caught.value.code == "config.secret_in_file"
    assert secret[16:] not in f"{caught.value.message}{caught.value.hint}"


def test_age_no_recipients(tmp_path: Path) -> None:
    """Without recipients nothing can be sealed; a recipients file that is gone is named."""
    assert code_of(AgeCipher("a", AgeOptions()), tmp_path) == "config.missing_key"
    gone = AgeOptions(recipients_file=tmp_path / "gone")
    assert code_of(AgeCipher("a", gone), tmp_path) == "cipher.bad_recipient"


def test_age_bad_identities(engine: str, tmp_path: Path) -> None:
    """An identity that is no identity, or has a wrong letter, is told apart from a damaged file, and not quoted."""
    identity = pyrage.x25519.Identity.generate()
    typo = str(identity)[:-1] + ("Q" if str(identity)[-1] != "Q" else "P")
    for text in ("nothing", typo, "AGE-SECRET-KEY-1", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", ""):
        key = secret_file(tmp_path / hashlib.sha256(text.encode()).hexdigest(), text)
        options = AgeOptions(recipients=(str(identity.to_public()),), identity_file=key)
        cipher = AgeCipher("a", options)
        assert code_of(cipher, tmp_path) == "cipher.bad_identity", text
        assert "cipher.bad_identity" in {found.code for found in cipher.probe()}
        assert not any(typo[20:40] in found.message for found in cipher.probe())


def test_age_identity_from_elsewhere(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity may be in a variable or come from a program; one that cannot be had is a matter of the configuration."""
    identity = pyrage.x25519.Identity.generate()
    monkeypatch.setenv("ESCROW_IDENTITY", str(identity))
    options = AgeOptions(recipients=(str(identity.to_public()),))
    for more in ({"identity_env": "ESCROW_IDENTITY"}, {"identity_command": ("printenv", "ESCROW_IDENTITY")}):
        cipher = AgeCipher("a", dataclasses.replace(options, **more))
        assert cipher.can_open
        round_trip(cipher, cipher, tmp_path)
    for gone in (
        dataclasses.replace(options, identity_env="NOT_SET_ANYWHERE"),
        dataclasses.replace(options, identity_file=tmp_path / "gone"),
    ):
        assert code_of(AgeCipher("a", gone), tmp_path) == "config.secret_unavailable"


@pytest.mark.parametrize("armored", [True, False])
def test_age_locked_identity(tmp_path: Path, armored: bool) -> None:
    """An identity that is sealed with a passphrase opens with it, not without it, and not with another."""
    identity = pyrage.x25519.Identity.generate()
    locked = tmp_path / "locked"
    text = f"# created: today\n{identity}\n".encode()
    locked.write_bytes(pyrage.passphrase.encrypt(text, PASSPHRASE, armored=armored))
    options = AgeOptions(recipients=(str(identity.to_public()),), identity_file=locked)
    word = secret_file(tmp_path / "word", PASSPHRASE)
    cipher = AgeCipher("a", dataclasses.replace(options, passphrase_file=word))
    round_trip(cipher, cipher, tmp_path)
    if armored:
        assert code_of(AgeCipher("a", options), tmp_path) == "cipher.no_identity"
        word.write_text("another\n")
        assert code_of(cipher, tmp_path) == "cipher.bad_identity"


def scrypt_file(work: str) -> bytes:
    """A file that asks for so much work with a passphrase."""
    salt, body = (base64.b64encode(os.urandom(size)).rstrip(b"=") for size in (16, 32))
    return MAGIC + b"-> scrypt %s %s\n%s\n--- %s\n" % (salt, work.encode(), body, body) + bytes(100)


@pytest.mark.parametrize("work", ["18", "22", "30", "63", "99999999999999999999", "-1", "x", "0"])
def test_age_asks_for_absurd_work(engine: str, tmp_path: Path, work: str) -> None:
    """A header that asks for hours of scrypt takes no time, be it a backup's or an identity's."""
    identity = pyrage.x25519.Identity.generate()
    key = secret_file(tmp_path / "key", str(identity))
    sealed = tmp_path / "sealed"
    sealed.write_bytes(scrypt_file(work))
    started = time.monotonic()
    with pytest.raises(OpsError) as caught:
        AgeCipher("a", AgeOptions(identity_file=key)).unseal(sealed, tmp_path / "opened")
    assert caught.value.code == "cipher.wrong_key"
    if work != "18":
        options = AgeOptions(identity_file=sealed, passphrase_file=secret_file(tmp_path / "word", "x"))
        with pytest.raises(OpsError) as caught:
            AgeCipher("a", options).unseal(sealed, tmp_path / "opened")
        assert caught.value.code == "cipher.bad_identity"
    assert time.monotonic() - started < 1


def test_age_armored(engine: str, tmp_path: Path) -> None:
    """An armoured file is opened too; one that is cut is damaged."""
    identity = pyrage.x25519.Identity.generate()
    key = secret_file(tmp_path / "key", str(identity))
    sealed = tmp_path / "sealed"
    whole = pyrage.encrypt(b"x" * 100_000, [identity.to_public()], armored=True)
    sealed.write_bytes(whole)
    cipher = AgeCipher("a", AgeOptions(identity_file=key))
    cipher.unseal(sealed, tmp_path / "opened")
    assert (tmp_path / "opened").read_bytes() == b"x" * 100_000
    for cut in (60, 500, len(whole) // 2, len(whole) - 40):
        sealed.write_bytes(whole[:cut])
        with pytest.raises(OpsError) as caught:
            cipher.unseal(sealed, tmp_path / "cut")
        assert caught.value.code == "cipher.damaged"


def test_age_without_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without library and program it is said what to install; with one of them, that one is used."""
    identity = pyrage.x25519.Identity.generate()
    key = secret_file(tmp_path / "key", str(identity))
    cipher = AgeCipher("a", AgeOptions(recipients=(str(identity.to_public()),), identity_file=key))
    with monkeypatch.context() as only_library:
        only_library.setenv("PATH", str(Path(sys.executable).parent))
        only_library.setattr(engines, "LIBRARY_UP_TO", -1)
        round_trip(cipher, cipher, tmp_path)
    monkeypatch.setattr(engines, "_library_folder", lambda: None)
    require_program("age")
    round_trip(cipher, cipher, tmp_path)
    key.write_bytes(pyrage.passphrase.encrypt(str(identity).encode(), "x"))
    locked = dataclasses.replace(cipher.options, passphrase_file=secret_file(tmp_path / "word", "x"))
    assert code_of(AgeCipher("a", locked), tmp_path) == "tool.missing"
    monkeypatch.setenv("PATH", "")
    assert code_of(cipher, tmp_path) == "tool.missing"
    assert [found.code for found in cipher.probe()] == ["tool.missing"]
