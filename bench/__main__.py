"""The command line: `python -m bench [--size 1GiB] [--repeat 3] [--only PART] [--cache FOLDER] [--write]`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.catalogue import measure_listing
from bench.create import measure_create
from bench.data import database_of
from bench.eventlog import measure_eventlog
from bench.growth import measure_growth
from bench.ingest import measure_ingest
from bench.listing import measure_list
from bench.machine import facts
from bench.memory import measure_memory
from bench.postgres import PETSHOP, PLAIN_SHOP, measure_postgres
from bench.proof import measure_proof
from bench.report import Section, page, with_section
from bench.sealed import measure_sealed
from bench.snapshot import measure_snapshot
from bench.start import measure_start
from bench.stream import measure_litestream
from bench.timing import say
from ops.units import parse_size

PARTS = (
    *("create", "proof", "postgres", "postgres-plain", "eventlog", "sealed", "snapshot", "ingest"),
    *("start", "list", "listing", "memory", "litestream"),
)
ON_REQUEST = ("eventlog-growth",)
"""Parts that take long and are measured with `--only` alone."""
MEASURES: dict[str, Callable[[Path, int], Section]] = {
    "create": measure_create,
    "proof": measure_proof,
    "eventlog": lambda database, rounds: measure_eventlog(database.parent, rounds),
    "eventlog-growth": lambda database, rounds: measure_growth(database.parent, rounds),
    "sealed": measure_sealed,
    "snapshot": lambda database, rounds: measure_snapshot(database.stat().st_size, database.parent, rounds),
    "ingest": lambda database, rounds: measure_ingest(database.parent, rounds),
    "start": lambda _, rounds: measure_start(rounds),
    "list": lambda _, rounds: measure_list(rounds),
    "listing": lambda database, rounds: measure_listing(database.parent, rounds),
    "memory": lambda database, _: measure_memory(database),
    "litestream": measure_litestream,
}
SHOPS = {part.name: part for part in (PETSHOP, PLAIN_SHOP)}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, print the page, and with `--write` also keep it."""
    options = _options()
    # An installed package has its bytecode; without this the compiler would be measured in each process of ours.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    load, *_ = os.getloadavg()
    say(f"database of {options.size} bytes")
    database = database_of(options.size, options.cache)
    sections = []
    for part in (*PARTS, *ON_REQUEST):
        if options.only == part or (options.only is None and part in PARTS):
            say(part)
            if part in SHOPS:
                sections.append(measure_postgres(SHOPS[part], options.size, options.cache, options.repeat))
            else:
                sections.append(MEASURES[part](database, options.repeat))
    about = facts(database, options.repeat, load)
    text = page(about, sections)
    sys.stdout.write(text)
    if options.write and options.only:
        (section,) = sections
        text = with_section(PAGE.read_text(encoding="utf-8"), section, dict(about))
    if options.write:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Drillbook against plain tools.")
    parser.add_argument("--size", type=_size, default="1GiB", help="of the database (default: 1GiB)")
    parser.add_argument("--repeat", type=_rounds, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--only", choices=(*PARTS, *ON_REQUEST), help="one part alone")
    cache = Path(tempfile.gettempdir()) / "drillbook-bench"
    parser.add_argument("--cache", type=Path, default=cache, help="folder for the database and the runs")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md, or with --only its part"
    )
    options = parser.parse_args()
    options.cache = options.cache.absolute()
    return options


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError("at least one round")
    return rounds


if __name__ == "__main__":
    sys.exit(main())
