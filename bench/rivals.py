"""The same work by plain means. Each function leaves its result in the given folder and returns no details."""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.data import TABLES
from bench.place import installed
from bench.timing import Details, program

BLOCK = 1 << 20
COPY_CHUNK = 64 << 20
BACKUP_PATIENCE_S = 60.0
NOTHING: Details = {}


def copy_fsync(source: Path, target: Path) -> Details:
    """Copy in the kernel, then fsync: the least that a durable copy can cost."""
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        if hasattr(os, "copy_file_range"):
            while os.copy_file_range(reader.fileno(), writer.fileno(), COPY_CHUNK):
                pass
        else:
            while block := reader.read(BLOCK):
                writer.write(block)
        os.fsync(writer.fileno())
    return NOTHING


def sha256(path: Path) -> Details:
    """SHA-256 with OpenSSL, as fast as this machine hashes one stream."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as reader:
        while got := reader.readinto(block):
            digest.update(block[:got])
    digest.digest()
    return NOTHING


def sha256sum(path: Path) -> Details:
    """Write the checksum file with the stock program."""
    line = program(installed("sha256sum"), path.name, folder=path.parent)
    path.with_name(f"{path.name}.sha256").write_text(line, encoding="utf-8")
    return NOTHING


def check_sha256sum(path: Path, checksum: Path) -> None:
    """Compare `path` with a checksum file that may name another one of the same content."""
    digest = checksum.read_text(encoding="utf-8").split()[0]
    program(installed("sha256sum"), "-c", "-", folder=path.parent, feed=f"{digest}  {path.name}\n")


def shell_backup(source: Path, target: Path) -> Details:
    """`.backup` of the SQLite shell (100 pages a step), made durable, then the checksum.

    Raises TimeoutExpired after a minute: under a writer it may never end.
    """
    program(installed("sqlite3"), source, f".backup '{target}'", patience_s=BACKUP_PATIENCE_S)
    _fsync(target)
    return sha256sum(target)


def vacuum_into(source: Path, target: Path) -> Details:
    """`VACUUM INTO`, made durable, then the checksum."""
    program(installed("sqlite3"), source, f"VACUUM INTO '{target}'")
    _fsync(target)
    return sha256sum(target)


def api_backup(source: Path, target: Path) -> Details:
    """The backup API with all pages in one step, made durable, then the checksum."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=-1)
    _fsync(target)
    return sha256sum(target)


def litestream(source: Path, replica: Path) -> Details:
    """One replication to a folder, until the first complete copy is there and the program has ended."""
    program(
        "env", "-u", "AWS_CA_BUNDLE", installed("litestream"), "replicate", "-once", source, replica.as_uri()
    )
    return NOTHING


def check_copy(path: Path) -> None:
    """Integrity, foreign keys and row counts, in one process of the SQLite shell."""
    counts = "".join(f"SELECT count(*) FROM {table};" for table in TABLES)
    found = program(installed("sqlite3"), path, f"PRAGMA integrity_check; PRAGMA foreign_key_check; {counts}")
    if not found.startswith("ok\n"):
        raise SystemExit(f"integrity_check found: {found}")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
