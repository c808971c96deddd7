"""Proving that a snapshot can be restored: loaded into a temporary database, read back, and compared.

Three digests tell what happened to a file that is not what its record says. Rows that, written again in our own form,
have the recorded digest are the recorded rows, so only the bytes around them differ (line ends, a BOM, the order of
columns). Otherwise the content is another.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ops.digest import Row, Value, add_sums, sum_rows
from ops.errors import SnapshotError
from ops.fsio.scratch import scratch_folder
from ops.joblog import Job
from ops.model import Finding, Severity
from ops.snapshots.checksums import FILE_NAME, place_entries, read_manifest
from ops.snapshots.create import parts_of
from ops.snapshots.csvform import CsvEncoder
from ops.snapshots.definition import Definition
from ops.snapshots.looking import Looked, Mismatch, Subject, critical, look_at
from ops.snapshots.reading import CsvFile, opened_csv
from ops.snapshots.table import Live, Selected, selected_rows, sqlite_failure
from ops.sources.sqlite.schema import quoted

_TABLE: Final = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What to prove: `against` is a source whose present rows the snapshot is compared with, None for none."""

    path: Path
    scratch: Path
    definition: Definition
    against: Live | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found: rows and columns that were restored, the file's digest, differences from what is recorded."""

    path: Path
    rows: int
    columns: tuple[str, ...]
    sha256: str | None
    findings: tuple[Finding, ...]
    mismatches: tuple[Mismatch, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What came out of the file: columns, rows, the sum of the rows' hashes, and the digest in our own form."""

    columns: tuple[str, ...]
    rows: int
    total: int
    sha256: str


def prove_snapshot(request: RestoreRequest, job: Job) -> Proof:
    """Load a snapshot into a temporary database and compare rows and digests.

    Raises SnapshotError when there is no such file, SpaceError when there is no room for the database. What is wrong
    with the file is a finding: critical, or a warning where nothing but the checksum differs.
    """
    path = request.path
    if not path.exists():
        hint = "give the path of a CSV that snapshot.create wrote"
        raise SnapshotError(f"there is no snapshot {path}", code="snapshot.not_found", hint=hint)
    looked = look_at(_subject(path), job.progress)
    with scratch_folder(request.scratch) as folder, job.step("restore snapshot") as facts:
        try:
            loaded, findings = _load(request, folder / "snapshot.db")
        except SnapshotError as error:
            return _unusable(path, looked, critical(error.code, error.message, path.name))
        facts.rows, facts.checksum = loaded.rows, looked.sha256 if looked else None
        digests = {loaded.sha256}
        if looked is not None and any(item.expected not in digests for item in looked.mismatches):
            digests.add(_sorted_digest(request.definition, loaded, folder / "snapshot.db"))
        if request.against is not None:
            findings.append(_compare_source(request, request.against, loaded, folder / "snapshot.db"))
    return Proof(
        path=path,
        rows=loaded.rows,
        columns=loaded.columns,
        sha256=looked.sha256 if looked else None,
        findings=(*findings, *_judged(looked, digests)),
        mismatches=looked.mismatches if looked else (),
    )


def _subject(path: Path) -> Subject:
    folder = path.absolute().parent
    manifest, entry = folder / FILE_NAME, None
    with contextlib.suppress(SnapshotError):
        entry = place_entries(read_manifest(manifest), folder, [path.name]).entries.get(path.name)
    return Subject(folder=folder, path=path.name, entry=entry, has_manifest=False)


def _unusable(path: Path, looked: Looked | None, finding: Finding) -> Proof:
    found = looked.findings if looked else ()
    mismatches = looked.mismatches if looked else ()
    sha256 = looked.sha256 if looked else None
    return Proof(
        path=path, rows=0, columns=(), sha256=sha256, findings=(finding, *found), mismatches=mismatches
    )


def _judged(looked: Looked | None, digests: set[str]) -> Iterator[Finding]:
    """The findings about the file's digest; a mismatch is a warning when the rows are the recorded ones."""
    for finding in looked.findings if looked else ():
        if finding.code == "snapshot.checksum_mismatch" and finding.expected in digests:
            yield replace(
                finding,
                severity=Severity.WARNING,
                code="snapshot.only_bytes_differ",
                message=f"{finding.message}, but its rows are: line ends, a BOM or an order was changed",
            )
        else:
            yield finding


def _load(request: RestoreRequest, database: Path) -> tuple[_Loaded, list[Finding]]:
    with opened_csv(request.path) as file:
        definition = request.definition
        needed = dict.fromkeys((*definition.needed, *definition.order, *definition.columns))
        missing = [name for name in needed if name not in file.columns]
        findings = [
            critical("snapshot.column_missing", f"column {name!r} is not there", request.path.name)
            for name in missing
        ]
        try:
            loaded = _fill(database, file, definition)
            rows, total = _read_back(database, loaded.columns)
        except sqlite3.Error as error:
            raise sqlite_failure(error, request.path, "restoring") from error
    if (rows, total) != (loaded.rows, loaded.total):
        message = "what was read back from the database is not what the file holds"
        findings.append(
            critical(
                "snapshot.content_differs",
                message,
                request.path.name,
                expected=f"{loaded.rows} rows",
                found=f"{rows} rows",
            )
        )
    elif not findings:
        message = f"{rows} rows with {len(loaded.columns)} columns were restored and read back"
        findings.append(Finding(severity=Severity.OK, code="snapshot.restored", message=message))
    return loaded, findings


def _fill(database: Path, file: CsvFile, definition: Definition) -> _Loaded:
    """Put the file's rows into a table whose columns have no types, so that every value stays what it is."""
    columns = (
        definition.columns if set(definition.columns) == set(file.columns) else tuple(sorted(file.columns))
    )
    places = [file.columns.index(name) for name in columns]
    encoder = CsvEncoder(columns)
    digest, count, sums = hashlib.sha256(encoder.begin()), 0, []
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"CREATE TABLE {_TABLE} ({', '.join(map(quoted, columns))})")
        connection.execute("BEGIN")
        for batch in file.rows:
            rows = [tuple(row[place] for place in places) for row in batch]
            _insert(connection, rows, len(columns))
            digest.update(encoder.encode(rows))
            sums.append(sum_rows(rows))
            count += len(rows)
        connection.execute("COMMIT")
    return _Loaded(columns, count, add_sums(sums), digest.hexdigest())


def _insert(connection: sqlite3.Connection, rows: Sequence[Row], width: int) -> None:
    connection.execute("SAVEPOINT batch")
    try:
        connection.executemany(_statement("?" for _ in range(width)), rows)
    except UnicodeEncodeError:
        # A text that is not UTF-8 can only be handed over as bytes, and made a text by SQLite. What the failed call has
        # inserted before is taken back first.
        connection.execute("ROLLBACK TO batch")
        for row in rows:
            values = [
                value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in row
            ]
            marks = ("CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row)
            connection.execute(_statement(marks), values)
    connection.execute("RELEASE batch")


def _statement(marks: Iterable[str]) -> str:
    return f"INSERT INTO {_TABLE} VALUES ({', '.join(marks)})"  # noqa: S608 - a fixed name and marks


def _read_back(database: Path, columns: tuple[str, ...]) -> tuple[int, int]:
    """Rows, and the sum of their hashes, as the database has them."""
    count, sums = 0, []
    everything = Definition(name=_TABLE, table=_TABLE, columns=columns)
    with selected_rows(Live(path=database, timeout_s=0), everything, None) as selected:
        for batch in selected.rows():
            count += len(batch)
            sums.append(sum_rows(batch))
    return count, add_sums(sums)


def _sorted_digest(definition: Definition, loaded: _Loaded, database: Path) -> str:
    """The digest of the rows in our own form, sorted as a create sorts them."""
    order = definition.order if set(definition.order) <= set(loaded.columns) else ()
    again = Definition(name=_TABLE, table=_TABLE, columns=loaded.columns, order=order)
    digest = hashlib.sha256()
    with selected_rows(Live(path=database, timeout_s=0), again, None) as selected:
        for _, part in parts_of(CsvEncoder(selected.columns), selected):
            digest.update(part)
    return digest.hexdigest()


def _compare_source(request: RestoreRequest, live: Live, loaded: _Loaded, database: Path) -> Finding:
    """Whether the source has the same rows now, as numbers and texts: 1 and 1.0 are alike here.

    Raises SourceError, SnapshotError as a create does.
    """
    definition = request.definition
    ticker = _only_ticker(definition, loaded, database)
    name = request.path.name
    with selected_rows(live, replace(definition, suffix=""), ticker) as there:
        if there.columns != loaded.columns:
            expected, found = ", ".join(there.columns), ", ".join(loaded.columns)
            return critical(
                "snapshot.source_differs",
                "the source has other columns",
                name,
                expected=expected,
                found=found,
            )
        expected_rows, expected_sum = _plain_sum(there)
    everything = Definition(name=_TABLE, table=_TABLE, columns=loaded.columns)
    with selected_rows(Live(path=database, timeout_s=0), everything, None) as here:
        found_rows, found_sum = _plain_sum(here)
    if (expected_rows, expected_sum) != (found_rows, found_sum):
        what = "other rows" if expected_rows != found_rows else "the same number of rows, with other content"
        return critical(
            "snapshot.source_differs",
            f"the source has {what} now",
            name,
            expected=f"{expected_rows} rows",
            found=f"{found_rows} rows",
        )
    message = f"the source has the same {found_rows} rows now"
    return Finding(severity=Severity.OK, code="snapshot.source_equal", message=message)


def _plain_sum(selected: Selected) -> tuple[int, int]:
    count, sums = 0, []
    for batch in selected.rows():
        count += len(batch)
        sums.append(sum_rows([tuple(map(_plain, row)) for row in batch]))
    return count, add_sums(sums)


def _plain(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _only_ticker(definition: Definition, loaded: _Loaded, database: Path) -> str | None:
    """The one value of the key column that all rows have; None: the snapshot is of the whole table."""
    if definition.key not in loaded.columns:
        return None
    with contextlib.closing(sqlite3.connect(database)) as connection:
        values = connection.execute(
            f"SELECT DISTINCT {quoted(str(definition.key))} FROM {_TABLE} LIMIT 2"  # noqa: S608 - a quoted name
        ).fetchall()
    return str(values[0][0]) if len(values) == 1 else None
