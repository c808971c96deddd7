"""Litestream's first complete copy against our backup, both under a writer."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import rivals
from bench.place import Place, place_for
from bench.report import Section, ratios, seconds
from bench.timing import Candidate, Details, in_turns

COMMAND = "nox -s bench -- --only litestream"
EXPLANATION = (
    "Two tools for two jobs: Litestream streams every change from then on and so loses seconds, not hours; a backup "
    "is a moment that can be checked and drilled. What is compared is the first complete copy: `litestream "
    "replicate -once` to a folder, until it has ended. It compresses page by page (LZ4), keeps one copy beside "
    "the database and one in the replica, and adds two tables of its own to the source. There is no digest by which "
    "another tool could check the replica, and no word on rows. Its limit is computing the "
    "compression; ours is the disk."
)


def measure_litestream(database: Path, rounds: int) -> Section:
    """The section about Litestream; it works on a copy of its own, since it changes the database."""
    with place_for(database) as place:
        timings = in_turns(list(_candidates(place)), rounds)
    columns = ("what", "min", "median", "min / create", "median / create", "what the result proves")
    rows = [
        [timing.name, *seconds(timing), *ratios(timing, [timings[0]]), timing.proves] for timing in timings
    ]
    return Section("sqlite: first copy by Litestream", COMMAND, columns, rows, (), EXPLANATION)


def _candidates(place: Place) -> Iterator[Candidate]:
    yield Candidate(
        name="create",
        run=lambda: _create(place),
        prepare=place.fresh_with_writer,
        proves="consistent, durable, SHA-256, rows of each table, compared with what SQLite saw",
    )
    yield Candidate(
        name="`litestream replicate -once`",
        run=lambda: rivals.litestream(place.database, place.store),
        prepare=lambda: _prepare(place),
        proves="consistent, durable, CRC-64 of the replica's file",
    )


def _create(place: Place) -> Details:
    place.drillbook("backup.create")
    return {}


def _prepare(place: Place) -> Callable[[], None]:
    clean = place.fresh_with_writer()

    def clean_up() -> None:
        clean()
        shutil.rmtree(place.folder / f".{place.database.name}-litestream", ignore_errors=True)

    return clean_up
