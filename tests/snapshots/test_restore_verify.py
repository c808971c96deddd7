from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.errors import SnapshotError
from ops.model.findings import Severity, worst
from ops.run.job import Job
from ops.snapshots.create import CreateRequest, create_snapshot
from ops.snapshots.definition import BUILT_IN, Definition
from ops.snapshots.restore_verify import Proof, RestoreRequest, prove_snapshot
from ops.snapshots.table import Live
from tests.conftest import run_drillbook
from tests.snapshots.tables import make_odd, make_prices, price, set_close

JOB = Job(clock=lambda: datetime(2026, 3, 15, tzinfo=UTC))
PRICES = BUILT_IN["prices"]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """Three days of PETR4, one of them with odd texts."""
    rows = [price("PETR4", 2), price("PETR4", 3), price("PETR4", 4, None)]
    odd = (*price("PETR4", 5)[:7], 'a "quoted",\nbroken\r\nline\0', *price("PETR4", 5)[8:])
    make_prices(tmp_path / "data.db", [*rows, odd])
    return Live(path=tmp_path / "data.db", timeout_s=1)


@pytest.fixture
def snapshot(live: Live, tmp_path: Path) -> Path:
    """A snapshot of them."""
    request = CreateRequest(folder=tmp_path / "snapshots", ticker="PETR4")
    return create_snapshot(live, PRICES, request, JOB).path


def prove(path: Path, definition: Definition = PRICES, against: Live | None = None) -> Proof:
    """The proof of one snapshot."""
    request = RestoreRequest(
        path=path, scratch=path.parents[1] / "scratch", definition=definition, against=against
    )
    return prove_snapshot(request, JOB)


def found(proof: Proof) -> tuple[Severity, set[str]]:
    """How bad it is, and the codes of what is not ok."""
    codes = {finding.code for finding in proof.findings if finding.severity is not Severity.OK}
    return worst(proof.findings), codes


def seal(path: Path) -> None:
    """Let the checksum file say what is there."""
    path.with_name(f"{path.name}.checksum").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_good_snapshot_is_restored(snapshot: Path) -> None:
    """Rows, columns and digest are as recorded, and nothing is left of the temporary database."""
    proof = prove(snapshot)
    assert found(proof) == (Severity.OK, set())
    assert (proof.rows, len(proof.columns)) == (4, 10)
    assert not list((snapshot.parents[1] / "scratch").iterdir())


def test_every_storage_class_is_restored(tmp_path: Path) -> None:
    """A table of all odd values comes back value for value, also when its columns are moved."""
    make_odd(tmp_path / "odd.db")
    definition = Definition(name="odd", table="odd", order=("t",), columns=("v", "t", "n,1"))
    written = create_snapshot(
        Live(path=tmp_path / "odd.db", timeout_s=1), definition, CreateRequest(folder=tmp_path / "out"), JOB
    )
    assert found(prove(written.path, definition)) == (Severity.OK, set())
    assert prove(written.path, definition).rows == written.rows


def reordered(content: bytes) -> bytes:
    """The same rows with two columns exchanged; no field of the first lines is quoted."""
    lines = content.split(b"\n")
    for number in range(4):
        fields = lines[number].split(b",")
        lines[number] = b",".join([fields[1], fields[0], *fields[2:]])
    last = lines[4].split(b",")
    lines[4] = b",".join([last[1], last[0], *last[2:]])
    return b"\n".join(lines)


def lines_at(content: bytes, *places: int) -> bytes:
    """These lines of a file, and all from the last one of them on."""
    lines = content.split(b"\n")
    return b"\n".join([*(lines[place] for place in places), *lines[max(places) + 1 :]])


HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "bom": lambda content: b"\xef\xbb\xbf" + content,
    "no-last-line-end": lambda content: content.removesuffix(b"\n"),
    "columns-moved": reordered,
    "rows-moved": lambda content: lines_at(content, 0, 2, 1, 3),
    "quoted": lambda content: content.replace(b",yfinance,", b',"yfinance",'),
    "blank-line-at-the-end": lambda content: content + b"\n",
    "blank-lines-within": lambda content: content.replace(b"\n", b"\n\n\r\n", 2),
    "blank-lines-before": lambda content: b"\xef\xbb\xbf\n\n" + content,
}


@pytest.mark.parametrize("change", HARMLESS)
def test_where_only_bytes_differ_it_is_a_warning(snapshot: Path, change: str) -> None:
    """A BOM, the order of columns or rows, quotes or a last line end: the recorded rows are all there."""
    snapshot.write_bytes(HARMLESS[change](snapshot.read_bytes()))
    assert found(prove(snapshot)) == (Severity.WARNING, {"snapshot.only_bytes_differ"})


def test_crlf_is_a_warning_where_no_text_has_line_ends(tmp_path: Path) -> None:
    """CRLF line ends change nothing but the digest."""
    make_prices(tmp_path / "data.db", [price("PETR4", 2)])
    live = Live(path=tmp_path / "data.db", timeout_s=1)
    path = create_snapshot(live, PRICES, CreateRequest(folder=tmp_path / "out", ticker="PETR4"), JOB).path
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert found(prove(path)) == (Severity.WARNING, {"snapshot.only_bytes_differ"})


def test_a_blank_line_of_one_column_is_a_row(tmp_path: Path) -> None:
    """There nothing is NULL, and one more of it is another content."""
    path = tmp_path / "out" / "one-20260315.csv"
    path.parent.mkdir()
    path.write_bytes(b"a\n1\n\n2\n")
    seal(path)
    one = Definition(name="one", table="one")
    assert (prove(path, one).rows, found(prove(path, one))) == (3, (Severity.OK, set()))
    path.write_bytes(b"a\n1\n\n2\n\n")
    assert found(prove(path, one)) == (Severity.CRITICAL, {"snapshot.checksum_mismatch"})


DAMAGING: dict[str, Callable[[bytes], bytes]] = {
    "value": lambda content: content.replace(b"36.5,", b"36.6,", 1),
    "kind-of-value": lambda content: content.replace(b"36.0,", b"36,", 1),
    "row-gone": lambda content: lines_at(content, 0, 2),
    "row-twice": lambda content: lines_at(content, 0, 1, 1),
    "empty-text-for-null": lambda content: content.replace(b",,", b',"",', 1),
    "crlf-in-a-text": lambda content: content.replace(b"\n", b"\r\n"),
    "last-value-cut": lambda content: content[:-2],
}


@pytest.mark.parametrize("change", DAMAGING)
def test_where_content_differs_it_is_critical(snapshot: Path, change: str) -> None:
    """Another value, another type, a row more or less: whatever it is, it is no warning."""
    before = snapshot.read_bytes()
    snapshot.write_bytes(DAMAGING[change](before))
    assert snapshot.read_bytes() != before
    assert found(prove(snapshot)) == (Severity.CRITICAL, {"snapshot.checksum_mismatch"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: content.rindex(b",yfinance") if b",yfinance" in content else -9],
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"yfinance", b"yf\0nance", 1),
        lambda content: content.replace(b"yfinance", b'yf"nance', 1),
        lambda _: b"",
    ],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_file_that_is_no_snapshot_never_passes(snapshot: Path, damage: object, sealed: bool) -> None:
    """A file that breaks off, holds NULs or stray quotes, or is empty fails, even where its checksum agrees."""
    snapshot.write_bytes(damage(snapshot.read_bytes()))  # type: ignore[operator] # one of those above
    if sealed:
        seal(snapshot)
    severity, codes = found(prove(snapshot))
    assert severity is Severity.CRITICAL
    assert "snapshot.malformed" in codes


def test_columns_that_are_needed_are_missed(snapshot: Path) -> None:
    """A price file without `close` fails, even where its checksum agrees."""
    snapshot.write_text("date,ticker\n2026-01-02,PETR4\n")
    seal(snapshot)
    assert found(prove(snapshot)) == (Severity.CRITICAL, {"snapshot.column_missing"})


def test_without_a_record_nothing_is_proven(snapshot: Path) -> None:
    """No checksum file and no manifest: critical; a manifest alone is enough; no file is an error."""
    snapshot.with_name(f"{snapshot.name}.checksum").unlink()
    assert found(prove(snapshot)) == (Severity.CRITICAL, {"snapshot.unproven"})
    sha256 = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    (snapshot.parent / "checksums.json").write_text(json.dumps({f"snapshots/{snapshot.name}": sha256}))
    assert found(prove(snapshot)) == (Severity.OK, set())
    with pytest.raises(SnapshotError):
        prove(snapshot.with_name("gone.csv"))


def test_a_file_of_the_application_itself_passes(tmp_path: Path) -> None:
    """Ten digits, rows by number, a bare digest without line end: that is how others write them."""
    folder = tmp_path / "snapshots"
    folder.mkdir()
    path = folder / "PETR4-20260102T030405Z.csv"
    path.write_bytes(
        b"close,date,fetched_at,high,low,open,raw_checksum,source,ticker,volume\n"
        b"0.3333333333,2026-01-03,t,1,,1,c,yfinance,PETR4,5\n1,2026-01-02,t,1,,1,c,yfinance,PETR4,5\n"
    )
    seal(path)
    assert found(prove(path)) == (Severity.OK, set())


def test_the_source_is_compared_where_that_is_asked(snapshot: Path, live: Live) -> None:
    """The same rows are said to be there; another value, and rows that came, are critical."""
    assert found(prove(snapshot, against=live)) == (Severity.OK, set())
    set_close(live.path, 99.0)
    assert found(prove(snapshot, against=live)) == (Severity.CRITICAL, {"snapshot.source_differs"})
    set_close(live.path, 36.5)
    assert found(prove(snapshot, against=live)) == (Severity.OK, set())


def test_the_command_ends_with_0_1_2(snapshot: Path) -> None:
    """Passed, only the checksum differs, content differs, no such file, no CSV: each with its exit code."""
    place = snapshot.parents[1]
    good = snapshot.read_bytes()
    name = f"snapshots/{snapshot.name}"
    for content, code in ((good, 0), (b"\xef\xbb\xbf" + good, 1), (good.replace(b"36.5", b"36.6"), 2)):
        snapshot.write_bytes(content)
        assert run_drillbook("snapshot.restore-verify", name, cwd=place).returncode == code
    assert run_drillbook("snapshot.restore-verify", "gone.csv", cwd=place).returncode == 2
    assert run_drillbook("snapshot.restore-verify", "x.json", cwd=place).returncode == 2
