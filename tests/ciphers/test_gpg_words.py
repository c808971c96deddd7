"""Keys of gpg that cannot be used are told by what is wrong with them, and old secret keys still open."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.errors import CipherError
from ops.model.findings import Severity
from tests.ciphers.keyrings import Gpg, end_agent, gpg_home, require_program
from tests.conftest import execute, run_drillbook
from tests.contracts.test_ciphers import plain_file

pytestmark = [pytest.mark.alone, pytest.mark.long]

ADDRESS = "old@example.org"
LONG_AGO = ("--faked-system-time", "20250101T000000")
UNKNOWN = "0123456789ABCDEF0123456789ABCDEF01234567"
CONTENT = b"what was encrypted while the key was good"


def without_passphrase(gpg: Gpg, *arguments: str) -> None:
    """Run gpg, which makes keys without a passphrase."""
    gpg.run("--pinentry-mode", "loopback", "--passphrase", "", *arguments)


def expired(gpg: Gpg) -> None:
    """Make a key that ended in 2025."""
    without_passphrase(gpg, *LONG_AGO, "--quick-generate-key", ADDRESS, "future-default", "default", "2d")


def expired_subkey(gpg: Gpg) -> None:
    """Make a key whose subkey for encryption ended in 2025."""
    without_passphrase(gpg, *LONG_AGO, "--quick-generate-key", ADDRESS, "ed25519", "default", "never")
    without_passphrase(gpg, *LONG_AGO, "--quick-add-key", fingerprint_in(gpg), "cv25519", "encr", "2d")


def good(gpg: Gpg) -> None:
    """Make a key that is good."""
    without_passphrase(gpg, "--quick-generate-key", ADDRESS, "future-default", "default", "never")


def revoke(gpg: Gpg) -> None:
    """Revoke the key with the certificate that gpg made for that day."""
    certificate = gpg.home / "openpgp-revocs.d" / f"{fingerprint_in(gpg)}.rev"
    gpg.run("--import", given=certificate.read_bytes().replace(b"\n:-----", b"\n-----"))


def sign_only(gpg: Gpg) -> None:
    """Make a key without a subkey for encryption."""
    without_passphrase(gpg, "--quick-generate-key", ADDRESS, "ed25519", "sign", "never")


def untrusted(gpg: Gpg) -> None:
    """Make a key of which the keyring has forgotten that it is its own."""
    good(gpg)
    (gpg.home / "trustdb.gpg").unlink()


def disabled(gpg: Gpg) -> None:
    """Make a key, and disable it."""
    good(gpg)
    argv = [
        "gpg",
        "--homedir",
        str(gpg.home),
        "--quiet",
        "--no-tty",
        "--command-fd",
        "0",
        "--edit-key",
        ADDRESS,
    ]
    subprocess.run(argv, input=b"disable\nsave\n", capture_output=True, check=True)


def fingerprint_in(gpg: Gpg) -> str:
    """The fingerprint of the only key."""
    listed = gpg.run("--with-colons", "--list-keys").stdout.decode()
    return listed.split("\nfpr:")[1].split(":")[8]


@contextmanager
def keyring(make: str) -> Iterator[Gpg]:
    """A keyring with the key that one of the functions above makes."""
    require_program("gpg")
    with gpg_home() as gpg:
        makers = {
            "expired": (expired,),
            "expired subkey": (expired_subkey,),
            "revoked": (good, revoke),
            "sign only": (sign_only,),
            "untrusted": (untrusted,),
            "disabled": (disabled,),
        }
        for step in makers[make]:
            step(gpg)
        end_agent(gpg.home)
        yield gpg


WORDS = {
    "expired": "expired on 2025-01-03",
    "expired subkey": "has a subkey for encryption that expired on 2025-01-03",
    "revoked": "was revoked",
    "sign only": "can only sign",
    "disabled": "is disabled",
}


@pytest.mark.parametrize("make", WORDS)
@pytest.mark.parametrize("by", ["fingerprint", "address"])
def test_a_recipient_that_cannot_be_used(tmp_path: Path, make: str, by: str) -> None:
    """The error names the key and says that it expired, was revoked, can only sign or is disabled; the probe as well."""
    if (make, by) == ("disabled", "fingerprint"):
        pytest.skip("gpg encrypts for a disabled key that is named by its whole fingerprint")
    with keyring(make) as gpg:
        fingerprint = fingerprint_in(gpg)
        recipient = fingerprint if by == "fingerprint" else ADDRESS
        cipher = GpgCipher("g", GpgOptions(recipients=(recipient,), homedir=gpg.home))
        with pytest.raises(CipherError) as caught:
            cipher.seal(plain_file(tmp_path, CONTENT), tmp_path / "sealed")
        assert caught.value.code == "cipher.bad_recipient"
        assert f"for {recipient}: key {fingerprint}" in caught.value.message
        assert WORDS[make] in caught.value.message
        assert caught.value.hint
        probed = [item for item in cipher.probe() if item.severity is Severity.CRITICAL]
        assert [item.message for item in probed] == [caught.value.message]


def test_a_recipient_that_is_not_trusted(tmp_path: Path) -> None:
    """An address whose key is not trusted is told by that word; its whole fingerprint needs no trust."""
    with keyring("untrusted") as gpg:
        cipher = GpgCipher("g", GpgOptions(recipients=(ADDRESS,), homedir=gpg.home))
        with pytest.raises(CipherError, match="is not trusted in the keyring"):
            cipher.seal(plain_file(tmp_path, CONTENT), tmp_path / "sealed")
        trusted = GpgCipher("g", GpgOptions(recipients=(fingerprint_in(gpg),), homedir=gpg.home))
        trusted.seal(plain_file(tmp_path, CONTENT), tmp_path / "sealed")


@pytest.mark.parametrize("recipient", [UNKNOWN, "nobody@example.org"])
def test_a_recipient_that_is_unknown(tmp_path: Path, recipient: str) -> None:
    """A recipient that the keyring does not have is told by that, with the keyring's folder."""
    require_program("gpg")
    with gpg_home() as gpg:
        cipher = GpgCipher("g", GpgOptions(recipients=(recipient,), homedir=gpg.home))
        with pytest.raises(CipherError, match=f"the keyring in {gpg.home} has no key of"):
            cipher.seal(plain_file(tmp_path, CONTENT), tmp_path / "sealed")


@pytest.mark.parametrize("make", ["expired", "expired subkey", "revoked"])
def test_an_old_secret_key_still_opens(tmp_path: Path, make: str) -> None:
    """What was encrypted for a key before it expired or was revoked is opened, and the probe says what became of it."""
    require_program("gpg")
    with gpg_home() as gpg:
        {"expired": expired, "expired subkey": expired_subkey, "revoked": good}[make](gpg)
        long_ago = LONG_AGO if make != "revoked" else ()
        to = ("--trust-model", "always", "--recipient", fingerprint_in(gpg), "--encrypt")
        (tmp_path / "sealed").write_bytes(gpg.run(*long_ago, *to, given=CONTENT).stdout)
        if make == "revoked":
            revoke(gpg)
        end_agent(gpg.home)
        cipher = GpgCipher("g", GpgOptions(homedir=gpg.home))
        cipher.unseal(tmp_path / "sealed", tmp_path / "opened")
        assert (tmp_path / "opened").read_bytes() == CONTENT
        (said,) = [item for item in cipher.probe() if item.code == "cipher.key_ended"]
        assert said.severity is Severity.OK
        assert WORDS[make] in said.message
        assert "still opens" in said.message


@pytest.mark.parametrize("make", WORDS)
def test_the_tasks_say_it(tmp_path: Path, make: str) -> None:
    """`backup.create` ends with 2 and those words, makes nothing, and `doctor` says the same."""
    with keyring(make) as gpg:
        execute(tmp_path / "app.db", "CREATE TABLE t (a)")
        (tmp_path / "ops.toml").write_text(
            f"""
            [source.app]
            kind = "sqlite"
            path = "app.db"
            [store.here]
            kind = "local"
            path = "store"
            encrypt = "g"
            [cipher.g]
            kind = "gpg"
            recipients = ["{ADDRESS}"]
            homedir = "{gpg.home}"
            """
        )
        done = run_drillbook("backup.create", cwd=tmp_path)
        assert done.returncode == 2
        assert WORDS[make] in done.stdout + done.stderr
        assert not [name for name in os.listdir(tmp_path / "store") if name.startswith("backup-")]
        examined = run_drillbook("doctor", cwd=tmp_path)
        assert examined.returncode == 2
        assert WORDS[make] in examined.stdout
