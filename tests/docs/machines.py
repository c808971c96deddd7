"""The folders of the page about several machines: a shop that machines called web1, web2 and web9 back up into one store.

Which machine a command runs on is what `OPS_HOST` says. The digits of series are, on the page, those that the shown paths
give; what they are here stands in the place's `names`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from ops.host.machine import Surroundings, is_generated
from ops.model.series import Identified, Machine, Whereabouts, Whose
from tests.docs.fixtures import change_manifest
from tests.docs.place import NotHereError, Place

NIGHTS: Final = {
    "backup-20260310T021500Z.db": timedelta(days=5),
    "backup-20260311T021500Z.db": timedelta(days=4),
    "backup-20260312T021500Z.db": timedelta(days=3),
}
_CONFIG: Final = """\
[source.shop]
kind = "sqlite"
path = "data/shop.db"

[store.local]
kind = "local"
path = "backups"
"""
_SERIES: Final = {
    ("web1", "data/shop.db"): "5ac7570c",
    ("web2", "data/shop.db"): "691ef8aa",
    ("web9", "data/shop.db"): "257e45b2",
    ("web1", "fast/shop.db"): "e76d9af5",
}


def shop(place: Place) -> None:
    """A database, a configuration without `series`, and no backup yet."""
    (place.folder / "data").mkdir()
    with closing(sqlite3.connect(place.folder / "data" / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)")
        connection.executemany("INSERT INTO orders (item) VALUES (?)", [(f"item {i}",) for i in range(588)])
    (place.folder / "ops.toml").write_text(_CONFIG, encoding="utf-8")
    place.names |= {shown: _series(place, *where) for where, shown in _SERIES.items()}


def _series(place: Place, host: str, path: str) -> str:
    text = str(place.folder / path)
    whose = Whose(
        name="shop",
        kind="sqlite",
        location=text,
        whereabouts=Whereabouts("path", text),
        machine=Machine(host=host),
    )
    return whose.origin(Identified(text)).series[:8]


def shop_nights(place: Place) -> None:
    """Three nights of web1, the last one three days ago; the second one is proven."""
    shop(place)
    here = replace(place, environment={**place.environment, "OPS_HOST": "web1"})
    for name, age in NIGHTS.items():
        here.drillbook("backup.create", "--verify", "--out", f"backups/{name}")
        change_manifest(place, name, age)
    here.drillbook("backup.drill", "--from", list(NIGHTS)[1])


def shop_of_web1(place: Place) -> None:
    """The same, and every command runs on web1."""
    shop_nights(place)
    place.environment["OPS_HOST"] = "web1"


def shop_two_machines(place: Place) -> None:
    """The same, and the second night was written by another machine that is called web1 as well."""
    shop_of_web1(place)
    for number, (name, age) in enumerate(NIGHTS.items()):
        boot = hashlib.sha256(b"clone" if number == 1 else b"web1").hexdigest()
        change_manifest(place, name, age - timedelta(days=2, hours=18), _with_boot(boot))


def _with_boot(boot: str) -> Any:  # noqa: ANN401 - what changes a document
    return lambda document: document.update(boot=boot)


def shop_renamed(place: Place) -> None:
    """Three nights of web1, whose host name is another one now; the state folder remembers how it was called."""
    around = Surroundings.here({})
    if around.container and is_generated(around.name):
        message = "the host name of this machine was generated in a container"
        raise NotHereError(message)
    shop_nights(place)
    state = place.folder.parent / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    document = {"version": 1, "host": "web1", "machine_id": ""}
    (state / "host.json").write_text(json.dumps(document), encoding="ascii")
