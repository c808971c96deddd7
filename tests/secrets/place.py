"""A machine to work on: sources of both kinds, stores that seal with every cipher, a secret in every place for one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.sources.postgres.server.server import RunningServer
from tests.conftest import CONSOLE
from tests.secrets.planted import Canaries
from tests.secrets.watching import Watch, prepare_records, recorder
from tests.stores.seaweed import Weed

FOLDERS: Final = ("work", "home", "given", "records", "temporary", "bin", "postgres", "server")
_POSTGRES: Final = (
    *("initdb", "pg_amcheck", "pg_config", "pg_dump", "pg_dumpall", "pg_isready", "pg_restore"),
    *("postgres", "psql"),
)
_CIPHERS: Final = ("age", "gpg", "gpgconf", "openssl")
# No daemon is needed for what counts: what the engine's client is given.
_ENGINE: Final = """
shift 2; while [ "$1" = -e ]; do shift 2; done; shift
unset RESTIC_PASSWORD
PATH={bindir}:/usr/bin:/bin exec"""
"""What runs in a container has the container's environment, and what the client was asked to hand on."""
_SPILL: Final = 'cat "$1"; cat "$1" >&2; exit 3; :'
SOURCES: Final = """
[source.prices]
kind = "sqlite"
path = "prices.db"
stores = ["local", "offsite", "gpg", "gpg-keys", "openssl", "locked"]
[[source.prices.assert]]
command = ["probe"]
[source.notes]
kind = "sqlite"
path = "notes.db"
stores = ["local", "s3-file", "s3-command", "s3-aws", "s3-profile"]
"""
_STORES: Final = """
[store.local]
kind = "local"
path = "backups"
[store.offsite]
kind = "s3"
bucket = "{bucket}"
prefix = "offsite"
endpoint_url = "{url}"
access_key_env = "OFFSITE_ACCESS"
secret_key_env = "OFFSITE_SECRET"
retries = 0
encrypt = "escrow"
"""
_CIPHER_TABLES: Final = """
[cipher.escrow]
kind = "age"
recipients = ["{escrow}"]
identity_env = "ESCROW_IDENTITY"
[cipher.locked]
kind = "age"
recipients = ["{locked}"]
identity_file = "{given}/locked-identity"
passphrase_env = "IDENTITY_WORD"
[cipher.gpg]
kind = "gpg"
homedir = "{given}/gpg"
passphrase_env = "PGP_PASSPHRASE"
[cipher.gpg-keys]
kind = "gpg"
recipients = ["{fingerprint}"]
homedir = "{keyring}"
passphrase_file = "{given}/gpg-key-passphrase"
[cipher.openssl]
kind = "openssl"
passphrase_command = ["tell", "{given}/openssl-passphrase"]
iterations = 10000
"""
_WAYS: Final = {
    "env": 'password_env = "SHOP_PASSWORD"',
    "file": 'password_file = "{given}/postgres-file"',
    "command": 'password_command = ["tell", "{given}/postgres-command"]',
    "boxed": 'password_command = ["tell", "{given}/postgres-boxed"]\ncontainer = "box"\ncontainer_exec = ["engine", "exec", "-i"]',
}
_KEYS: Final = {
    "file": 'access_key_file = "{given}/access-file"\nsecret_key_file = "{given}/s3-file"',
    "command": 'access_key_file = "{given}/access-command"\nsecret_key_command = ["tell", "{given}/s3-command"]',
    "aws": "",
    "profile": 'profile = "planted"',
}


@dataclass(frozen=True)
class Run:
    """One command line, how it should have ended, and how it did."""

    arguments: tuple[str, ...]
    expected: int
    code: int
    stdout: str
    stderr: str


@dataclass
class Place:
    """The machine; `run` is `drillbook` with all of the secrets around it."""

    folder: Path
    canaries: Canaries
    watch: Watch
    environment: Mapping[str, str]
    weed: Weed
    bucket: str
    server: RunningServer
    runs: list[Run] = field(default_factory=list)

    def __truediv__(self, name: str) -> Path:
        """Something in its folder."""
        return self.folder / name

    def run(self, *arguments: str, code: int = 0, **changed: str | None) -> Run:
        """Run a command line that should end with `code`; a variable that is changed to None is taken away."""
        with self.begun(*arguments, **changed) as process:
            return self.ended(process, arguments, code)

    def begun(self, *arguments: str, **changed: str | None) -> subprocess.Popen[str]:
        """The same, while it still runs."""
        variables = {**self.environment, **changed}
        process = subprocess.Popen(
            [CONSOLE, *arguments],
            cwd=self / "work",
            env={name: text for name, text in variables.items() if text is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.watch.roots.add(process.pid)
        return process

    def ended(self, process: subprocess.Popen[str], arguments: tuple[str, ...], code: int) -> Run:
        """What it said and how it ended, once it has."""
        stdout, stderr = process.communicate(timeout=120)
        self.watch.roots.discard(process.pid)
        self.runs.append(Run(arguments, code, process.returncode, stdout, stderr))
        return self.runs[-1]

    def configured(self, name: str, *lines: str, key: str = "", of: str = "ops.toml") -> str:
        """A configuration like `of` in which each of `lines` replaces the first line with its key, or with `key`."""
        text = (self / "work" / of).read_text()
        for line in lines:
            replaced = key or line.partition(" = ")[0]
            old = next(one for one in text.splitlines() if one.startswith(f"{replaced} = "))
            text = text.replace(old, line)
        (self / name).write_text(text)
        return str(self / name)


def make_folders(folder: Path) -> None:
    """The folders, which a server that runs as somebody else may pass through."""
    folder.chmod(0o711)
    for name in FOLDERS:
        (folder / name).mkdir()
    (folder / "given").chmod(0o700)
    prepare_records(folder / "records")


def put_recorders(folder: Path, bindir: Path) -> None:
    """Every program that a run starts, as one that writes down what it is given."""
    records = folder / "records"
    for name in _POSTGRES:
        recorder(folder / "postgres", name, f"exec {bindir / name}", records)
    for name in _CIPHERS:
        recorder(folder / "bin", name, f"exec /usr/bin/{name}", records)
    recorder(folder / "bin", "pg_config", f"exec {bindir / 'pg_config'}", records)
    recorder(folder / "bin", "probe", "exec /bin/true", records)
    recorder(folder / "bin", "tell", "exec /bin/cat", records)
    recorder(folder / "bin", "spill", _SPILL, records)
    recorder(folder / "bin", "engine", _ENGINE.format(bindir=bindir), records)


def configuration(facts: Mapping[str, str], ways: Collection[str], text: str = "") -> str:
    """A configuration with all stores, the sources of `text`, and one of PostgreSQL for each way to give a password."""
    text += _STORES
    for way in ways:
        further = '\nstores = ["local", "offsite"]' if way == "file" else '\nstores = ["local"]'
        text += f'\n[source.shop-{way}]\nkind = "postgres"\nmin_size = 1\n' + _WAYS.get(way, "") + further
        text += "" if way == "boxed" else '\npg_bindir = "{folder}/postgres"'
        where = "service=shop" if way == "service" else f"host={{sockets}} dbname=shop user=ops_{way}"
        where += " passfile={given}/passfile" if way == "passfile" else ""
        text += f'\ndsn = "{where}"\n'
    for way, keys in _KEYS.items():
        place = f'kind = "s3"\nbucket = "{{bucket}}"\nprefix = "{way}"\nendpoint_url = "{{url}}"'
        text += f"\n[store.s3-{way}]\n{place}\n{keys}\n"
    for name in ("gpg", "gpg-keys", "openssl", "locked"):
        text += f'\n[store.{name}]\nkind = "local"\npath = "sealed-{name}"\nencrypt = "{name}"\n'
    return (text + _CIPHER_TABLES).format(**facts)


def environment_of(folder: Path, canaries: Canaries) -> dict[str, str]:
    """The variables of a run; more than one secret is of no use to any program at all."""
    return {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "HOME": f"{folder}/home",
        "TMPDIR": f"{folder}/temporary",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LOG_FILE": f"{folder}/work/run.log",
        "PGSERVICEFILE": f"{folder}/given/services",
        "PGPASSWORD": canaries["postgres-variable"],
        "SHOP_PASSWORD": canaries["postgres-env"],
        "AWS_ACCESS_KEY_ID": "AK-aws",
        "AWS_SECRET_ACCESS_KEY": canaries["s3-aws"],
        "OFFSITE_ACCESS": "AK-env",
        "OFFSITE_SECRET": canaries["s3-env"],
        "ESCROW_IDENTITY": f"AGE-SECRET-KEY-1{canaries['identity-env']}",
        "IDENTITY_WORD": canaries["identity-passphrase"],
        "PGP_PASSPHRASE": canaries["gpg-passphrase"],
        "RESTIC_PASSWORD": canaries["of-nobody"],
    }
