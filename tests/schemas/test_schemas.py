"""The JSON of every task has a schema, and one that a wrong document does not pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, ValidationError

from ops.report.schemas import schema_of
from ops.tasks import collection
from tests.conftest import execute, run_drillbook
from tests.schemas.answers import Document, require_valid, validator
from tests.schemas.build import FOLDER, built, file_of, written
from tests.schemas.shapes import Schema

TASKS: Final = sorted(collection().task_names)
CONFIG: Final = """
[source.app]
kind = "sqlite"
path = "app.db"
rto = "1h"
stores = ["local", "sealed"]
[[source.app.assert]]
row_count = "t"
min = 1
[source.jobs]
kind = "sqlite"
path = "jobs.db"
stores = ["encrypted"]
[store.local]
kind = "local"
path = "backups"
[store.sealed]
kind = "local"
path = "sealed"
encrypt = "words"
[store.encrypted]
kind = "local"
path = "encrypted"
encrypt = "words"
[cipher.words]
kind = "openssl"
passphrase_file = "words"
[ingest]
source = "jobs"
locks = "locks"
[snapshot.all]
source = "app"
table = "t"
order = ["a"]
"""
JOBS: Final = """
CREATE TABLE ingest_logs (ticker, job_id, started_at, finished_at, rows_fetched, status, error_message);
INSERT INTO ingest_logs VALUES
  ('PETR4', 'a', '2026-03-15T08:00:00Z', '2026-03-15T08:00:01Z', 5, 'success', NULL),
  ('VALE3', 'b', '2026-03-15T08:00:00Z', '2026-03-15T08:00:01Z', NULL, 'error', 'HTTP 429');
"""
LATEST: Final = ("latest", "-s", "app")
ASKED: Final = (
    ("demo", "--out", "demo", "--without", "petshop"),
    ("backup.create", "--dry-run"),
    ("backup.create", "--verify"),
    ("backup.list",),
    ("backup.verify",),
    ("backup.drill",),
    ("backup.show", *LATEST),
    ("backup.restore", "-s", "app", "--to", "new.db"),
    ("backup.restore", "-s", "app", "--dry-run", "--yes"),
    ("backup.keep", *LATEST, "--reason", "audit"),
    ("backup.prune", "--dry-run"),
    ("backup.release", *LATEST),
    ("doctor",),
    ("explain", "backup.overdue"),
    ("explain",),
    ("metrics",),
    ("logs",),
    ("test-conn", "--no-network"),
    ("store.check",),
    ("store.push",),
    ("store.push", *LATEST),
    ("store.pull", "sealed:latest", "-s", "app"),
    ("store.reencrypt", "--dry-run"),
    ("snapshot.create", "--name", "all", "--out", "all.csv"),
    ("snapshot.verify", "--path", "locks", "--update"),
    ("snapshot.restore-verify", "all.csv", "--name", "all"),
)
SNAPSHOTS: Final = (
    ("snapshot.create", "--name", "all"),
    ("snapshot.verify", "--update"),
    ("snapshot.purge", "--dry-run"),
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """What each task answers to requests that it can fulfil; each is valid (`run_drillbook` looks at that)."""
    folder = tmp_path_factory.mktemp("answers")
    execute(folder / "app.db", "CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    execute(folder / "jobs.db", JOBS)
    for name, text in (("ops.toml", CONFIG), ("words", "secret words\n")):
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o600)
    for name in ("locks", "snapshots"):
        (folder / name).mkdir()
    (folder / "locks" / "PETR4.lock").touch()
    found = [asked(folder, *words) for words in ASKED]
    found += [asked(folder, *words, SNAPSHOT_DIR=str(folder / "snapshots")) for words in SNAPSHOTS]
    return [*found, adopted(folder)]


def asked(folder: Path, *words: str, **environment: str) -> Document:
    """The JSON answer of a task, which has a result."""
    ended = run_drillbook(*words, "--format", "json", cwd=folder, environment=environment)
    document: Document = json.loads(ended.stdout)
    assert document["results"], document
    return document


def adopted(folder: Path) -> Document:
    """The answer of a task that needs a second series: that of a database in the place of the first."""
    config = folder / "ops.toml"
    config.write_text(config.read_text("utf-8").replace('path = "app.db"', 'path = "other.db"'), "utf-8")
    execute(folder / "other.db", "CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1)")
    former = {item["series"] for item in asked(folder, "backup.list", "--all", "-s", "app")["results"]}
    return asked(folder, "backup.adopt", former.pop()[:8], "-s", "app", "--yes")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_schema(task: str) -> None:
    """docs/schemas has a file for each task, which is a schema, and the one that its answers name."""
    assert task in built(), f"{task} has no schema: add its answer in tests/schemas"
    document = json.loads(file_of(task).read_text("utf-8"))
    Draft202012Validator.check_schema(document)
    assert document["$id"] == document["properties"]["schema"]["const"] == schema_of(task)


def test_no_schema_is_of_nothing() -> None:
    """There is no schema of a task that does not exist, and no other file."""
    assert sorted(built()) == TASKS
    assert {path.name for path in FOLDER.iterdir()} == {file_of(task).name for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_files_are_those_that_are_built(task: str) -> None:
    """Each file is what `python -m tests.schemas.build` writes."""
    assert file_of(task).read_text("utf-8") == written(built()[task])


def test_every_shape_of_a_result_is_looked_at(answers: list[Document]) -> None:
    """The answers below have a result of each task, and of each shape that a task's results can have."""
    for task, schema in built().items():
        results = [result for answer in answers if answer["task"] == task for result in answer["results"]]
        assert results, f"{task} is not asked"
        for shape in schema["$defs"]["result"].get("oneOf", []):
            fitting = Draft202012Validator({**shape, "$defs": schema["$defs"]})
            assert any(map(fitting.is_valid, results)), f"{task}: no {shape['$ref']}"


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_document_is_refused(task: str, answers: list[Document]) -> None:
    """A document that lacks a field, has one more, or has a value of another type in one, is not valid."""
    schema, tried = built()[task], 0
    for answer in answers:
        if answer["task"] == task:
            short = shortened(answer)
            validator(task).validate(short)
            for what, wrong in spoilt(short, short, schema, schema["$defs"], task):
                tried += 1
                assert not validator(task).is_valid(wrong), what
    assert tried >= len(schema["required"]) + len(schema["properties"])


def shortened(value: Any, *, top: bool = True) -> Any:  # noqa: ANN401 - JSON
    """The same with the first item of each list but that of the results."""
    if isinstance(value, dict):
        return {key: shortened(item, top=top and key == "results") for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item, top=False) for item in (value if top else value[:1])]
    return value


def spoilt(
    document: Document,
    value: Any,  # noqa: ANN401 - JSON
    shape: Schema,
    defs: Mapping[str, Schema],
    where: str,
) -> Iterator[tuple[str, Document]]:
    """The document with one thing wrong below `value`, which is in it and has that shape; each in turn, and what it is."""
    shape = chosen(value, shape, defs)
    if isinstance(value, dict):
        for key in shape.get("required", []):
            yield f"{where}: without {key}", changed(document, value, key, None)
        if shape.get("additionalProperties") is False:
            yield f"{where}: with one more", changed(document, value, "one more", 1)
        for key, item in shape.get("properties", {}).items():
            if key in value:
                wrong = "text" if isinstance(value[key], list | dict) else []
                yield f"{where}: another type of {key}", changed(document, value, key, wrong)
                yield from spoilt(document, value[key], item, defs, f"{where}/{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from spoilt(document, item, shape["items"], defs, f"{where}/{number}")


def chosen(value: object, shape: Schema, defs: Mapping[str, Schema]) -> Schema:
    """The shape itself, where it is a reference or one of several."""
    if "$ref" in shape:
        return chosen(value, defs[shape["$ref"].rpartition("/")[2]], defs)
    choices: list[Schema] = [] if "properties" in shape else shape.get("oneOf") or shape.get("anyOf") or []
    for choice in choices:
        if Draft202012Validator({**choice, "$defs": defs}).is_valid(value):
            return chosen(value, choice, defs)
    return shape


def changed(document: Document, within: dict[str, Any], key: str, value: Any) -> Document:  # noqa: ANN401 - JSON
    """A copy of the document in which one key of one object has another value, or is gone."""
    former = dict(within)
    within.pop(key, None)
    if value is not None:
        within[key] = value
    made = copy.deepcopy(document)
    within.clear()
    within.update(former)
    return made


@pytest.mark.parametrize(
    ("status", "code", "right"),
    [("ok", 0, True), ("warning", 1, True), ("critical", 2, True), ("critical", 143, True), ("ok", 143, False),
     ("ok", 1, False), ("critical", 0, False), ("warning", 2, False), ("critical", 3, False)],
)  # fmt: skip
def test_status_and_exit_code_go_together(status: str, code: int, right: bool) -> None:
    """A status has its exit code; a signal ends with one above 128."""
    document = {
        "schema": schema_of("backup.list"),
        "task": "backup.list",
        "status": status,
        "exit_code": code,
    }
    document |= {"results": [], "findings": [], "errors": []}
    assert validator("backup.list").is_valid(document) is right


def test_a_wrong_answer_of_any_test_is_noticed() -> None:
    """What tests have tasks print is held against the schemas: an answer that is not valid fails the test that asked."""
    require_valid("no JSON")
    with pytest.raises(ValidationError):
        require_valid('{"task": "backup.list", "status": "ok", "exit_code": 0}')
