"""What a task says names backups as their stores do, and no path in a temporary folder."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import KEY
from ops.formats.names import manifest_key
from ops.fsio.scratch import SCRATCH_PREFIX
from ops.model.manifest import FileEntry
from tests.ciphers.keyrings import require_program, secret_file
from tests.conftest import execute, run_drillbook

pytestmark = pytest.mark.long

CONFIG = """
scratch_dir = "scratch"
[source.app]
kind = "sqlite"
path = "app.db"
series = "app"
stores = ["home", "gpg", "openssl"]
[cipher.g]
kind = "gpg"
passphrase_file = "{word}"
[cipher.o]
kind = "openssl"
passphrase_file = "{word}"
iterations = 10000
[store.home]
kind = "local"
path = "stores/home"
[store.gpg]
kind = "local"
path = "stores/gpg"
encrypt = "g"
[store.openssl]
kind = "local"
path = "stores/openssl"
encrypt = "o"
"""
VERBS = (
    ("backup.verify", "{}:latest", "--level", "full"),
    ("backup.drill", "--from", "{}:latest"),
    ("backup.restore", "--from", "{}:latest", "--to", "new.db"),
    ("backup.show", "{}:latest"),
    ("store.reencrypt", "--yes", "--store", "{}"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one backup in two stores that encrypt."""
    require_program("gpg")
    require_program("openssl")
    folder = tmp_path_factory.mktemp("made")
    execute(folder / "app.db", "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(300000));")
    secret_file(folder / "word", "old")
    secret_file(folder / "other", "new")
    (folder / "ops.toml").write_text(CONFIG.format(word="word"))
    done = run_drillbook("backup.create", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "site"))


def payload_in(site: Path, store: str) -> Path:
    """The stored payload."""
    (found,) = (path for path in (site / "stores" / store).iterdir() if path.suffix in {".gpg", ".enc"})
    return found


def say_so(site: Path, store: str, content: bytes, plain: bytes | None = None) -> None:
    """Put other content there, and have the manifest and the checksum file say that it is right; also of what it is made of."""
    payload = payload_in(site, store)
    key = payload.with_name(manifest_key(payload.name))
    manifest = manifest_files.from_json(key.read_bytes(), key.name)
    entry = FileEntry(payload.name, len(content), hashlib.sha256(content).hexdigest())
    extra: dict[str, Any] = dict(manifest.extra)
    if plain is not None:
        of_plain = {"size": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}
        extra[KEY] = {**extra[KEY], "files": [of_plain]}
    payload.write_bytes(content)
    key.write_bytes(manifest_files.to_json(replace(manifest, files=(entry,), extra=extra)))
    payload.with_name(f"{payload.name}.checksum").write_text(f"{entry.sha256}  {payload.name}\n")


def speaks_of_stores(site: Path, store: str) -> str:
    """Run every verb, none of which says a temporary path; what they said."""
    everything = ""
    for number, verb in enumerate(VERBS):
        words = [word.format(store) for word in verb]
        done = run_drillbook(*words, "--format", ("text", "json")[number % 2], cwd=site)
        said = done.stdout + done.stderr
        assert SCRATCH_PREFIX not in said, (verb, said)
        assert "Traceback" not in said
        everything += said
    return everything


STORES = pytest.mark.parametrize("store", ["gpg", "openssl"])


@STORES
def test_with_a_wrong_key(site: Path, store: str) -> None:
    """With the wrong key no verb names a temporary path; they name the manifest or payload that was not opened."""
    (site / "ops.toml").write_text(CONFIG.format(word="other"))
    said = speaks_of_stores(site, store)
    assert f"{payload_in(site, store).name}.manifest.json cannot be opened with the keys" in said


@pytest.mark.parametrize("how", ["cut", "flipped and said", "another and said"])
def test_with_damaged_bytes(site: Path, how: str) -> None:
    """Of truncated, flipped and exchanged files, in accord with their manifest or not, none is named by a temporary path."""
    store = "openssl"
    content = payload_in(site, store).read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    other = {"cut": content[:middle], "flipped": flipped, "another": b"x" * len(content)}[
        how.split(" ", maxsplit=1)[0]
    ]
    if how.endswith("said"):
        say_so(site, store, other)
    else:
        payload_in(site, store).write_bytes(other)
    speaks_of_stores(site, store)


@contextlib.contextmanager
def small_disk_at(place: Path, size: int) -> Iterator[None]:
    """A small tmpfs there for as long as the block runs."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.needs_root
@pytest.mark.parametrize("size", [8 << 10, 700 << 10])
def test_with_a_full_disk(site: Path, size: int) -> None:
    """When the temporary folders have no room, what could not be written is named by the backup it is of."""
    with small_disk_at(site / "scratch", size):
        speaks_of_stores(site, "openssl")
        done = run_drillbook("backup.create", cwd=site)
    assert SCRATCH_PREFIX not in done.stdout + done.stderr
    with small_disk_at(site / "tmp", size):
        done = run_drillbook("doctor", cwd=site, environment={"TMPDIR": str(site / "tmp")})
    assert SCRATCH_PREFIX not in done.stdout + done.stderr


def test_with_a_database_that_is_none(site: Path) -> None:
    """What SQLite says of an opened copy names the backup, not the copy's path."""
    payload = payload_in(site, "openssl")
    plain = b"no database at all " * 1000
    algorithm = ("-aes-256-cbc", "-salt", "-pbkdf2", "-md", "sha256", "-iter", "10000")
    sealed = subprocess.run(
        ["openssl", "enc", "-e", *algorithm, "-pass", f"file:{site / 'word'}"],
        input=plain,
        capture_output=True,
        check=True,
    ).stdout
    say_so(site, "openssl", sealed, plain)
    said = speaks_of_stores(site, "openssl")
    assert f"the temporary copy of {payload.name} failed: file is not a database" in said
