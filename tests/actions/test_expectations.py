"""A backup is drilled with the assertions of its time; what it does not know of them can only warn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.driverkit.row_digest import SEAL, document_seal
from tests.conftest import execute, run_drillbook

pytestmark = pytest.mark.long

STORE = '[store.local]\nkind = "local"\npath = "backups"\n'
SOURCE = f'{STORE}[source.a]\nkind = "sqlite"\npath = "a.db"\n'
FEW = "row_count = 't'\nmin = 1"
MANY = "row_count = 't'\nmin = 100"
ODD: list[object] = [
    "row_count",
    {},
    5,
    None,
    {"row_count": "t", "fresh": "t.x"},
    {"later_kind": "t"},
    {"fresh": "t.x", "max_age": "9" * 400 + "y"},
    {"fresh": "t.x", "max_age": 24},
    {"row_count": "t", "tolerance": "nan%"},
    {"row_count": {"deep": ["t"]}},
    {"row_count": "t", "min": "many"},
    {"password": "hunter2"},
    {"row_count": "AGE-SECRET-KEY-1" + "Q" * 58},
    {"command": []},
]


@dataclass
class Site:
    """A folder with a configuration, a database and its backups."""

    folder: Path

    def configure(self, *assertions: str) -> None:
        """The one source, with these assertions."""
        text = "".join(f"[[source.a.assert]]\n{item}\n" for item in assertions)
        (self.folder / "ops.toml").write_text(SOURCE + text)

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of a task."""
        ended = run_drillbook(*arguments, "--format", "json", cwd=self.folder)
        return ended.returncode, json.loads(ended.stdout)

    def drill(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Exit code, verdict and findings about assertions of a drill of the latest backup."""
        code, document = self.run("backup.drill")
        (result,) = document["results"]
        return (
            code,
            result["verdict"],
            [item for item in result["findings"] if item["code"].startswith("assert.")],
        )

    def change_manifest(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the manifest of the one backup, and seal it again."""
        (path,) = (self.folder / "backups").glob("*.manifest.json")
        document = json.loads(path.read_text())
        change(document)
        document.pop(SEAL)
        path.write_text(json.dumps({**document, SEAL: document_seal(document)}))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A database with three rows; nothing is expected of it yet."""
    execute(tmp_path / "a.db", "CREATE TABLE t (x); INSERT INTO t VALUES ('2026-01-01'), ('b'), ('c')")
    site = Site(tmp_path)
    site.configure()
    return site


def taken(site: Site, *assertions: str) -> Site:
    """The site with a backup that was made while these assertions were configured."""
    site.configure(*assertions)
    assert site.run("backup.create")[0] == 0
    return site


def test_those_of_its_time_bind(site: Site) -> None:
    """An assertion that was configured when the backup was made, and still is, makes the drill FAILED."""
    code, verdict, findings = taken(site, MANY).drill()
    assert (code, verdict) == (2, "failed")
    assert [item["severity"] for item in findings] == ["critical"]


def test_one_that_was_added_only_warns(site: Site) -> None:
    """An assertion that an older backup does not know is asked, and is a warning; the backup is proven."""
    taken(site).configure(MANY)
    code, verdict, (finding,) = site.drill()
    assert (code, verdict, finding["severity"], finding["code"]) == (1, "passed", "warning", "assert.failed")
    assert "was not configured when the backup was made" in finding["message"]
    assert site.run("backup.list")[1]["results"][0]["proven"] is True


def test_old_backups_outlive_a_new_assertion(site: Site) -> None:
    """Four backups of a table that was small then are drilled with what is expected now, and none is deleted for it."""
    for _ in range(4):
        taken(site)
    names = sorted(path.name for path in (site.folder / "backups").glob("*.db"))
    site.configure(MANY)
    for name in names:
        assert site.run("backup.drill", "--from", name)[0] == 1
    assert site.run("backup.prune", "--yes")[0] < 2
    proven = {row["name"]: row["proven"] for row in site.run("backup.list")[1]["results"]}
    assert proven[names[-1]]
    assert all(proven.values())


def test_one_that_was_added_and_cannot_be_asked_only_warns(site: Site) -> None:
    """An added assertion that cannot be asked does not leave the verdict open."""
    taken(site).configure("row_count = 'later'\nmin = 1", 'command = ["no-such-program"]')
    code, verdict, findings = site.drill()
    assert (code, verdict) == (1, "passed")
    assert {(item["severity"], item["blocking"]) for item in findings} == {("warning", False)}


def test_one_that_was_removed_is_still_asked(site: Site) -> None:
    """An assertion that was taken out of the configuration since is asked, warns, and says so."""
    taken(site, MANY).configure()
    code, verdict, (finding,) = site.drill()
    assert (code, verdict, finding["severity"]) == (1, "passed", "warning")
    assert "is not any more" in finding["message"]


def test_other_limits_of_the_same_subject(site: Site) -> None:
    """Where only the limits were changed, those of its time bind and those of today warn."""
    taken(site, FEW).configure(MANY)
    code, verdict, findings = site.drill()
    assert (code, verdict) == (1, "passed")
    assert [item["severity"] for item in findings] == ["ok", "warning"]
    taken(site, MANY).configure(FEW)
    assert site.drill()[:2] == (2, "failed")


def test_the_same_duration_in_other_words(site: Site) -> None:
    """Durations are texts in the manifest, and mean what they meant."""
    taken(site, "fresh = 't.x'\nmax_age = '24h'").configure("fresh = 't.x'\nmax_age = '1d'")
    _, _, findings = site.drill()
    assert len(findings) == 1


def test_a_source_that_is_not_configured_here(site: Site) -> None:
    """On a machine that has only the store, a backup is drilled with the assertions of its time."""
    taken(site, MANY)
    name = next((site.folder / "backups").glob("*.db")).name
    (site.folder / "ops.toml").write_text(STORE)
    code, document = site.run("backup.drill", "--from", name)
    assert (code, document["results"][0]["verdict"]) == (2, "failed")


def test_the_first_version_is_asked_what_is_configured(site: Site) -> None:
    """A manifest of version 1 keeps no assertions: the configured ones bind."""
    taken(site)

    def first(document: dict[str, Any]) -> None:
        document["version"] = 1
        for key in ("host", "boot", "series"):
            document.pop(key)

    site.change_manifest(first)
    site.configure(MANY)
    (name,) = (site.folder / "backups").glob("*.db")
    code, document = site.run("backup.drill", "--from", name.name)
    assert (code, document["results"][0]["verdict"]) == (2, "failed")


@pytest.mark.parametrize("odd", [*ODD, ODD])
def test_an_assertion_that_nobody_understands(site: Site, odd: object) -> None:
    """What a later version, or nobody, has written as an assertion is a warning that it was not asked."""
    taken(site)
    site.change_manifest(lambda document: document.update(assertions=odd if odd is ODD else [odd]))
    code, verdict, findings = site.drill()
    assert (code, verdict) == (1, "passed")
    assert {item["code"] for item in findings} == {"assert.not_asked"}
    assert len(findings) == (len(ODD) if odd is ODD else 1)


@pytest.mark.parametrize(
    "odd",
    [
        {"row_count": "\ud800"},
        {"query": "select '\ud800'", "expect": 1},
        {"fresh": "t.\ud800", "max_age": "1d"},
    ],
)
def test_an_assertion_that_is_no_text(site: Site, odd: object) -> None:
    """Half a character, which no database takes, is a warning that the assertion was not asked."""
    taken(site)
    site.change_manifest(lambda document: document.update(assertions=[odd]))
    code, verdict, findings = site.drill()
    assert (code, verdict) == (1, "passed")
    assert {item["code"] for item in findings} <= {"assert.undecided", "assert.not_asked"}
    assert findings


@pytest.mark.parametrize("odd", [5, "text", {"row_count": "t"}, None])
def test_no_list_of_assertions(site: Site, odd: object) -> None:
    """What is no list at all does not make the backup unusable."""
    taken(site)
    site.change_manifest(lambda document: document.update(assertions=odd))
    assert site.drill()[1] == "passed"


class TestCommands:
    """A store is not trusted to run programs."""

    def touch(self, site: Site, name: str) -> list[str]:
        """A command that leaves a file."""
        return ["sh", "-c", f"touch {site.folder / name}"]

    def test_one_of_the_manifest_alone_is_not_run(self, site: Site) -> None:
        """A command that only the manifest has is told, and not run."""
        taken(site)
        command = self.touch(site, "ran")
        site.change_manifest(lambda document: document.update(assertions=[{"command": command}]))
        code, verdict, (finding,) = site.drill()
        assert (code, verdict, finding["code"]) == (1, "passed", "assert.not_asked")
        assert not (site.folder / "ran").exists()

    def test_nearly_the_configured_one_is_not_run(self, site: Site) -> None:
        """One word more, and it is another command: the configured one is run, as an added one."""
        taken(site)
        site.configure(f"command = {json.dumps(self.touch(site, 'right'))}")
        command = [*self.touch(site, "wrong"), "more"]
        site.change_manifest(lambda document: document.update(assertions=[{"command": command}]))
        _, _, findings = site.drill()
        assert [item["code"] for item in findings] == ["assert.passed", "assert.not_asked"]
        assert (site.folder / "right").exists()
        assert not (site.folder / "wrong").exists()

    def test_the_configured_one_is_run_once_for_as_long_as_configured(self, site: Site) -> None:
        """Word for word the configured command binds, with the time that the configuration gives it."""
        text = f"command = {json.dumps(['sh', '-c', f'echo x >> {site.folder}/ran; exit 3'])}"
        taken(site, f"{text}\ntimeout = '5m'").configure(f"{text}\ntimeout = '1m'")
        code, verdict, findings = site.drill()
        assert (code, verdict, len(findings)) == (2, "failed", 1)
        assert (site.folder / "ran").read_text() == "x\n"


@pytest.mark.parametrize("statement", ["ATTACH '{0}' AS other", "VACUUM INTO '{0}'"])
def test_a_query_of_a_manifest_makes_no_file(site: Site, statement: str) -> None:
    """A statement that would write another file is not carried out, whoever wrote it."""
    taken(site)
    query = statement.format(site.folder / "made")
    site.change_manifest(lambda document: document.update(assertions=[{"query": query}]))
    assert site.drill()[1] == "passed"
    assert not (site.folder / "made").exists()
    site.configure(f'query = "{query}"')
    assert site.drill()[1] == "inconclusive"
    assert not (site.folder / "made").exists()
