"""Writing a snapshot: lock, read, write beside, publish. One run at a time for each series of snapshots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops.driverkit.row_digest import Row
from ops.errors import ConfigError
from ops.fsio.atomic import StagedFile, make_private_folder, write_all
from ops.fsio.leftovers import staged_beside
from ops.run.job import Job
from ops.run.progress import Progress
from ops.snapshots.csv_write import CsvEncoder
from ops.snapshots.definition import Definition, file_name, require_form, series_of
from ops.snapshots.json_write import JsonEncoder
from ops.snapshots.names_taken import require_same_ticker
from ops.snapshots.publish import Status, publish_pair, series_lock
from ops.snapshots.table import Live, Selected, selected_rows


class Encoder(Protocol):
    """A form that snapshots are written in."""

    def begin(self) -> bytes:
        """What stands before the first row."""

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """The rows of one batch."""

    def end(self) -> bytes:
        """What stands after the last row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """What to write: which rows (None: all) in which form, where, and whether it may replace another content.

    `out`: a path of one's own; None: by ticker and day in `folder`.
    """

    folder: Path
    ticker: str | None = None
    form: str = "csv"
    out: Path | None = None
    replace: bool = False
    wait_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A snapshot that is there, with its rows, its size in bytes and its hex SHA-256; and what became of it."""

    path: Path
    status: Status
    rows: int
    size: int
    sha256: str


def create_snapshot(live: Live, definition: Definition, request: CreateRequest, job: Job) -> Written:
    """Write the rows of `definition` as they are now, and their checksum file.

    Raises ConfigError, SourceError, SnapshotError, LockHeldError, RefusedError, SpaceError, StoreError; then
    nothing that was there before has changed.
    """
    require_form(request.form)
    if request.ticker is not None and definition.key is None:
        hint = "leave --ticker away, or say key = COLUMN in its table of the configuration"
        message = f"snapshot {definition.name!r} is of the whole table"
        raise ConfigError(message, code="usage.bad_value", hint=hint)
    series = series_of(definition, request.ticker)
    path = request.out or request.folder / file_name(series, job.clock(), request.form)
    with series_lock(path.parent, path.name if request.out else series, job, request.wait_s):
        return _create(live, definition, path, request, job)


def _create(live: Live, definition: Definition, path: Path, request: CreateRequest, job: Job) -> Written:
    make_private_folder(path.parent)
    with staged_beside(path.parent, path.name) as staged:
        with job.step("snapshot") as facts, selected_rows(live, definition, request.ticker) as selected:
            rows, size, sha256 = write_rows(staged, selected, request.form, job.progress)
            facts.rows, facts.bytes, facts.checksum = rows, size, sha256
        if request.out is None and request.ticker is not None:
            require_same_ticker(path, definition, request.ticker)
        with job.step("publish"):
            status = publish_pair(staged, path, sha256, replace=request.replace)
    return Written(path=path, status=status, rows=rows, size=size, sha256=sha256)


def write_rows(staged: StagedFile, selected: Selected, form: str, progress: Progress) -> tuple[int, int, str]:
    """Fill a staged file with rows; their number, the file's size and hex SHA-256. Memory does not grow with them."""
    encoder: Encoder = CsvEncoder(selected.columns) if form == "csv" else JsonEncoder(selected.columns)
    digest, rows, size = hashlib.sha256(), 0, 0
    progress.step("writing the snapshot")
    for count, part in parts_of(encoder, selected):
        write_all(staged, part)
        digest.update(part)
        rows, size = rows + count, size + len(part)
        progress.advance(len(part))
    return rows, size, digest.hexdigest()


def parts_of(encoder: Encoder, selected: Selected) -> Iterator[tuple[int, bytes]]:
    """Rows and bytes of each part of the file."""
    yield 0, encoder.begin()
    for batch in selected.rows():
        yield len(batch), encoder.encode(batch)
    yield 0, encoder.end()
