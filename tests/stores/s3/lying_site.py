"""Backups of a small database in a bucket behind a liar, made once and put anew for each test that needs them."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from invoke.exceptions import Exit
from invoke.program import Program

from ops import __version__
from ops.tasks import collection
from tests.conftest import execute
from tests.stores.lying import Liar
from tests.stores.seaweed import Weed

CONFIG = """
[source.prices]
kind = "sqlite"
path = "{folder}/prices.db"
stores = ["bucket"]
policy = "one"

[source.notes]
kind = "sqlite"
path = "{folder}/notes.db"
stores = ["home", "far"]

[policy.one]
keep_last = 1

[store.home]
kind = "local"
path = "{place}/home"

[store.back]
kind = "local"
path = "{place}/back"

[store.bucket]
{bucket_table}
prefix = "{prefix}"

[store.far]
{bucket_table}
prefix = "{prefix}-far"
"""
BUCKET = """kind = "s3"
bucket = "{bucket}"
endpoint_url = "{url}"
access_key_env = "LIES_ACCESS"
secret_key_env = "LIES_SECRET"
connect_timeout = "2s"
read_timeout = "5s"
retries = {retries}"""
_NUMBERS = itertools.count(1)
Objects: TypeAlias = dict[str, tuple[bytes, dict[str, str]]]


@dataclass(frozen=True)
class Said:
    """What a task said: its exit code, its document, and everything that it wrote."""

    code: int
    document: dict[str, Any]
    text: str

    @property
    def word(self) -> str:
        """The exit code, the verdict, and the codes of what is not well, each once."""
        results = self.document.get("results", [])
        verdicts = [str(one["verdict"]) for one in results if one.get("verdict")]
        found = [
            *self.document.get("findings", ()),
            *(item for one in results for item in one.get("findings", ())),
        ]
        codes = [one["code"] for one in self.document.get("errors", ())]
        codes += [one["code"] for one in found if one.get("severity") in {"warning", "critical"}]
        return " ".join([str(self.code), *dict.fromkeys([*verdicts, *codes])])


@dataclass(frozen=True)
class Template:
    """The objects of a bucket that was filled truthfully, and the local store and the databases beside it."""

    folder: Path
    objects: Objects
    names: dict[str, list[str]]


@dataclass
class Site:
    """One place with its own copy of all of it."""

    weed: Weed
    liar: Liar
    bucket: str
    place: Path
    capture: pytest.CaptureFixture[str]
    prefix: str = field(default_factory=lambda: f"site-{next(_NUMBERS)}")

    def configure(self, folder: Path, url: str, retries: int = 0) -> None:
        """Write the configuration."""
        table = BUCKET.format(bucket=self.bucket, url=url, retries=retries)
        about = {"folder": folder, "place": self.place, "prefix": self.prefix}
        text = CONFIG.format(bucket_table=table, **about)
        (self.place / "ops.toml").write_text(text)

    def run(self, *arguments: str) -> Said:
        """Run a task in this process."""
        self.capture.readouterr()
        code = 0
        flags = ("--config", str(self.place / "ops.toml"), "--format", "json")
        try:
            Program(name="drillbook", binary="drillbook", version=__version__, namespace=collection()).run(
                ["drillbook", *arguments, *flags]
            )
        except SystemExit as end:
            code = int(end.code or 0)
        except Exit as end:
            code = end.code
        said = self.capture.readouterr()
        return Said(code, json.loads(said.out), said.out + said.err)

    def objects(self) -> Objects:
        """What lies in the bucket below the prefix, content and labels."""
        client = self.weed.client()
        found: Objects = {}
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/"
        ):
            for item in page.get("Contents", ()):
                answer = client.get_object(Bucket=self.bucket, Key=item["Key"])
                name = item["Key"].removeprefix(f"{self.prefix}/")
                found[name] = (answer["Body"].read(), answer["Metadata"])
        return found


def filled(site: Site, folder: Path, url: str) -> Template:
    """Two backups of `prices` in the bucket, the newer one drilled; one of `notes` at home that has no copy, one that has."""
    for name in ("prices", "notes"):
        script = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);"
        execute(folder / f"{name}.db", script + "INSERT INTO t VALUES (1, 'one'), (2, 'two');")
    site.configure(folder, url)
    names: dict[str, list[str]] = {"prices": [], "notes": []}
    for name in ("prices", "prices", "notes"):
        execute(folder / f"{name}.db", "INSERT INTO t (body) VALUES (hex(randomblob(9000)));")
        created = site.run("backup.create", "--source", name)
        assert created.code == 0, created.text
        names[name].append(created.document["results"][0]["name"])
    for name in names["prices"]:
        drilled = site.run("backup.drill", "--from", f"bucket:{name}", "--source", "prices")
        assert drilled.code == 0, drilled.text
    return Template(folder, site.objects(), names)


def copied(template: Template, site: Site, url: str, retries: int = 0) -> Site:
    """The site, with all that the template has."""
    client = site.weed.client()
    for name, (content, labels) in template.objects.items():
        client.put_object(Bucket=site.bucket, Key=f"{site.prefix}/{name}", Body=content, Metadata=labels)
    shutil.copytree(template.folder / "home", site.place / "home")
    site.configure(template.folder, url, retries)
    return site
