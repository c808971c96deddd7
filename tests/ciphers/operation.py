"""One sealing or opening in a process that can be killed or measured.

    python operation.py KIND seal|unseal FROM TO RECIPIENT KEY

KIND is the registry's, or `age-program`. RECIPIENT may be a fingerprint, and `-` where there is none; KEY is an
identity file, a home or a passphrase file. Prints `ready`, begins, prints by how many KiB the peak of its memory grew.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from ops.ciphers.age import engines
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.ciphers.gpg.driver import GpgCipher, GpgOptions
from ops.ciphers.openssl import OpensslCipher, OpensslOptions
from ops.ports.cipher import Cipher


def cipher_of(sort: str, recipient: str, key: Path) -> Cipher:
    """The cipher that the arguments mean."""
    if sort.startswith("age"):
        engines.LIBRARY_UP_TO = -1 if sort == "age-program" else 1 << 40
        return AgeCipher("a", AgeOptions(recipients=(recipient,), identity_file=key))
    if sort == "gpg-keys":
        return GpgCipher("g", GpgOptions(recipients=(recipient,), homedir=key))
    if sort == "gpg-passphrase":
        return GpgCipher("s", GpgOptions(passphrase_file=key))
    return OpensslCipher("o", OpensslOptions(passphrase_file=key, iterations=10_000))


def peak() -> int:
    """The most memory that this process had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(sort: str, verb: str, given: str, into: str, recipient: str, key: str) -> None:
    """Do it."""
    cipher = cipher_of(sort, recipient, Path(key))
    before = peak()
    print("ready", flush=True)
    if verb == "seal":
        cipher.seal(Path(given), Path(into))
    else:
        cipher.unseal(Path(given), Path(into))
    print(peak() - before, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
