"""How long a backup takes while somebody writes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import rivals
from bench.place import WRITER_RATE, Place, place_for
from bench.report import Section, Target, against, ratios, seconds
from bench.timing import Candidate, Details, Timing, in_turns

COMMAND = "nox -s bench -- --only create"
OWN = "own"
CREATE = "create"
COPY, HASH = "copy + fsync", "SHA-256 (OpenSSL, 1 MiB blocks)"
BUSY, IDLE = "`.backup` + `sha256sum`", "`.backup` + `sha256sum`, nobody writing"


def measure_create(database: Path, rounds: int) -> Section:
    """The section about `backup.create`."""
    with place_for(database) as place:
        timings = {timing.name: timing for timing in in_turns(list(_candidates(place)), rounds)}
    limit = (timings[COPY], timings[HASH])
    shown = [timing for name in timings for timing in _with_own(timings[name])]
    rows = [[timing.name, *seconds(timing), *ratios(timing, limit), timing.proves] for timing in shown]
    columns = ("what", "min", "median", "min / limit", "median / limit", "what the result proves")
    return Section("sqlite: create", COMMAND, columns, rows, _targets(timings), _explain(timings))


def _targets(timings: dict[str, Timing]) -> list[Target]:
    limit = (timings[COPY], timings[HASH])
    return [against(timing.name, 1.15, timing, limit) for timing in _with_own(timings[CREATE])]


def _own(name: str) -> str:
    return f"{name}: the action alone"


def _with_own(timing: Timing) -> Iterator[Timing]:
    yield timing
    own = timing.detail(OWN)
    if own.seconds:
        own.name, own.proves = _own(timing.name), timing.proves
        yield own


def _candidates(place: Place) -> Iterator[Candidate]:
    live, stored = place.database, place.store / "copy.db"

    def work(
        name: str,
        run: Callable[[], Details],
        proves: str,
        prepare: Callable[[], Callable[[], None]] | None = None,
    ) -> Candidate:
        return Candidate(name=name, run=run, proves=proves, prepare=prepare or place.fresh_with_writer)

    yield work(COPY, lambda: rivals.copy_fsync(live, stored), "nothing: torn when somebody writes")
    yield work(HASH, lambda: rivals.sha256(live), "nothing: there is no copy")
    yield work("`sha256sum`", lambda: rivals.sha256sum(live), "nothing: there is no copy", _beside(place))
    yield work(
        CREATE,
        lambda: _create(place),
        "consistent, durable, SHA-256, rows of each table, compared with what SQLite saw",
    )
    yield work(
        "backup API in one step + `sha256sum`", lambda: rivals.api_backup(live, stored), "consistent, SHA-256"
    )
    yield work(BUSY, lambda: rivals.shell_backup(live, stored), "consistent, SHA-256")
    yield work(IDLE, lambda: rivals.shell_backup(live, stored), "consistent, SHA-256", place.fresh)
    yield work(
        "`VACUUM INTO` + `sha256sum`",
        lambda: rivals.vacuum_into(live, stored),
        "consistent, SHA-256; other pages than the source, and no WAL mode in the header",
    )


def _beside(place: Place) -> Callable[[], Callable[[], None]]:
    """The writer's preparation for a candidate that leaves a checksum file beside the database."""

    def prepare() -> Callable[[], None]:
        clean = place.fresh_with_writer()

        def clean_up() -> None:
            clean()
            place.database.with_name(f"{place.database.name}.sha256").unlink(missing_ok=True)

        return clean_up

    return prepare


def _create(place: Place) -> Details:
    document = json.loads(place.drillbook("backup.create"))
    return {OWN: own_seconds(document)}


def own_seconds(document: dict[str, object]) -> float:
    """What the first result of a task's JSON document says it took."""
    (result,) = _results(document)
    return float(str(result["duration_ms"])) / 1000


def _results(document: dict[str, object]) -> list[dict[str, object]]:
    results = document["results"]
    if not isinstance(results, list):
        raise TypeError(results)
    return results


def _explain(timings: dict[str, Timing]) -> str:
    limit = "the copy" if timings[COPY].best > timings[HASH].best else "the hash"
    text = (
        f"A writer commits {WRITER_RATE} transactions a second all the time, except where the row says otherwise. "
        "The limit is the larger of copying the file with fsync and hashing it once (here: "
        f"{limit}); nothing that promises both a durable copy and its SHA-256 can be quicker, and both at once "
        "need two cores. Ours are given as whole processes, interpreter and imports included, and as the action alone "
        "(`duration_ms` of its result). Counting rows reads the smallest index of each table."
    )
    if timings[BUSY].gave_up:
        text += (
            f" `.backup` copies 100 pages a step and begins anew after every commit of another process: under this "
            f"writer it was ended after {rivals.BACKUP_PATIENCE_S:.0f} s."
        )
    return text
