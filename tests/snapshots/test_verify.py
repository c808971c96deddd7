from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from ops.errors import SnapshotError
from ops.model.findings import Finding, Severity
from ops.run.job import Job
from ops.snapshots.checksum_file import recorded_digest
from ops.snapshots.publish import series_lock
from ops.snapshots.verify import Verified, verify_snapshots

CONTENT = b"close,date\n1.5,2026-01-02\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "PETR4-20260102.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `snapshots` with one CSV and no record of it."""
    place = tmp_path / "snapshots"
    place.mkdir()
    (place / NAME).write_bytes(CONTENT)
    return place


def codes(verified: Verified, *, worst: bool = True) -> set[str]:
    """Codes of all findings that are not ok, or of all."""
    found = [*verified.findings, *(finding for looked in verified.looked for finding in looked.findings)]
    return {finding.code for finding in found if finding.severity is not Severity.OK or not worst}


def manifest_of(folder: Path, document: object) -> Path:
    """A manifest with this content in the folder."""
    path = folder / "checksums.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".checksum", f"{SHA256}  {NAME}\n"),
        (".checksum", SHA256),
        (".checksum", f"\ufeff{SHA256.upper()}\r\n"),
        (".checksum", f"{SHA256} *{NAME}"),
        (".checksum", f"{SHA256}  ./snapshots/{NAME}\n"),
        (".checksum", f"{SHA256}  /home/runner/work/snapshots/{NAME}\n"),
        (".checksum", f"SHA256 ({NAME}) = {SHA256}\n"),
        (".checksum", f"SHA2-256({NAME})= {SHA256}\n"),
        (".checksum", f"SHA256(snapshots/{NAME})= {SHA256}\n"),
        (".checksum", f"# made by hand\n{SHA256}  {NAME}\n"),
        (".sha256", f"{SHA256}  {NAME}\n"),
        (".checksum", f"{'0' * 64}  other.csv\n{SHA256}  {NAME}\n"),
    ],
)
def test_every_usual_form_of_a_checksum_file_is_read(folder: Path, suffix: str, text: str) -> None:
    """Bare digests, sha256sum lines, --tag lines, paths, capitals and the suffix .sha256 prove the file."""
    (folder / f"{NAME}{suffix}").write_text(text)
    assert codes(verify_snapshots(folder, None, Job())) == set()
    (folder / NAME).write_bytes(CONTENT + b"x")
    assert codes(verify_snapshots(folder, None, Job())) == {"snapshot.checksum_mismatch"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("text", [f"{SHA256}\r\n", f"{SHA256}  {NAME}\r\n", f"{SHA256} *.\\{NAME}\r\n"])
def test_a_checksum_file_that_powershell_wrote(folder: Path, encoding: str, text: str) -> None:
    """In UTF-16 or UTF-8 with its mark, and with CRLF at the ends of lines, the digest is read and compared."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (folder / f"{NAME}.checksum").write_bytes(f"{mark}{text}".encode(encoding))
    assert codes(verify_snapshots(folder, None, Job())) == set()
    (folder / NAME).write_bytes(CONTENT + b"x")
    assert codes(verify_snapshots(folder, None, Job())) == {"snapshot.checksum_mismatch"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no digest"),
        ("\n\n", "no digest"),
        ("garbage", "no SHA-256"),
        (hashlib.md5(CONTENT).hexdigest(), "MD5"),
        (f"{hashlib.sha1(CONTENT).hexdigest()}  {NAME}\n", "SHA-1"),
        (f"{hashlib.sha512(CONTENT).hexdigest()}  {NAME}\n", "SHA-512"),
        (f"MD5 ({NAME}) = {hashlib.md5(CONTENT).hexdigest()}\n", "MD5"),
        (SHA256[:-1], "no SHA-256"),
        (f"{SHA256}  other.csv\n", "other files"),
        (f"{SHA256}  {NAME}\n{'0' * 64}  {NAME}\n", "several"),
        (f"{SHA256}\n{'0' * 64}  x\n", "several"),
        ("0" * 70000, "too large"),
    ],
)
def test_a_checksum_file_that_proves_nothing_is_critical(folder: Path, text: str, said: str) -> None:
    """Empty, cut, ambiguous, of another file or algorithm: the finding says which, and nothing passes."""
    (folder / f"{NAME}.checksum").write_text(text)
    verified = verify_snapshots(folder, None, Job())
    assert codes(verified) == {"snapshot.checksum_invalid"}
    assert said in verified.looked[0].findings[0].message


def test_names_with_odd_characters_are_compared(folder: Path) -> None:
    """A name with a line end, a backslash and bytes that are no text has a checksum line that is read back."""
    name = "a\n\\\udcff.csv"
    path = folder / name
    path.write_bytes(CONTENT)
    escaped = os.fsencode(name).replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    record = folder / f"{name}.checksum"
    record.write_bytes(b"\\" + SHA256.encode() + b"  " + escaped + b"\n")
    assert recorded_digest(record, path) == SHA256


def test_nothing_passes_that_nothing_proves(folder: Path) -> None:
    """A CSV without any record, and a record without its CSV, are critical; so is a folder with nothing in it."""
    assert codes(verify_snapshots(folder, None, Job())) == {"snapshot.unproven"}
    (folder / f"{NAME}.checksum").write_text(f"{SHA256}  {NAME}\n")
    (folder / NAME).unlink()
    assert codes(verify_snapshots(folder, None, Job())) == {"snapshot.missing"}
    (folder / f"{NAME}.checksum").unlink()
    with pytest.raises(SnapshotError):
        verify_snapshots(folder, None, Job())
    with pytest.raises(SnapshotError):
        verify_snapshots(folder / "gone", None, Job())


def test_what_can_not_be_read_is_critical(folder: Path) -> None:
    """A pipe, a folder and a link to nowhere under a snapshot's name are told without waiting."""
    (folder / NAME).unlink()
    os.mkfifo(folder / "a.csv")
    (folder / "b.csv").symlink_to("nowhere")
    (folder / "c.csv.checksum").mkdir()
    (folder / "c.csv").write_bytes(CONTENT)
    found = {item.path: item.findings[0].code for item in verify_snapshots(folder, None, Job()).looked}
    assert found == {
        "a.csv": "snapshot.unreadable",
        "b.csv": "snapshot.unreadable",
        "c.csv": "snapshot.unreadable",
    }


@pytest.mark.parametrize(
    "document",
    [
        {"generated_at": "2026-01-02T03:04:05Z", "files": {f"snapshots/{NAME}": {"sha256": SHA256}}},
        {f"snapshots/{NAME}": {"sha256": SHA256.upper()}},
        {f"snapshots/{NAME}": SHA256},
        {"files": {NAME: {"sha256": SHA256}}},
        {"files": {f"/home/runner/work/app/snapshots/{NAME}": {"sha256": SHA256}}},
        {"files": {f"dados/snapshots/{NAME}": {"sha256": SHA256}}},
        {"generated_at": "now", f"snapshots/{NAME}": {"sha256": SHA256, "extra": 1}},
    ],
)
def test_manifests_of_every_shape_are_read(folder: Path, document: object) -> None:
    """With and without the level `files`, with keys from anywhere, an entry proves its file and finds its change."""
    manifest = manifest_of(folder, document)
    assert codes(verify_snapshots(folder, manifest, Job())) == set()
    (folder / NAME).write_bytes(b"other\n")
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.checksum_mismatch"}
    (folder / NAME).unlink()
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.missing"}


def test_an_absolute_key_of_this_folder_is_the_file_itself(folder: Path) -> None:
    """An absolute key inside the folder means that path and no other of the same name."""
    (folder / "sub").mkdir()
    (folder / "sub" / NAME).write_bytes(b"other\n")
    document = {"files": {f"{folder}/{NAME}": {"sha256": SHA256}}}
    verified = verify_snapshots(folder, manifest_of(folder, document), Job())
    found = {item.path: item.findings[0].code for item in verified.looked}
    assert found == {NAME: "snapshot.right", f"sub/{NAME}": "snapshot.unproven"}


def test_equal_names_are_not_guessed(folder: Path) -> None:
    """A key that fits several files by its name alone, and two keys for one file, are critical."""
    (folder / "sub").mkdir()
    (folder / "sub" / NAME).write_bytes(CONTENT)
    elsewhere = {"files": {f"/elsewhere/{NAME}": {"sha256": SHA256}}}
    assert "snapshot.ambiguous" in codes(verify_snapshots(folder, manifest_of(folder, elsewhere), Job()))
    (folder / "sub" / NAME).unlink()
    twice = {"files": {f"/a/{NAME}": {"sha256": SHA256}, f"/b/{NAME}": {"sha256": "0" * 64}}}
    assert "snapshot.ambiguous" in codes(verify_snapshots(folder, manifest_of(folder, twice), Job()))


def test_a_moved_file_is_not_taken_for_another(folder: Path) -> None:
    """In a manifest of our own form a path is a path: a file that was moved is missing there and unproven here."""
    (folder / "snapshots").mkdir()
    (folder / NAME).rename(folder / "snapshots" / NAME)
    manifest = manifest_of(folder, {"files": {f"snapshots/{NAME}": {"sha256": SHA256}}})
    verified = verify_snapshots(folder, manifest, Job())
    assert codes(verified) == {"snapshot.missing", "snapshot.unproven"}


@pytest.mark.parametrize("start", ["snapshots/../..", "..", "{folder}/.."])
def test_a_key_that_climbs_out_reads_nothing_outside(folder: Path, tmp_path: Path, start: str) -> None:
    """A key with `..` is about a file of that name in the folder, whatever lies outside."""
    key = f"{start.format(folder=folder)}/secret.csv"
    (tmp_path / "secret.csv").write_bytes(CONTENT)
    manifest = manifest_of(folder, {"files": {key: {"sha256": SHA256}, NAME: SHA256}})
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.missing"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        '"x"',
        '{"files": {"a.csv": {"sha256": "12"}}}',
        '{"files": {"a.csv": {}}}',
        '{"files": {"a.csv": null}}',
        '{"files": {"a.csv": {"sha256": 5}}}',
        f'{{"a.csv": "{SHA256}", "a.csv": "{"0" * 64}"}}',
        "[" * 100_000,
        '{"files": {"a.csv": {"sha256": "' + "0" * 64 + '", "link": "b"}}}',
    ],
)
def test_a_manifest_that_can_not_be_read_proves_nothing(folder: Path, text: str) -> None:
    """Cut, of another shape, or with a key that stands there twice: an error, never an empty manifest."""
    with pytest.raises(SnapshotError) as caught:
        verify_snapshots(folder, manifest_of(folder, text), Job())
    assert caught.value.code == "snapshot.manifest_invalid"


def test_a_checksum_file_and_a_manifest_are_both_heard(folder: Path) -> None:
    """Where one of them agrees and the other does not, or .checksum and .sha256 differ, it is a mismatch."""
    (folder / f"{NAME}.checksum").write_text(SHA256)
    manifest = manifest_of(folder, {"files": {f"snapshots/{NAME}": "0" * 64}})
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.checksum_mismatch"}
    (folder / f"{NAME}.sha256").write_text("1" * 64)
    assert codes(verify_snapshots(folder, None, Job())) == {"snapshot.checksum_mismatch"}


def test_a_snapshot_that_the_manifest_does_not_know_is_a_warning(folder: Path) -> None:
    """With a right checksum file it is a warning, without one it is critical."""
    manifest = manifest_of(folder, {"files": {}})
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.unproven"}
    (folder / f"{NAME}.checksum").write_text(SHA256)
    assert codes(verify_snapshots(folder, manifest, Job())) == {"snapshot.not_in_manifest"}


def test_a_run_that_is_at_work_is_waited_for(folder: Path) -> None:
    """What looks half done while a create holds the lock of its series is looked at again when it has ended."""
    (folder / NAME).unlink()
    (folder / f"{NAME}.checksum").write_text(SHA256)
    begun = threading.Event()

    def finish() -> None:
        with series_lock(folder, "PETR4", Job()):
            begun.set()
            time.sleep(0.5)
            (folder / NAME).write_bytes(CONTENT)

    thread = threading.Thread(target=finish)
    thread.start()
    begun.wait()
    assert codes(verify_snapshots(folder, None, Job())) == set()
    thread.join()


LINES = CONTENT + b"2.5,2026-01-03\n" * 70_000


@pytest.mark.parametrize(
    ("recorded", "there"),
    [
        (CONTENT, CONTENT.replace(b"\n", b"\r\n")),
        (CONTENT.replace(b"\n", b"\r\n"), CONTENT),
        (LINES, LINES.replace(b"\n", b"\r\n")),
        (b"a\n" * 600_000, b"a\r\n" * 600_000),
        (b"a\rb\n", b"a\rb\r\n"),
        (b"a\n\r", b"a\r\n\r"),
    ],
)
def test_where_only_line_ends_differ_that_is_said(folder: Path, recorded: bytes, there: bytes) -> None:
    """Git changes them: it is critical all the same, and the message names the cure."""
    (folder / NAME).write_bytes(there)
    (folder / f"{NAME}.checksum").write_text(hashlib.sha256(recorded).hexdigest())
    (finding,) = mismatches(verify_snapshots(folder, None, Job()))
    assert finding.severity is Severity.CRITICAL
    assert "only the line ends differ" in finding.message
    assert "*.csv -text" in finding.message


@pytest.mark.parametrize("there", [CONTENT + b"\r\n", CONTENT.replace(b"1.5", b"1.6"), b"", CONTENT[:-1]])
def test_where_more_differs_nothing_is_said_of_line_ends(folder: Path, there: bytes) -> None:
    """One other byte, and it is not only the line ends."""
    (folder / NAME).write_bytes(there)
    (folder / f"{NAME}.checksum").write_text(SHA256)
    (finding,) = mismatches(verify_snapshots(folder, None, Job()))
    assert "line ends" not in finding.message


def mismatches(verified: Verified) -> list[Finding]:
    """What is not as recorded."""
    found = [finding for looked in verified.looked for finding in looked.findings]
    return [finding for finding in found if finding.code == "snapshot.checksum_mismatch"]
