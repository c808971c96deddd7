"""Recipients, identities and passphrases of each kind: right ones, wrong ones, and none; those of age are in test_age.py."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path

import pyrage
import pytest

from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.config.tables import Place, build
from ops.errors import CipherError, OpsError
from ops.model.findings import Severity
from ops.registry import CIPHERS
from tests.ciphers.keyrings import PASSPHRASE, Gpg, Rings, end_agent, gpg_home, require_program, secret_file
from tests.ciphers.test_age import code_of, round_trip
from tests.contracts.test_ciphers import plain_file

pytestmark = [pytest.mark.alone, pytest.mark.long]

PLACE = Place("ops.toml", "cipher.x", Path("/"))


def test_probe_of_keys_that_do_not_fit(tmp_path: Path, rings: Rings) -> None:
    """An identity that does not open what is sealed now is found before it is needed."""
    one, two = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    key = secret_file(tmp_path / "key", str(two))
    age = AgeCipher("a", AgeOptions(recipients=(str(one.to_public()),), identity_file=key))
    gpg = GpgCipher("g", GpgOptions(recipients=rings.anna.fingerprints[:1], homedir=rings.ben.home))
    for cipher in (age, gpg):
        assert [(found.severity, found.code) for found in cipher.probe()] == [
            (Severity.WARNING, "cipher.identity_differs")
        ]


def test_gpg_recipients(tmp_path: Path, rings: Rings) -> None:
    """An address stands for exactly that key, if it is trusted; a whole fingerprint needs no trust."""
    anna = rings.anna
    spaced = " ".join(anna.fingerprints[0][at : at + 4] for at in range(0, 40, 4))
    for good in ("anna@example.org", anna.fingerprints[0].lower(), f"0x{anna.fingerprints[0]}", spaced):
        cipher = GpgCipher("g", GpgOptions(recipients=(good,), homedir=anna.home))
        round_trip(cipher, cipher, tmp_path)
    for bad in (
        "ben@example.org", "na@example.org", "anna@example", "anna", anna.fingerprints[0][-16:],
        "0" * 40, "--output=x", "@example.org", "",
    ):  # fmt: skip
        cipher = GpgCipher("g", GpgOptions(recipients=(bad,), homedir=anna.home))
        assert code_of(cipher, tmp_path) == "cipher.bad_recipient", bad
    ben = GpgCipher("g", GpgOptions(recipients=(rings.ben.fingerprints[0],), homedir=anna.home))
    round_trip(ben, GpgCipher("g", GpgOptions(homedir=rings.ben.home)), tmp_path)


def agents() -> set[str]:
    """The command lines of agents that run now."""
    listed = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, check=True, text=True).stdout
    return {line for line in listed.splitlines() if "gpg-agent --homedir" in line}


def test_gpg_leaves_no_agent_and_no_trace(tmp_path: Path, temporary: Path) -> None:
    """Our agent ends with the work; the operator's lives on; the operator's home is as it was."""
    require_program("gpg")
    with gpg_home("carl@example.org") as carl:
        cipher = GpgCipher("g", GpgOptions(recipients=carl.fingerprints, homedir=carl.home))
        before = agents()
        content = {path.name for path in carl.home.rglob("*") if "S." not in path.name}
        round_trip(cipher, cipher, tmp_path)
        assert agents() == before
        carl.run("--list-secret-keys")
        running = {line for line in agents() if str(carl.home) in line}
        assert running
        round_trip(cipher, cipher, tmp_path)
        assert {line for line in agents() if str(carl.home) in line} == running
        now = {path.name for path in carl.home.rglob("*") if "S." not in path.name}
        assert now - content <= {"random_seed", "trustdb.gpg"}
        assert not [path for path in temporary.iterdir() if not path.name.startswith("tmp")]


def test_gpg_locked_key(tmp_path: Path) -> None:
    """A secret key with a passphrase opens with it; without, or with another, it does not."""
    require_program("gpg")
    with gpg_home() as made:
        file = secret_file(tmp_path / "word", PASSPHRASE)
        word = ("--pinentry-mode", "loopback", "--passphrase-file", str(file))
        made.run(*word, "--quick-generate-key", "x <dora@example.org>", "future-default", "default", "never")
        listed = made.run("--with-colons", "--list-keys").stdout.decode()
        end_agent(made.home)
        dora = Gpg(made.home, (listed.split("\nfpr:")[1].split(":")[8],))
        options = GpgOptions(recipients=dora.fingerprints, homedir=dora.home, passphrase_file=file)
        cipher = GpgCipher("g", options)
        round_trip(cipher, cipher, tmp_path)
        file.write_text("another\n")
        assert code_of(cipher, tmp_path) == "cipher.wrong_key"
        unlocked = GpgCipher("g", dataclasses.replace(options, passphrase_file=None))
        assert code_of(unlocked, tmp_path) in {"cipher.wrong_key", "tool.failed"}


def test_gpg_with_nothing_to_seal_with(tmp_path: Path) -> None:
    """Neither recipients nor a passphrase: said before anything runs."""
    home = tmp_path / "home"
    assert code_of(GpgCipher("g", GpgOptions(homedir=home)), tmp_path) == "config.missing_key"


def test_gpg_without_modification_detection(tmp_path: Path, rings: Rings) -> None:
    """A message that nothing protects is refused, whatever gpg's exit code."""
    # The tag of packets without protection instead of that of protected ones.
    cipher = GpgCipher("g", GpgOptions(recipients=rings.anna.fingerprints[:1], homedir=rings.anna.home))
    sealed = tmp_path / "sealed"
    cipher.seal(plain_file(tmp_path, b"x" * 1000), sealed)
    content = bytearray(sealed.read_bytes())
    at = content.index(b"\xd2")
    content[at] = 0xC9
    sealed.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        cipher.unseal(sealed, tmp_path / "opened")
    assert caught.value.code in {"cipher.damaged", "cipher.wrong_key"}


def test_openssl_can_not_tell(tmp_path: Path) -> None:
    """Another number of iterations is a wrong key, where the digest shows that the file is whole."""
    require_program("openssl")
    word = secret_file(tmp_path / "word", PASSPHRASE)
    sealing = OpensslCipher("o", OpensslOptions(passphrase_file=word, iterations=10_000))
    sealed = tmp_path / "sealed"
    known = sealing.seal(plain_file(tmp_path, b"x" * 1000), sealed)
    other = OpensslCipher("o", OpensslOptions(passphrase_file=word, iterations=10_001))
    with pytest.raises(OpsError) as caught:
        other.unseal(sealed, tmp_path / "opened", known)
    assert caught.value.code in {"cipher.wrong_key", "cipher.damaged"}
    with pytest.raises(OpsError) as caught:
        sealing.unseal(sealed, tmp_path / "opened")
    assert caught.value.code == "cipher.unverifiable"
    assert code_of(OpensslCipher("o", OpensslOptions(iterations=1)), tmp_path) == "config.invalid_value"
    assert code_of(OpensslCipher("o", OpensslOptions()), tmp_path) == "cipher.no_identity"


def test_registry_builds_from_tables() -> None:
    """Each kind's options can be built from a table, and know no plain secret."""
    for kind, (options, driver) in CIPHERS.items():
        cipher = driver("x", build(options, {"passphrase_file": "/run/secrets/word"}, PLACE))
        assert cipher.kind == kind
        assert cipher.suffix.startswith(".")
        with pytest.raises(OpsError) as caught:
            build(options, {"passphrase": "hunter2"}, PLACE)
        assert caught.value.code == "config.secret_in_file"


@pytest.mark.parametrize("recorded", ["what it is made of", "as it is"])
def test_openssl_in_base64(tmp_path: Path, recorded: str) -> None:
    """A file that openssl wrote as base64 text is told by that word, with the command that converts it."""
    require_program("openssl")
    word = secret_file(tmp_path / "word", PASSPHRASE)
    cipher = OpensslCipher("o", OpensslOptions(passphrase_file=word, iterations=10_000))
    sealed, text = tmp_path / "sealed", tmp_path / "text"
    known = cipher.seal(plain_file(tmp_path, b"x" * 1000), sealed)
    subprocess.run(["openssl", "base64", "-in", sealed, "-out", text], check=True)
    if recorded == "as it is":
        content = text.read_bytes()
        known = dataclasses.replace(known, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(CipherError) as caught:
        cipher.unseal(text, tmp_path / "opened", known)
    assert caught.value.code == ("cipher.not_encrypted" if recorded == "as it is" else "cipher.damaged")
    assert "it is base64 text" in caught.value.message
    assert "openssl base64 -d -in FILE -out FILE.enc" in caught.value.message
