"""The archive of a log: what every tar reads, the same bytes each time, and nothing believed when it is read."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from ops.errors import BackupError, StoreError
from ops.model.manifest import FileEntry
from ops.sources.eventlog.archive import read as archive
from ops.sources.eventlog.archive.read import ArchivedLog, check_archive, differences, read_segments
from ops.sources.eventlog.archive.unpack import unpack_archive
from ops.sources.eventlog.chain.chain import walk
from tests.sources.eventlog.capturing import contents, files_of, packed
from tests.sources.eventlog.writing import made_events, segment_text, written_log

SEGMENT = "event-log/segment-000001.json"
SNAPSHOT = "event-log-snapshot.json"
HERE = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 45 events in five segments, with a snapshot."""
    return written_log(tmp_path / "data", made_events(45), 10)


@pytest.fixture
def payload(folder: Path, tmp_path: Path) -> Path:
    """Its archive."""
    packed(folder, tmp_path / "log.tar.gz")
    return tmp_path / "log.tar.gz"


def entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """What a manifest would say of these files."""
    return {path: FileEntry(path, len(text), sha256(text).hexdigest()) for path, text in files.items()}


def tar_of(members: Iterable[tuple[tarfile.TarInfo | str, bytes]], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar archive, made by Python."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        for member, text in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def special(kind: bytes, name: str = SEGMENT, link: str = "") -> tarfile.TarInfo:
    """A member of another type."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def header_saying(size: bytes) -> bytes:
    """The header of a segment with those twelve bytes as its size."""
    header = bytearray(tar_of([(SEGMENT, b"[]")])[:512])
    header[124:136], header[148:156] = size, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def require_refused(
    path: Path, expected: Mapping[str, FileEntry] | None = None, match: str | None = None
) -> None:
    """Reading and unpacking raise the error for a bad archive, and nothing is left."""
    for look in (check_archive, lambda *given: unpack_archive(given[0], path.parent / "out", given[1])):
        with pytest.raises(BackupError, match=match) as caught:
            look(path, expected)
        assert caught.value.code == "backup.archive_invalid"
        assert caught.value.hint
    assert not (path.parent / "out").exists()


def test_what_was_packed_is_what_is_read(
    payload: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass over the archive gives the digests, the chain, both texts; with worker processes the same."""
    here = check_archive(payload, entries(files_of(folder)))
    monkeypatch.setattr(archive, "_ALONE_UP_TO", 0)
    assert check_archive(payload, entries(files_of(folder))) == here
    assert differences(entries(files_of(folder)), here.files) == []
    assert (walk(here.segments).verified, walk(here.segments).broken) == (45, None)
    assert (here.snapshot, here.manifest) == ((folder / SNAPSHOT).read_bytes(), b"{}")
    texts = {number: b"".join(text) for number, text in read_segments(payload)}
    assert texts[3] == (folder / "event-log/segment-000003.json").read_bytes()


def test_unpacked(payload: Path, folder: Path, tmp_path: Path) -> None:
    """Unpacking makes the files of the source in a new private folder, without the manifest; an old folder is left alone."""
    out = tmp_path / "out"
    files = unpack_archive(payload, out, entries(files_of(folder)))
    assert files_of(out) == files_of(folder)
    assert {entry.path: entry for entry in files} == entries(files_of(folder))
    assert {path.stat().st_mode & 0o777 for path in (out, out / "event-log")} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*.json")} == {0o600}
    with pytest.raises(StoreError):
        unpack_archive(payload, out)
    assert files_of(out) == files_of(folder)


@pytest.mark.parametrize(
    ("name", "numbers"), [("base256", range(1, 8)), ("pruned", range(7, 11)), ("empty_dir", range(0))]
)
def test_archives_that_tar_made(name: str, numbers: range, tmp_path: Path) -> None:
    """Archives of the program's own logs with a folder as a member, other modes and another order are read."""
    path = HERE / f"{name}.tar.gz"
    found = check_archive(path)
    assert [*found.segments] == [*numbers]
    assert (found.manifest, walk(found.segments).broken) == (None, None)
    unpack_archive(path, tmp_path / "out")
    files = {name: text for name, text in contents(path).items() if name.endswith(".json")}
    assert files_of(tmp_path / "out") == files


def test_what_only_looks_like_a_segment(tmp_path: Path) -> None:
    """The program's own script packs other names, too, and lists them: only then they are taken along, and count as nothing."""
    files = {SEGMENT: segment_text(made_events(3)), "event-log/segment-0000002.json": b"[]"}
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(tar_of(files.items()), 9))
    require_refused(path, match="segment-0000002.json does not belong there")
    found = check_archive(path, entries(files))
    assert ([*found.segments], differences(entries(files), found.files)) == ([1], [])
    unpack_archive(path, tmp_path / "out", entries(files))
    assert files_of(tmp_path / "out") == files


GNU_LONG = tar_of([("event-log/" + "x" * 120 + ".json", b"[]")], tarfile.GNU_FORMAT)
PAX = tar_of([("event-log/" + "x" * 120 + ".json", b"[]")], tarfile.PAX_FORMAT)
ATTACKS: dict[str, tuple[str, bytes]] = {
    "climbs": ("does not belong there", tar_of([("../segment-000001.json", b"[]")])),
    "climbs inside": (
        "does not belong there",
        tar_of([("event-log/../event-log/segment-000001.json", b"[]")]),
    ),
    "absolute": ("does not belong there", tar_of([("/event-log/segment-000001.json", b"[]")])),
    "here": ("does not belong there", tar_of([(f"./{SEGMENT}", b"[]")])),
    "backslash": ("does not belong there", tar_of([("event-log\\segment-000001.json", b"[]")])),
    "behind a NUL": ("behind its name", tar_of([(f"{SEGMENT}\0x", b"[]")])),
    "line break": ("does not belong there", tar_of([(f"{SEGMENT}\n", b"[]")])),
    "other digits": ("does not belong there", tar_of([("event-log/segment-00000\u0661.json", b"[]")])),
    "seven digits": ("does not belong there", tar_of([("event-log/segment-0000001.json", b"[]")])),
    "leftover": ("does not belong there", tar_of([(f"{SEGMENT}.tmp", b"[]")])),
    "in the root": ("does not belong there", tar_of([("segment-000001.json", b"[]")])),
    "legacy": ("does not belong there", tar_of([("event-log.json", b"[]")])),
    "symbolic link": ("symbolic link", tar_of([(special(tarfile.SYMTYPE, link="/etc/passwd"), b"")])),
    "hard link": ("hard link", tar_of([(special(tarfile.LNKTYPE, link=SNAPSHOT), b"")])),
    "device": ("a device", tar_of([(special(tarfile.CHRTYPE), b"")])),
    "block device": ("a device", tar_of([(special(tarfile.BLKTYPE), b"")])),
    "FIFO": ("a FIFO", tar_of([(special(tarfile.FIFOTYPE), b"")])),
    "contiguous": ("something else", tar_of([(special(tarfile.CONTTYPE), b"")])),
    "other folder": ("does not belong there", tar_of([(special(tarfile.DIRTYPE, "event-log/x/"), b"")])),
    "folder for a segment": ("does not belong there", tar_of([(special(tarfile.DIRTYPE, SEGMENT), b"")])),
    "linked folder": (
        "symbolic link",
        tar_of([(special(tarfile.SYMTYPE, "event-log", "/tmp"), b""), (SEGMENT, b"[]")]),
    ),
    "twice": ("in it twice", tar_of([(SEGMENT, b"[]"), (SEGMENT, b"[]")])),
    "folder twice": ("in it twice", tar_of([(special(tarfile.DIRTYPE, "event-log/"), b"")] * 2)),
    "two manifests": ("in it twice", tar_of([("manifest.json", b"{}"), ("manifest.json", b"{}")])),
    "long name": ("GNU long name", GNU_LONG),
    "pax name": ("pax header", PAX),
    "sparse": ("sparse file", tar_of([(special(b"S"), b"")])),
    "giant": ("may have", header_saying(b"100000000000")),
    "large snapshot": ("may have", tar_of([(SNAPSHOT, bytes(2 << 20))])),
    "behind the end": ("behind its end", tar_of([(SEGMENT, b"[]")]) + tar_of([("../x", b"[]")])),
    "only zeros": ("ends too early", bytes(512)),
    "no end": ("ends too early", tar_of([(SEGMENT, b"[]")])[:1024]),
    "half a block": ("ends too early", tar_of([(SEGMENT, b"[]")])[:1300]),
    "nothing": ("ends too early", b""),
    "endless zeros": ("behind its end", tar_of([(SEGMENT, b"[]")]) + bytes(16 << 20)),
    "no tar": ("octal", b"x" * 2048),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(attack: str, tmp_path: Path) -> None:
    """Names that lead elsewhere, links, devices, duplicates, extensions and what lies behind the end are refused."""
    reason, content = ATTACKS[attack]
    (tmp_path / "a").write_bytes(gzip.compress(content, 1))
    require_refused(tmp_path / "a", match=reason)
    require_refused(tmp_path / "a", entries({SEGMENT: b"[]"}))


def test_what_is_shown_of_a_name(tmp_path: Path) -> None:
    """A name with control characters is shown escaped: no archive writes to a terminal."""
    (tmp_path / "a").write_bytes(gzip.compress(tar_of([("\x1b[2Jx", b"")])))
    require_refused(tmp_path / "a", match=r"\\x1b\[2Jx does not belong")


def changed_header(change: Callable[[bytearray], None]) -> bytes:
    """An archive whose first header was changed, with a right checksum."""
    content = bytearray(tar_of([(SEGMENT, b"[]")]))
    change(content)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    return gzip.compress(bytes(content))


def test_other_headers(tmp_path: Path) -> None:
    """A name in two parts, a size in another form than octal digits, and a wrong checksum are refused."""

    def prefix(content: bytearray) -> None:
        content[345:348] = b"../"

    def binary_size(content: bytearray) -> None:
        content[124:136] = b"\x80" + bytes(10) + b"\x02"

    def negative_size(content: bytearray) -> None:
        content[124:136] = b"-0000000002\0"

    for change in (prefix, binary_size, negative_size):
        (tmp_path / "a").write_bytes(changed_header(change))
        require_refused(tmp_path / "a", match="two parts|octal")
    wrong = bytearray(tar_of([(SEGMENT, b"[]")]))
    wrong[100] ^= 1
    (tmp_path / "a").write_bytes(gzip.compress(bytes(wrong)))
    require_refused(tmp_path / "a", match="checksum")


def test_garbage_behind_the_archive(payload: Path) -> None:
    """Bytes behind the last gzip member are refused: text, zeros, another archive."""
    whole = payload.read_bytes()
    for garbage in (b"x", b"\0" * 512, b"PK\3\4", whole):
        payload.write_bytes(whole + garbage)
        require_refused(payload)


def test_a_gzip_bomb_stops_at_once(tmp_path: Path) -> None:
    """A member of 8 GiB of zeros that was recorded with two bytes is refused by its header: hardly any input is read."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [header_saying(b"77777777777\0"), *[bytes(1 << 20)] * 64]
    zeros = b"".join(packer.compress(part) for part in parts)
    path = tmp_path / "a"
    path.write_bytes(zeros + packer.flush())
    expected = entries({SEGMENT: b"[]"})
    require_refused(path, expected, match="has 8589934591 bytes, and may have 2")
    path.write_bytes(gzip.compress(tar_of([(SEGMENT, b"[] ")])))
    require_refused(path, expected, match="has 3 bytes, and may have 2")


def test_differences_are_named(payload: Path, folder: Path, tmp_path: Path) -> None:
    """A missing file, another size and another digest are findings when it is looked at, and errors when it is unpacked."""
    right = entries(files_of(folder))
    one = right[SEGMENT]
    for changed, code in (
        ({"event-log/segment-000009.json": one}, "backup.payload_missing"),
        ({SEGMENT: FileEntry(SEGMENT, one.size + 1, one.sha256)}, "backup.size_mismatch"),
        ({SEGMENT: FileEntry(SEGMENT, one.size, "0" * 64)}, "backup.checksum_mismatch"),
    ):
        expected = right | changed
        (finding,) = differences(expected, check_archive(payload, expected).files)
        assert finding.code == code
        with pytest.raises(BackupError) as caught:
            unpack_archive(payload, tmp_path / "out", expected)
        assert caught.value.code == code
        assert not (tmp_path / "out").exists()


def read_or_none(path: Path) -> ArchivedLog | None:
    """What is in the archive; None when it is refused."""
    try:
        return check_archive(path)
    except BackupError:
        return None


def test_bit_flips(payload: Path) -> None:
    """Every flipped bit is noticed, unless it is one that says nothing (the time in a gzip header): then nothing is different."""
    whole, right = payload.read_bytes(), check_archive(payload)
    accepted = 0
    for position in [*range(40), *range(40, len(whole), 7)]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        payload.write_bytes(flipped)
        found = read_or_none(payload)
        assert found is None or found == right
        accepted += found is not None
    assert accepted < 40


def test_truncation(payload: Path) -> None:
    """An archive that ends early is refused, wherever it ends, also between two gzip members."""
    whole = payload.read_bytes()
    ends = [end for end in range(len(whole)) if whole[end : end + 3] == b"\x1f\x8b\x08"]
    for end in {*ends, *range(0, len(whole), 11), len(whole) - 1}:
        payload.write_bytes(whole[:end])
        assert read_or_none(payload) is None


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    """What cannot be opened is an error of the store, not a verdict about the backup."""
    with pytest.raises(StoreError, match="cannot be read"):
        check_archive(tmp_path / "gone")
