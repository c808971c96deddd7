from __future__ import annotations

import os
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from ops.errors import SnapshotError, StoreError
from ops.model.findings import Severity
from ops.run.job import Job
from ops.snapshots.folder_verify import Compared, update_folder, verify_folder
from ops.snapshots.update import Changes
from tests.conftest import run_drillbook

NOTHING = Changes((), (), ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that can lie in one, and its manifest."""
    place = tmp_path / "any"
    (place / "sub" / "empty").mkdir(parents=True)
    for name in (
        b"plain",
        b"with space",
        b"line\nend",
        b"\xff\xfe",
        b"-dash",
        b'quote"',
        b"sub/below",
        b"empty-file",
    ):
        with open(os.path.join(os.fsencode(place), name), "wb") as file:
            file.write(name[: -1 if name == b"empty-file" else 99].replace(b"empty-fil", b""))
    (place / "link").symlink_to("plain")
    (place / "broken").symlink_to("nowhere")
    (place / "to-folder").symlink_to("sub")
    os.mkfifo(place / "pipe")
    update_folder(place, place / "checksums.json", Job())
    return place


def compare(folder: Path) -> Compared:
    """The folder against its manifest."""
    return verify_folder(folder, folder / "checksums.json", Job())


def is_right(compared: Compared) -> bool:
    """Whether nothing needs a look."""
    return all(finding.severity is Severity.OK for finding in compared.findings)


def test_what_was_not_touched_is_right(folder: Path) -> None:
    """Spaces, line ends, odd bytes, links and a pipe are compared without opening what would block."""
    compared = compare(folder)
    assert is_right(compared)
    assert compared.changes == NOTHING
    assert compared.things == 12


def test_every_change_is_told(folder: Path) -> None:
    """A file that is added, removed, changed by one byte, moved, or made a link or pipe is told by its path."""
    (folder / "new").write_text("")
    (folder / "plain").unlink()
    (folder / "with space").write_bytes(b"with spacE")
    (folder / "sub/below").rename(folder / "below")
    (folder / "link").unlink()
    (folder / "link").symlink_to("-dash")
    (folder / "-dash").unlink()
    os.mkfifo(folder / "-dash")
    compared = compare(folder)
    assert compared.changes == Changes(
        ("below", "new"), ("-dash", "link", "with space"), ("plain", "sub/below")
    )
    assert {finding.code for finding in compared.findings if finding.severity is Severity.CRITICAL} == {
        "snapshot.added",
        "snapshot.changed",
        "snapshot.removed",
    }


@pytest.mark.parametrize("name", [b"\xff\xfe", b"line\nend"])
def test_names_that_are_no_plain_text_are_told(folder: Path, name: bytes) -> None:
    """A change of such a file is found, and printed on one line."""
    with open(os.path.join(os.fsencode(folder), name), "ab") as file:
        file.write(b"x")
    assert compare(folder).changes == Changes((), (os.fsdecode(name),), ())
    done = run_drillbook("snapshot.verify", "--path", "any", cwd=folder.parent)
    assert done.returncode == 2
    assert "snapshot.changed" in done.stdout
    assert (
        run_drillbook("snapshot.verify", "--path", "any", "--format", "json", cwd=folder.parent).returncode
        == 2
    )


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """What a link points to may change; the link itself may not."""
    (folder / "outside").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("one")
    update_folder(folder, folder / "checksums.json", Job())
    (tmp_path / "target").write_text("two")
    assert is_right(compare(folder))


def test_a_socket_is_a_thing_of_its_kind(folder: Path) -> None:
    """A socket is recorded as one, and a file in its place is a change."""
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(folder / "s"))
    update_folder(folder, folder / "checksums.json", Job())
    assert is_right(compare(folder))
    (folder / "s").unlink()
    (folder / "s").write_text("")
    assert compare(folder).changes.changed == ("s",)


@pytest.mark.needs_root
def test_what_may_not_be_read_is_neither_there_nor_gone(folder: Path) -> None:
    """A file and a folder without rights are critical, keep their entries in an update, and are not called removed."""
    folder.parent.chmod(0o755)
    for place in (folder.parent, folder, folder / "sub", folder / "sub/empty", *folder.parent.parents):
        if place.stat().st_uid == os.geteuid() and place.is_relative_to(folder.parent):
            os.chown(place, 65534, 65534)
    script = (
        "import os, sys; from pathlib import Path; from ops.run.job import Job; from ops.snapshots.folder_verify import *\n"
        "os.seteuid(65534)\n"
        "folder = Path(sys.argv[1]); manifest = folder / 'checksums.json'\n"
        "for do in (update_folder, verify_folder):\n"
        "    found = do(folder, manifest, Job())\n"
        "    print(sorted(f.where for f in found.findings if f.code == 'snapshot.unreadable'), found.changes.removed)\n"
    )
    for path in folder.rglob("*"):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    (folder / "plain").chmod(0)
    (folder / "sub").chmod(0)
    opened = [
        parent for parent in folder.parents if parent.stat().st_mode & 0o001 == 0 and len(parent.parts) > 2
    ]
    for parent in opened:
        parent.chmod(parent.stat().st_mode | 0o011)
    ended = subprocess.run(
        ["python3", "-c", script, folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines() == ["['plain', 'sub'] ()"] * 2


def test_a_copy_under_another_name_is_verified(folder: Path, tmp_path: Path) -> None:
    """Paths are those inside the folder: a copy elsewhere is compared with the same manifest."""
    subprocess.run(["cp", "-a", folder, tmp_path / "copy"], check=True)
    copy = tmp_path / "copy"
    (copy / "checksums.json").unlink()
    assert is_right(verify_folder(copy, folder / "checksums.json", Job()))
    (copy / "plain").write_text("x")
    assert not is_right(verify_folder(copy, folder / "checksums.json", Job()))


def test_without_a_manifest_nothing_is_right(tmp_path: Path) -> None:
    """No manifest, no folder, or a file in place of the folder is an error."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(SnapshotError):
            verify_folder(place, place / "checksums.json", Job())
    for place in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(SnapshotError):
            update_folder(place, tmp_path / "checksums.json", Job())


def test_keys_that_lead_out_are_critical(folder: Path) -> None:
    """A manifest whose keys are absolute or climb is not compared with anything outside."""
    manifest = folder.parent / "sums.json"
    manifest.write_text('{"files": {"../x": {"link": "y"}, "/etc/passwd": {"link": "y"}}}')
    compared = verify_folder(folder, manifest, Job())
    assert [finding.code for finding in compared.findings].count("snapshot.ambiguous") == 2


def test_an_update_that_can_not_be_written_leaves_the_old_manifest(folder: Path) -> None:
    """Where the manifest's folder is none, the error says so."""
    with pytest.raises(StoreError):
        update_folder(folder, folder / "gone" / "checksums.json", Job())


def test_a_second_update_changes_nothing(folder: Path) -> None:
    """Nothing is written where nothing changed, and what changed is told once."""
    before = (folder / "checksums.json").stat().st_mtime_ns
    assert not update_folder(folder, folder / "checksums.json", Job()).written
    assert (folder / "checksums.json").stat().st_mtime_ns == before
    (folder / "new").write_text("")
    assert update_folder(folder, folder / "checksums.json", Job()).changes == Changes(("new",), (), ())
