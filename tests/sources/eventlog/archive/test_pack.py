"""The archive that is made of a log: what every tar reads, and the same bytes each time."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from ops.driverkit import gzip_stream as gzipping
from ops.driverkit.gzip_stream import GzipError, Unzipping, gzip_member
from ops.sources.eventlog.archive import pack as packing
from ops.sources.eventlog.archive.read import check_archive
from ops.sources.eventlog.chain.chain import walk
from tests.sources.eventlog.capturing import files_of, packed
from tests.sources.eventlog.writing import made_events, segment_text, written_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 45 events in five segments, with a snapshot."""
    return written_log(tmp_path / "data", made_events(45), 10)


@pytest.fixture
def payload(folder: Path, tmp_path: Path) -> Path:
    """Its archive."""
    packed(folder, tmp_path / "log.tar.gz")
    return tmp_path / "log.tar.gz"


def test_every_tar_reads_it(folder: Path, payload: Path, tmp_path: Path) -> None:
    """/bin/tar and Python find each file as it was in the source, private, in order, the manifest last."""
    (tmp_path / "by-tar").mkdir()
    command = ["tar", "-xzf", str(payload), "-C", str(tmp_path / "by-tar")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert files_of(tmp_path / "by-tar") == files_of(folder) | {"manifest.json": b"{}"}
    with tarfile.open(payload) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [
        *(f"event-log/segment-{number:06}.json" for number in range(1, 6)),
        "event-log-snapshot.json",
        "manifest.json",
    ]
    assert {(member.mode, member.uid, member.gid, member.type) for member in members} == {(0o600, 0, 0, b"0")}
    assert members[0].mtime == int((folder / "event-log/segment-000001.json").stat().st_mtime)


def test_same_input_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two captures of the same log are the same bytes, whether worker processes made them or not."""
    alone = packed(folder, tmp_path / "alone")
    monkeypatch.setattr(packing, "ALONE_UP_TO", 0)
    together = packed(folder, tmp_path / "together")
    content = (tmp_path / "alone").read_bytes()
    assert content == (tmp_path / "together").read_bytes()
    assert alone.found.files == together.found.files
    assert (alone.archive.size, alone.archive.sha256) == (len(content), sha256(content).hexdigest())


@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_either_library(library: str, monkeypatch: pytest.MonkeyPatch, payload: Path) -> None:
    """With ISA-L and without it, what is written is gzip, and all that is read is the same, in pieces of any size."""
    if library == "zlib":
        monkeypatch.setattr(gzipping, "_library", lambda: zlib)
    text = segment_text(made_events(200))
    member = gzip_member([text[:1000], text[1000:]])
    assert gzip.decompress(member) == text
    assert member[4:8] == bytes(4)
    for piece in (1000, 511, 1 << 20):
        unzipping = Unzipping(io.BytesIO(member + gzip_member([b""]) + member))
        parts = []
        while part := unzipping.read_some(piece):
            parts.append(part)
        assert b"".join(parts) == text * 2
    for broken in (member[:-1], member[:-9], member[:5], member + b"\0"):
        with pytest.raises(GzipError):
            Unzipping(io.BytesIO(broken)).read_exactly(len(text) + 1)
    assert walk(check_archive(payload).segments).verified == 45


def test_without_the_libraries(folder: Path, tmp_path: Path) -> None:
    """Where neither isal nor msgspec is installed, the same log is found, checked and packed."""
    (tmp_path / "a").touch()
    code = (
        "import sys; sys.modules |= {'isal': None, 'msgspec': None}\n"
        "from datetime import datetime; from pathlib import Path\n"
        "from ops.sources.eventlog.archive.pack import pack_log\n"
        "from ops.sources.eventlog.archive.read import check_archive\n"
        "into = Path(sys.argv[2])\n"
        "log = pack_log(Path(sys.argv[1]), into, lambda _: b'{}', datetime.now)\n"
        "assert check_archive(into).segments == log.found.segments\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "a")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[4])
    assert walk(check_archive(tmp_path / "a").segments).verified == 45
