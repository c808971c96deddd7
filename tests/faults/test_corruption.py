from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.driverkit.row_digest import document_seal
from ops.errors import BackupError
from ops.formats import manifest as manifest_files
from ops.formats.names import checksum_key, manifest_key, parse_checksum_line
from ops.model.evidence import Evidence, Level
from ops.model.findings import Verdict
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.conftest import execute

pytestmark = [pytest.mark.alone, pytest.mark.long]


@pytest.fixture
def tiny(tmp_path: Path) -> SqliteSource:
    """A database of three 512-byte pages."""
    path = tmp_path / "tiny.db"
    execute(
        path, "PRAGMA page_size=512; CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2.5, x'00ff');"
    )
    return SqliteSource("tiny", SqliteOptions(path=path))


def look(backup: Backup, source: SqliteSource, scratch: Path, level: Level = Level.QUICK) -> Evidence:
    """Verify without keeping evidence."""
    return verify_backup(backup, source, VerifyRequest(level, scratch, keep=False), Job())


def test_every_bit_of_the_payload_is_guarded(tiny: SqliteSource, scratch: Path) -> None:
    """Whichever single bit of the stored payload flips, verify says failed."""
    store = MemoryStore()
    backup = take_backup(tiny, Repository(store=store), BackupRequest(), Job()).backup
    original = store.files[backup.name]
    for bit in range(8 * len(original)):
        flipped = bytearray(original)
        flipped[bit // 8] ^= 1 << bit % 8
        store.files[backup.name] = bytes(flipped)
        assert look(backup, tiny, scratch).verdict is Verdict.FAILED, bit


def test_every_bit_of_the_checksum_file_is_guarded(tiny: SqliteSource, scratch: Path) -> None:
    """Whichever single bit of the checksum file flips, verify says failed, or the line still means the same."""
    store = MemoryStore()
    backup = take_backup(tiny, Repository(store=store), BackupRequest(), Job()).backup
    key = checksum_key(backup.name)
    original = store.files[key]
    meant = parse_checksum_line(original.decode())
    harmless = 0
    for bit in range(8 * len(original)):
        flipped = bytearray(original)
        flipped[bit // 8] ^= 1 << bit % 8
        store.files[key] = bytes(flipped)
        if look(backup, tiny, scratch).verdict is not Verdict.FAILED:
            assert parse_checksum_line(flipped.decode()) == meant, bit
            harmless += 1
    # Only the case of the digest's letters may change unseen.
    assert harmless <= sum(letter in b"abcdef" for letter in original[:64]) + 2


def test_every_bit_of_the_manifest_is_guarded(tiny: SqliteSource) -> None:
    """Whichever single bit of the manifest flips, it is refused, or its content is unchanged."""
    store = MemoryStore()
    backup = take_backup(tiny, Repository(store=store), BackupRequest(), Job()).backup
    key = manifest_key(backup.name)
    original = store.files[key]
    for bit in range(8 * len(original)):
        flipped = bytearray(original)
        flipped[bit // 8] ^= 1 << bit % 8
        store.files[key] = bytes(flipped)
        try:
            found = find_backup(store, backup.name).manifest
        except BackupError as error:
            assert error.code in {"backup.manifest_invalid", "backup.manifest_newer"}
        else:
            assert json.loads(flipped) == json.loads(original), bit
            assert found == backup.manifest


def test_truncation_at_every_page(tiny: SqliteSource, store: LocalStore, scratch: Path, job: Job) -> None:
    """A payload cut at any page boundary, or to nothing, fails both levels of verify."""
    backup = take_backup(tiny, Repository(store=store), BackupRequest(), job).backup
    path = store.path_of(backup.name)
    content = path.read_bytes()
    for size in range(0, len(content), 512):
        path.write_bytes(content[:size])
        assert look(backup, tiny, scratch).verdict is Verdict.FAILED
        assert look(backup, tiny, scratch, Level.FULL).verdict is Verdict.FAILED


def test_swapped_payloads(source: SqliteSource, tiny: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """Two backups whose payloads were exchanged both fail, whatever their sizes."""
    first = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    second = take_backup(tiny, Repository(store=store), BackupRequest(), Job()).backup
    one, other = store.path_of(first.name), store.path_of(second.name)
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)
    assert look(first, source, scratch).verdict is Verdict.FAILED
    assert look(second, tiny, scratch).verdict is Verdict.FAILED


def test_swapped_manifests_are_refused(source: SqliteSource, tiny: SqliteSource, store: LocalStore) -> None:
    """A manifest that lies beside another payload is not accepted as that payload's."""
    first = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    second = take_backup(tiny, Repository(store=store), BackupRequest(), Job()).backup
    shutil.copy(store.path_of(manifest_key(second.name)), store.path_of(manifest_key(first.name)))
    with pytest.raises(BackupError, match="belongs to") as caught:
        find_backup(store, first.name)
    assert caught.value.code == "backup.manifest_invalid"


def test_lying_manifest(
    source: SqliteSource,
    store: LocalStore,
    scratch: Path,
    job: Job,
) -> None:
    """A manifest that claims other counts, correctly sealed, fails a full verify and says where."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
    path = store.path_of(manifest_key(backup.name))
    document = json.loads(path.read_bytes())
    document["measures"]["tables"]["notes"]["rows"] = 199
    document["seal"] = document_seal(document)
    path.write_text(json.dumps(document))
    evidence = look(find_backup(store, backup.name), source, scratch, Level.FULL)
    assert evidence.verdict is Verdict.FAILED
    assert {finding.code for finding in evidence.findings if finding.where == "notes"} == {
        "measure.rows_differ"
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 3}, "backup.manifest_newer"),
        ({"version": "1"}, "backup.manifest_invalid"),
        ({"version": 0}, "backup.manifest_invalid"),
        ({"payload": "../../etc/passwd"}, "backup.manifest_invalid"),
        ({"files": []}, "backup.manifest_invalid"),
        ({"duration_ms": -1}, "backup.manifest_invalid"),
        ({"created_at": "2026-01-01T00:00:00"}, "backup.manifest_invalid"),
        ({"tool": 7}, "backup.manifest_invalid"),
    ],
)
def test_unusable_manifests(
    source: SqliteSource, store: LocalStore, job: Job, change: dict[str, object], code: str
) -> None:
    """A manifest of a newer version or with impossible values is refused with its own code, sealed or not."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
    path = store.path_of(manifest_key(backup.name))
    document = {**json.loads(path.read_bytes()), **change}
    document["seal"] = document_seal(document)
    path.write_text(json.dumps(document))
    with pytest.raises(BackupError) as caught:
        find_backup(store, backup.name)
    assert caught.value.code == code
    # One bad manifest does not hide the others.
    catalogue = read_catalogue(store)
    assert [finding.code for finding in catalogue.findings] == [code]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_manifest_that_is_no_manifest(content: bytes) -> None:
    """Whatever bytes stand where a manifest should be, the error is ours and has its code."""
    with pytest.raises(BackupError) as caught:
        manifest_files.from_json(content, "x.manifest.json")
    assert caught.value.code == "backup.manifest_invalid"


def test_missing_parts(source: SqliteSource, store: LocalStore, scratch: Path, job: Job) -> None:
    """A missing payload or checksum file is a critical finding; a missing manifest means there is no backup."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
    payload, checksum = store.path_of(backup.name), store.path_of(checksum_key(backup.name))
    hidden = payload.with_name(".hidden")
    checksum.rename(hidden)
    codes = {finding.code for finding in look(backup, source, scratch).findings}
    assert "backup.checksum_file_missing" in codes
    hidden.rename(checksum)
    payload.rename(hidden)
    for level in Level:
        evidence = look(backup, source, scratch, level)
        assert evidence.verdict is Verdict.FAILED
        assert "backup.payload_missing" in {finding.code for finding in evidence.findings}
    hidden.rename(payload)
    store.path_of(manifest_key(backup.name)).unlink()
    with pytest.raises(BackupError) as caught:
        find_backup(store, backup.name)
    assert caught.value.code == "backup.incomplete"
    assert [finding.code for finding in read_catalogue(store).findings] == ["backup.incomplete"]


@pytest.mark.parametrize("form", ["{digest}", "{digest}\n", "{upper}  {name}\n", "{digest} *{name}\n"])
def test_foreign_checksum_forms(
    source: SqliteSource, store: LocalStore, scratch: Path, job: Job, form: str
) -> None:
    """A bare digest, upper case, and binary mode are accepted on reading, and `.sha256` as a name."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
    digest = backup.manifest.files[0].sha256
    store.path_of(checksum_key(backup.name)).unlink()
    text = form.format(digest=digest, upper=digest.upper(), name=backup.name)
    store.path_of(f"{backup.name}.sha256").write_text(text)
    assert look(backup, source, scratch).verdict is Verdict.PASSED


def test_corrupt_leaf_page(tmp_path: Path, store: LocalStore, job: Job) -> None:
    """A source with a damaged leaf page is refused as corrupt, and nothing is published."""
    path = tmp_path / "damaged.db"
    execute(
        path,
        """
        CREATE TABLE t (a TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO t SELECT printf('%060d', i) FROM n;
        """,
    )
    content = bytearray(path.read_bytes())
    content[10 * 4096 : 10 * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(Exception, match="malformed") as caught:
        take_backup(
            SqliteSource("t", SqliteOptions(path=path)), Repository(store=store), BackupRequest(), job
        )
    assert getattr(caught.value, "code", None) == "source.corrupt"
    assert list(store.list()) == []
