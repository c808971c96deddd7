"""Stores that an earlier version wrote go through every verb, from a disk and from a bucket."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import run_drillbook
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

FROZEN = Path(__file__).parents[2] / "fixtures" / "stores"
BUCKET = """
kind = "s3"
bucket = "{bucket}"
prefix = "old"
endpoint_url = "{url}"
"""
KEYS = {"AWS_ACCESS_KEY_ID": "AK-full", "AWS_SECRET_ACCESS_KEY": "SK-full"}
FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "v1": {
        "audit": ("backup-20261127T035015Z.db", "backup-20261127T035005Z.db"),
        "journal": ("backup-eventlog-20261127T035015Z.tar.gz", "backup-eventlog-20261127T035005Z.tar.gz"),
        "shop": ("backup-20261127T035015Z.pg", "backup-20261127T035005Z.pg"),
    }
}
FORMS["v2"] = {
    "audit": ("backup-20261127T182136Z.db", *FORMS["v1"]["audit"]),
    "journal": ("backup-eventlog-20261127T182137Z.tar.gz", *FORMS["v1"]["journal"]),
    "shop": ("backup-20261127T182137Z.pg", *FORMS["v1"]["shop"]),
}
"""By form the backups of each source, the newest first; in the second form there are those of the first as well."""


@dataclass(frozen=True)
class Frozen:
    """A copy of a frozen store with its configuration, and what tells whether it is as it was."""

    folder: Path
    names: Mapping[str, Sequence[str]]
    look: Callable[[], dict[str, object]]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def every(self) -> list[str]:
        """All backups."""
        return [name for names in self.names.values() for name in names]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`drillbook ARGUMENTS` there."""
        return run_drillbook(*arguments, cwd=self.folder, environment=self.environment)

    def adopt(self) -> None:
        """Say that the sources were moved: the store was made of others, at other places."""
        listed, own = (
            self.document("backup.list", *more, codes=frozenset((0, 1)))["results"]
            for more in (["--all"], [])
        )
        assert isinstance(listed, list)
        assert isinstance(own, list)
        copies = {(item["source"], copy["series"]) for item in listed for copy in item["copies"]}
        # Of sealed copies nobody recorded where they were made: they are a series of their own.
        ours = {(item["source"], copy["series"]) for item in own for copy in item["copies"]}
        for source, series in sorted(copies - ours):
            done = self.run("backup.adopt", series[:8], "-s", source, "--yes")
            assert done.returncode == 0, done.stdout

    def document(self, *arguments: str, codes: frozenset[int] = frozenset((0,))) -> dict[str, object]:
        """What it says as JSON; the test fails where it ends with another exit code."""
        done = self.run(*arguments, "--format", "json")
        assert done.returncode in codes, (arguments, done.stdout, done.stderr)
        document: dict[str, object] = json.loads(done.stdout)
        return document


@pytest.fixture(params=["v1-disk", "v2-bucket"])
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Frozen]:
    """A released form, on a disk or in a bucket; its sealed copies lie on a disk both times."""
    form, where = request.param.split("-")
    folder = tmp_path / form
    shutil.copytree(FROZEN / form, folder)

    def files(*places: str) -> dict[str, object]:
        paths = [path for place in places for path in sorted((folder / place).rglob("*")) if path.is_file()]
        kept = [path for path in paths if ".locks" not in path.parts]
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}

    if where == "disk":
        frozen = Frozen(folder, FORMS[form], lambda: files("store", "sealed"))
        frozen.adopt()
        yield frozen
        return
    weed: Weed = request.getfixturevalue("weed")
    client, bucket = weed.client(), weed.bucket()
    for path in sorted((folder / "store").rglob("*")):
        if path.is_file() and ".locks" not in path.parts:
            key = f"old/{path.relative_to(folder / 'store')}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    shutil.rmtree(folder / "store")
    config = (folder / "ops.toml").read_text()
    place = BUCKET.format(bucket=bucket, url=weed.url)
    (folder / "ops.toml").write_text(config.replace('\nkind = "local"\npath = "store"\n', place, 1))

    def objects() -> dict[str, object]:
        listed = client.list_objects_v2(Bucket=bucket)["Contents"]
        # What doctor tries writing with is no part of what is kept.
        kept = [item for item in listed if not item["Key"].endswith("/.drillbook/doctor-probe")]
        return {**{item["Key"]: (item["ETag"], item["LastModified"]) for item in kept}, **files("sealed")}

    frozen = Frozen(folder, FORMS[form], objects, KEYS)
    frozen.adopt()
    yield frozen


def test_what_reads_changes_nothing(frozen: Frozen) -> None:
    """Lists, shows, looks and restores into new places: each finds all of them, and no byte of the store is another."""
    before = frozen.look()
    listed = frozen.document("backup.list")["results"]
    assert isinstance(listed, list)
    assert {item["name"] for item in listed} == set(frozen.every)
    assert {item["name"] for item in listed if item["proven"]} == {
        names[number] for names in frozen.names.values() for number in range(len(names) - 1)
    }
    for name in frozen.every:
        assert frozen.run("backup.show", name).returncode == 0
    for source, (newest, *_) in frozen.names.items():
        assert newest in frozen.run("backup.show", "latest", "-s", source).stdout
    doctor = frozen.document("doctor", codes=frozenset((0, 1, 2)))
    said = json.dumps(doctor)
    assert "manifest_invalid" not in said
    assert "copy.missing" not in said
    # There is no ingest log here, which is critical.
    metrics = frozen.document("metrics", codes=frozenset((0, 1)))["backups"]
    assert isinstance(metrics, list)
    assert [item["source"] for item in metrics] == sorted(frozen.names)
    for source in ("audit", "journal"):
        for number, name in enumerate(frozen.names[source]):
            done = frozen.run("backup.restore", "--from", name, "--to", f"copy-{source}-{number}")
            assert done.returncode == 0, done.stdout
            assert (frozen.folder / f"copy-{source}-{number}").exists()
    assert frozen.run("backup.prune", "--dry-run").returncode in {0, 1}
    assert frozen.look() == before


def test_what_is_proven_anew(frozen: Frozen) -> None:
    """Every backup is verified in full and drilled, plain and sealed; evidence is all that is added."""
    before = frozen.look()
    verified = frozen.document("backup.verify", "--all", "--level", "full")["results"]
    assert isinstance(verified, list)
    assert {item["backup"] for item in verified if item["verdict"] == "passed"} >= set(frozen.every)
    for source, names in frozen.names.items():
        for name in (*names, f"sealed:{names[0]}.age"):
            done = frozen.run("backup.drill", "--from", name, "-s", source)
            assert done.returncode == 0, (name, done.stdout)
    after = frozen.look()
    assert {key: after[key] for key in before} == before
    added = after.keys() - before.keys()
    assert added
    assert all(".verify-" in key or ".drill-" in key for key in added)


def test_what_writes_goes_on(frozen: Frozen) -> None:
    """A further backup, pins, copies, sealing anew and retention work on it, and the store then says which one it is."""
    before = frozen.look()
    made = []
    for source in ("journal", "audit", "audit"):
        created = frozen.document("backup.create", "-s", source, "--verify")
        assert created["status"] == "ok", created
        assert isinstance(created["results"], list)
        made.append(created["results"][0]["name"])
    assert sum("/.drillbook/store.json" in f"/{key}" for key in frozen.look()) == 2
    pinned = frozen.run("backup.keep", frozen.names["audit"][1], "--reason", "kept by a later version")
    assert pinned.returncode == 0
    assert frozen.run("backup.release", frozen.names["audit"][0]).returncode == 0
    for task in (("store.push",), ("store.reencrypt", "--yes"), ("store.check",)):
        done = frozen.run(*task)
        assert done.returncode == 0, (task, done.stdout)
    with (frozen.folder / "ops.toml").open("a") as file:
        file.write("\n[policy.one]\nkeep_last = 1\n")
    config = (frozen.folder / "ops.toml").read_text()
    (frozen.folder / "ops.toml").write_text(
        config.replace("[source.audit]", '[source.audit]\npolicy = "one"')
    )
    done = frozen.run("backup.prune", "-s", "audit", "--yes")
    assert done.returncode in {0, 1}, done.stdout
    listed = frozen.document("backup.list", "-s", "audit")["results"]
    assert isinstance(listed, list)
    names = {item["name"] for item in listed}
    # The pinned one stays, and so does the last that was proven; of the two new ones the last.
    assert names == {*frozen.names["audit"], made[2]}
    after = frozen.look()
    assert not [key for key in after if made[1] in key]
    kept = {key for key in before if "manifest" in key and "/sealed/" not in key}
    assert len(kept) == len(frozen.every)
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


def test_what_is_fetched(frozen: Frozen, tmp_path: Path) -> None:
    """store.pull brings a whole backup to a new store, with what it needs, and it drills there."""
    with (frozen.folder / "ops.toml").open("a") as file:
        file.write(f'\n[store.new]\nkind = "local"\npath = "{tmp_path / "new"}"\n')
    for name, source in ((frozen.names["journal"][0], "journal"), (frozen.names["audit"][0], "audit")):
        pulled = frozen.run("store.pull", "--backup", name, "-s", source, "--store", "new")
        assert pulled.returncode == 0, pulled.stdout
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {
        frozen.names["journal"][0],
        frozen.names["journal"][-1],
        frozen.names["audit"][0],
    }
    for name, source in ((frozen.names["journal"][0], "journal"), (frozen.names["audit"][0], "audit")):
        done = frozen.run("backup.drill", "--from", f"new:{name}", "-s", source)
        assert done.returncode == 0, done.stdout
