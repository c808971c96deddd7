"""How long it takes to have a backup and know that it can be restored: create, full verify, drill."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench import rivals
from bench.place import Place, place_for
from bench.report import Section, against, ratios, seconds
from bench.timing import Candidate, Details, in_turns

COMMAND = "nox -s bench -- --only proof"
STEPS = ("create", "verify", "drill")
OURS, BY_HAND = "Drillbook", "by hand"


def measure_proof(database: Path, rounds: int) -> Section:
    """The section about create, verify and drill together."""
    with place_for(database) as place:
        candidates = [
            Candidate(name=OURS, run=lambda: _ours(place), prepare=place.fresh),
            Candidate(name=BY_HAND, run=lambda: _by_hand(place), prepare=place.fresh),
        ]
        ours, by_hand = in_turns(candidates, rounds)
    rows = [
        [
            step,
            *seconds(ours.detail(step)),
            *seconds(by_hand.detail(step)),
            *ratios(ours.detail(step), [by_hand.detail(step)]),
        ]
        for step in STEPS
    ]
    rows.append(["all three", *seconds(ours), *seconds(by_hand), *ratios(ours, [by_hand])])
    columns = ("step", "Drillbook min", "median", "by hand min", "median", "min / min", "median / median")
    target = against("create + verify --level full + drill", 0.5, ours, [by_hand])
    return Section("sqlite: full proof", COMMAND, columns, rows, [target], EXPLANATION)


EXPLANATION = (
    "By hand, one after another: `sqlite3 .backup`, fsync, `sha256sum`; to verify, `sha256sum -c`, `cp` to a "
    "scratch place, `PRAGMA integrity_check`, `PRAGMA foreign_key_check`, `select count(*)` of each table; to "
    "drill, `cp`, `sha256sum -c` and the same checks again. Nobody writes meanwhile, since `.backup` does not end "
    "under a writer. Drillbook's times contain more: rows of all tables are counted at create and "
    "compared at verify and drill, copies are durable, evidence is written. Below both lies `integrity_check`, "
    "which visits every index entry and its row: it is computing on one core for each table, so the largest "
    "table with its indexes is the limit, and after that the number of cores."
)


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _ours(place: Place) -> Details:
    return {
        "create": _timed(lambda: place.drillbook("backup.create")),
        "verify": _timed(lambda: place.drillbook("backup.verify", "latest", "--level", "full")),
        "drill": _timed(lambda: place.drillbook("backup.drill")),
    }


def _by_hand(place: Place) -> Details:
    stored = place.store / "copy.db"
    return {
        "create": _timed(lambda: rivals.shell_backup(place.database, stored)),
        "verify": _timed(lambda: _verify_by_hand(stored, place.scratch)),
        "drill": _timed(lambda: _drill_by_hand(stored, place.scratch)),
    }


def _verify_by_hand(stored: Path, scratch: Path) -> None:
    rivals.check_sha256sum(stored, stored.with_name("copy.db.sha256"))
    _restore_and_check(stored, scratch / "verify.db", lambda _: None)


def _drill_by_hand(stored: Path, scratch: Path) -> None:
    checksum = stored.with_name("copy.db.sha256")
    _restore_and_check(stored, scratch / "drill.db", lambda copy: rivals.check_sha256sum(copy, checksum))


def _restore_and_check(stored: Path, copy: Path, compare: Callable[[Path], None]) -> None:
    shutil.copyfile(stored, copy)
    compare(copy)
    rivals.check_copy(copy)
    copy.unlink()
