"""How long a hash-chained log takes to check and to back up, against a straightforward program in Node.js."""

import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.place import drillbook, installed
from bench.report import Section, against, ratios, seconds
from bench.timing import Candidate, Details, in_turns, program, say
from ops.units import format_size
from tests.sources.eventlog.writing import made_events, segment_text

COMMAND = "nox -s bench -- --only eventlog"
EVENTS, PER_SEGMENT = 1_000_000, 10_000

NODE = Path(__file__).with_name("eventlog.mjs")
CONFIG = 'scratch_dir = "scratch"\n[source.log]\nkind = "eventlog"\npath = "data"\n[store.local]\nkind = "local"\npath = "store"\n'
CHECK = """
import json, sys, time
from pathlib import Path
from ops.sources.eventlog.log.log import read_log
if __name__ == "__main__":
    log = read_log(Path(sys.argv[1]))
    assert log.chain.valid and log.chain.verified == int(sys.argv[2])
"""


def measure_eventlog(cache: Path, rounds: int) -> Section:
    """The section about event logs."""
    node = installed("node")
    with tempfile.TemporaryDirectory(prefix="log-", dir=cache) as name:
        folder = Path(name)
        (folder / "ops.toml").write_text(CONFIG)
        (folder / "check.py").write_text(CHECK)
        make_log(folder / "data", EVENTS)

        def fresh() -> Callable[[], None]:
            for place in ("store", "scratch"):
                shutil.rmtree(folder / place, ignore_errors=True)
                (folder / place).mkdir()
            return lambda: None

        def run(*argv: str | Path) -> Details:
            program(*argv)
            return {}

        create = [*drillbook("backup.create"), "--config", str(folder / "ops.toml")]
        candidates = [
            Candidate(name="Node.js: check", run=lambda: run(node, NODE, "check", folder / "data")),
            Candidate(
                name="the chain checked",
                run=lambda: run(sys.executable, folder / "check.py", folder / "data", str(EVENTS)),
            ),
            Candidate(
                name="Node.js: check, SHA-256, tar, gzip",
                run=lambda: run(node, NODE, "create", folder / "data", folder / "store/log.tar.gz"),
                prepare=fresh,
            ),
            Candidate(name="`backup.create`", run=lambda: run(*create), prepare=fresh),
        ]
        timings = in_turns(candidates, rounds)
        stored = next((folder / "store").glob("*.tar.gz")).stat().st_size
        size = sum(path.stat().st_size for path in (folder / "data/event-log").iterdir())
    pairs = (
        (timings[0], timings[0]),
        (timings[1], timings[0]),
        (timings[2], timings[2]),
        (timings[3], timings[2]),
    )
    rows = [[timing.name, *seconds(timing), *ratios(timing, [theirs])] for timing, theirs in pairs]
    columns = ("what", "min", "median", "min / Node.js", "median / Node.js")
    targets = [
        against("chain check", 1 / 7, timings[1], [timings[0]]),
        against("create", 1 / 8, timings[3], [timings[2]]),
    ]
    return Section("eventlog", COMMAND, columns, rows, targets, _explained(size, stored))


def make_log(folder: Path, count: int) -> None:
    """A log of that many events in segments as the program writes them."""
    say(f"  a log of {count} events")
    (folder / "event-log").mkdir(parents=True)
    previous = None
    for number, first in enumerate(range(0, count, PER_SEGMENT), 1):
        events = made_events(min(PER_SEGMENT, count - first), previous=previous, first=first)
        previous = events[-1]["current_hash"]
        (folder / f"event-log/segment-{number:06}.json").write_bytes(segment_text(events))


def _explained(size: int, stored: int) -> str:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    version = json.loads(program(installed("node"), "-p", "JSON.stringify(process.version)"))
    return (
        f"{EVENTS:,} events, {format_size(size)} of JSON in {EVENTS // PER_SEGMENT} segments; the archive has "
        f"{format_size(stored)}. Node.js {version}, one thread, gzip level 9 as the log's own backup script has it; ours with msgspec and isal, on all cores. "
        f"Whole processes, imports included. The largest process of the run, Node.js, needed {format_size(peak)}. The "
        "limit is decoding JSON and hashing each event by itself: about 3 µs of one core for each event."
    )
