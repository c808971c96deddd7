"""The folders in which the documentation's commands are run: the demo, and the ways in which it can be broken.

Each builder makes real damage: real bytes are flipped, real processes hold real locks or are killed, a real disk
is full. A builder gets a `Place` whose folder is empty and fills it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyrage

from ops.driverkit.row_digest import SEAL, document_seal
from ops.model.manifest import SEQUENCE_KEY
from ops.model.moment import microseconds
from ops.units import format_time, parse_time
from tests.docs.place import Place, copy_template
from tests.unpacked import unpack

PRICES: Final = "backup-20260315T021500Z.db"
LOG: Final = Path(__file__).parents[1] / "sources/eventlog/base256.tar.gz"
LOG_BACKUP: Final = "backup-eventlog-20260315-021500.tar.gz"
AUDIT: Final = "backup-20260315T021503Z.db"
JOURNAL: Final = "backup-eventlog-20260315-021457.tar.gz"
_AGES: Final = {
    JOURNAL: timedelta(hours=6, seconds=6),
    PRICES: timedelta(hours=6, seconds=3),
    AUDIT: timedelta(hours=6),
}
OWN_TASKS: Final = '''from invoke import Collection, task

from ops.tasks import collection


@task
def greet(context):
    """Say hello."""
    print("hello")


namespace = Collection(greet)
namespace.add_collection(collection("db"))
'''
"""A project's own `tasks.py`, as the README shows it."""


def empty(_place: Place) -> None:
    """An empty folder."""


def demo(place: Place) -> None:
    """The demo without its pet shop and without a backup: a few files that are quick to build and to copy."""
    copy_template(place, "demo", _build)


def _build(made: Place) -> None:
    made.drillbook("demo", "--out", ".", "--without", "petshop")


def backed_up(place: Place) -> None:
    """The demo with a verified backup of each source, six hours old."""
    copy_template(place, "backed-up", _back_up)
    _age_all(place)


def _back_up(made: Place) -> None:
    _build(made)
    _take_all(made)


def _take_all(made: Place) -> None:
    for source, name in (("prices", PRICES), ("audit", AUDIT), ("journal", JOURNAL)):
        made.drillbook("backup.create", "--source", source, "--verify", "--out", f"backups/{name}")


def _age_all(place: Place) -> None:
    for name, age in _AGES.items():
        _age(place, name, age)


def _age(place: Place, name: str, age: timedelta) -> None:
    """Make a backup so old (from the future, if negative) by the times in its manifest, and seal it again."""
    document = json.loads((place.backups / f"{name}.manifest.json").read_bytes())
    live = place.folder / "dados" / Path(document["source"]["location"]).name
    change_manifest(place, name, age, lambda document: document["source"].update(location=str(live)))


def change_manifest(
    place: Place, name: str, age: timedelta, change: Callable[[dict[str, Any]], None] = lambda _: None
) -> None:
    """Make a backup so old, change its manifest in one more way, and seal it again."""
    path = place.backups / f"{name}.manifest.json"
    document = json.loads(path.read_bytes())
    shift = datetime.now(UTC) - age - parse_time(document["created_at"])
    for key in ("created_at", "data_as_of", "started_at", "finished_at"):
        document[key] = format_time(parse_time(document[key]) + shift)
    document[SEQUENCE_KEY] = microseconds(parse_time(document["created_at"]))
    change(document)
    document[SEAL] = document_seal(document)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")


def proven(place: Place) -> None:
    """Backed up, and both backups drilled."""
    copy_template(place, "proven", _prove)
    _age_all(place)


def _prove(made: Place) -> None:
    _back_up(made)
    made.drillbook("backup.drill")


def old_backup(place: Place) -> None:
    """Proven, and nothing was backed up for three days."""
    backed_up(place)
    for name in (PRICES, AUDIT, JOURNAL):
        _age(place, name, timedelta(days=3))


def many_backups(place: Place) -> None:
    """Five verified backups of the audit database in four weeks, one proven, one pinned; the last two are to be kept."""
    copy_template(place, "many-backups", _back_up_often)
    for days, name in _OFTEN.items():
        _age(place, name, timedelta(days=days, hours=6))


_OFTEN: Final = {
    0: "backup-20260315T021500Z.db",
    1: "backup-20260314T021500Z.db",
    2: "backup-20260313T021500Z.db",
    14: "backup-20260301T021500Z.db",
    23: "backup-20260220T021500Z.db",
}


def _back_up_often(made: Place) -> None:
    _build(made)
    for name in _OFTEN.values():
        made.drillbook("backup.create", "--source", "audit", "--verify", "--out", f"backups/{name}")
    made.drillbook("backup.drill", "--from", _OFTEN[1])
    made.drillbook("backup.keep", _OFTEN[14], "--reason", "before the migration")
    with (made.folder / "ops.toml").open("a", encoding="utf-8") as config:
        config.write("\n[policy.default]\nkeep_last = 2\n")


def two_stores(place: Place) -> None:
    """The demo, whose sources are also copied to a second store."""
    demo(place)
    _add_store(place)


def _add_store(place: Place) -> None:
    config = place.folder / "ops.toml"
    text = config.read_text(encoding="utf-8").replace('stores = ["local"]', 'stores = ["local", "archive"]')
    config.write_text(text + '\n[store.archive]\nkind = "local"\npath = "archive"\n', encoding="utf-8")


def archive_away(place: Place) -> None:
    """The second store is not mounted: where its folder should be is a file."""
    two_stores(place)
    (place.folder / "archive").write_bytes(b"")


def home_lost(place: Place) -> None:
    """Backed up and copied; then the disk with the first store was replaced by an empty one."""
    backed_up(place)
    _add_store(place)
    place.drillbook("store.push")
    shutil.rmtree(place.backups)


def rotated(place: Place) -> None:
    """The store seals, both keys are here, and the backup of the audit is sealed for the key of before."""
    copy_template(place, "rotated", _rotate)
    _age(place, f"{AUDIT}.age", timedelta(hours=6))


def _rotate(made: Place) -> None:
    _build(made)
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    identities = made.folder / "escrow.key"
    identities.touch(0o600)
    identities.write_text("\n".join(map(str, keys)) + "\n", encoding="ascii")
    config = made.folder / "ops.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace('path = "backups"\n', 'path = "backups"\nencrypt = "escrow"\n')
    for key in keys:
        cipher = f'[cipher.escrow]\nkind = "age"\nidentity_file = "escrow.key"\nrecipients = ["{key.to_public()}"]\n'
        config.write_text(f"{text}\n{cipher}", encoding="utf-8")
        if key is keys[0]:
            made.drillbook("backup.create", "--source", "audit", "--verify")
    (payload,) = made.backups.glob("*.age")
    for path in made.backups.iterdir():
        path.rename(path.with_name(path.name.replace(payload.name, f"{AUDIT}.age")))
    _rename(made, payload.name)


def _rename(made: Place, former: str) -> None:
    """Let manifest and checksum file say the documented name."""
    checksum = made.backups / f"{AUDIT}.age.checksum"
    checksum.write_text(checksum.read_text().replace(former, f"{AUDIT}.age"))
    path = made.backups / f"{AUDIT}.age.manifest.json"
    document = json.loads(path.read_text().replace(former.removesuffix(".age"), AUDIT))
    document[SEAL] = document_seal(document)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")


def event_log(place: Place) -> None:
    """A small real log in `data`, and a configuration that names it."""
    unpack(LOG, place.folder / "data")
    (place.folder / "ops.toml").write_text(
        '[source.log]\nkind = "eventlog"\npath = "data"\n[store.local]\nkind = "local"\npath = "backups"\n'
    )


def incremental_log(place: Place) -> None:
    """The log is backed up incrementally, and was when it had six segments; now it has seven."""
    event_log(place)
    config = place.folder / "ops.toml"
    config.write_text(config.read_text().replace('path = "data"\n', 'path = "data"\nincremental = true\n'))
    later = ("event-log/segment-000007.json", "event-log-snapshot.json")
    for number, name in enumerate(later):
        (place.folder / "data" / name).rename(place.folder / f"later-{number}")
    place.drillbook("backup.create", "--verify", "--out", f"backups/{LOG_BACKUP}")
    for number, name in enumerate(later):
        (place.folder / f"later-{number}").rename(place.folder / "data" / name)


def log_cut(place: Place) -> None:
    """The log was backed up; since then its newest segment has gone."""
    event_log(place)
    place.drillbook("backup.create", "--verify", "--out", f"backups/{LOG_BACKUP}")
    (place.folder / "data/event-log/segment-000007.json").unlink()


def future_backup(place: Place) -> None:
    """Backed up while the clock was two days ahead."""
    backed_up(place)
    _age(place, PRICES, -timedelta(days=2))


def missing_source(place: Place) -> None:
    """Backed up; the volume with the price database is not mounted."""
    backed_up(place)
    (place.folder / "dados").rename(place.folder / "volume")
    (place.folder / "dados").mkdir()
    for name in ("audit.db", "journal"):
        (place.folder / "volume" / name).rename(place.folder / "dados" / name)


def damaged_payload(place: Place) -> None:
    """Backed up; a few bytes in the middle of the prices' payload have changed on the disk."""
    backed_up(place)
    _flip(place.backups / PRICES, 200_000)


def _flip(path: Path, at: int, count: int = 16) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        block = bytes(byte ^ 0xFF for byte in file.read(count))
        file.seek(at)
        file.write(block)


def damaged_snapshot(place: Place) -> None:
    """A snapshot of today, whose line ends a well-meaning program has changed."""
    demo(place)
    place.drillbook("snapshot.create", "--ticker", "PETR4")
    (snapshot,) = (place.folder / "snapshots").glob("*.csv")
    snapshot.write_bytes(snapshot.read_bytes().replace(b"\n", b"\r\n"))


def no_manifest(place: Place) -> None:
    """Backed up; the manifest of the prices' backup was deleted by hand."""
    backed_up(place)
    (place.backups / f"{PRICES}.manifest.json").unlink()


def little_space(place: Place) -> None:
    """Backed up; a reserve is asked for that no disk has."""
    backed_up(place)
    configure(place, 'kind = "sqlite"', 'kind = "sqlite"\nmin_free = "900TB"')


def configure(place: Place, old: str, new: str) -> None:
    """Replace a line of the demo's configuration."""
    path = place.folder / "ops.toml"
    text = path.read_text(encoding="utf-8")
    if old not in text:
        message = f"{old!r} is not in the demo's ops.toml"
        raise AssertionError(message)
    path.write_text(text.replace(old, new), encoding="utf-8")


def corrupt_database(place: Place) -> None:
    """Proven; then pages in the middle of the live price database were overwritten."""
    proven(place)
    with (place.folder / "dados" / "data.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xde\xad\xbe\xef" * (20 * 1024))


def deleted_database(place: Place) -> None:
    """Proven; then the live price database was deleted."""
    proven(place)
    for path in (place.folder / "dados").glob("data.db*"):
        path.unlink()


def lost_rows(place: Place) -> None:
    """Proven; then somebody deleted most prices and all returns."""
    proven(place)
    _execute(
        place.folder / "dados" / "data.db", "delete from prices where ticker <> 'PETR4'; delete from returns;"
    )


def _execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def replaced(place: Place) -> None:
    """The prices were lost and restored from the backup: the state before is a safety backup."""
    lost_rows(place)
    place.drillbook("backup.restore", "--from", PRICES, "--yes")


def red_drill(place: Place) -> None:
    """Backed up; then most prices were deleted, and backed up again like that."""
    lost_rows(place)
    place.drillbook("backup.create", "--source", "prices")


def open_question(place: Place) -> None:
    """Backed up; an assertion calls a program that is not installed here."""
    demo(place)
    lines = '\n[[source.audit.assert]]\ncommand = ["check-audit", "--deep"]\n'
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as file:
        file.write(lines)
    _take_all(place)
    _age_all(place)


_ORDERS: Final = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, total REAL, at TEXT);
CREATE INDEX by_total ON orders (total);
INSERT INTO customers VALUES (1, 'Ana');
INSERT INTO orders VALUES (1, 1, 9.5, '2026-03-01'), (2, 7, 12.0, '2026-03-02'), (3, 8, 3.25, '2026-03-03');
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE INDEX by_total ON orders (at)' WHERE name = 'by_total';
"""


def faulty_source(place: Place) -> None:
    """A source with a damaged index and with orders of customers that are not there; no backup yet."""
    _execute(place.folder / "orders.db", _ORDERS)
    config = '[source.orders]\nkind = "sqlite"\npath = "orders.db"\n\n[store.local]\nkind = "local"\npath = "backups"\n'
    (place.folder / "ops.toml").write_text(config, encoding="utf-8")


def outside(place: Place) -> None:
    """Databases and a backup folder by the names that hold without a configuration."""
    demo(place)
    (place.folder / "ops.toml").unlink()


def own_tasks(place: Place) -> None:
    """The demo in a project with a tasks file of its own."""
    demo(place)
    (place.folder / "tasks.py").write_text(OWN_TASKS, encoding="utf-8")


def misspelt(place: Place) -> None:
    """The demo with a misspelt key in its configuration."""
    demo(place)
    configure(place, "drill_every", "dril_every")
