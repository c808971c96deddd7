"""Nothing that an operator can type, meet or be told is missing from the documentation, and nothing there is invented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ops.codes import CODES
from ops.config import assertions, reading, source_tables
from ops.registry import CIPHERS, SOURCES, STORES
from ops.report import exit_codes
from ops.report.next_moves import codes
from ops.tasks import collection
from tests.docs.console import read_scenarios
from tests.docs.test_commands import PAGES, REPOSITORY

OPERATIONS = REPOSITORY / "docs" / "operations"
TASKS = collection().task_names
PAGE_OF_TASK = {
    "demo": "demo.md",
    "doctor": "doctor.md",
    "explain": "exit-codes.md",
    "logs": "ingest.md",
    "metrics": "ingest.md",
    "test-conn": "ingest.md",
    "backup.create": "backup.md",
    "backup.list": "backup.md",
    "backup.show": "backup.md",
    "backup.verify": "verify.md",
    "backup.restore": "restore.md",
    "backup.drill": "drill.md",
    "store.check": "stores.md",
    "store.push": "stores.md",
    "store.reencrypt": "encryption.md",
    "store.pull": "stores.md",
    "snapshot.create": "snapshots.md",
    "snapshot.verify": "snapshots.md",
    "snapshot.purge": "snapshots.md",
    "snapshot.restore-verify": "snapshots.md",
    "backup.prune": "retention.md",
    "backup.adopt": "series.md",
    "backup.keep": "retention.md",
    "backup.release": "retention.md",
}
DOTTED = re.compile(r"[a-z]+\.[a-z_]+\Z")
NO_CODE = re.compile(r"\A[a-z]\.|\.(?:conf|dump|json|log|md|pid|sql)\Z")
"""Columns of tables with one letter in SQL, and names of files."""
ROW = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \| (.+) \|$")


def text_of(name: str) -> str:
    """The text of a page under docs/operations."""
    return (OPERATIONS / name).read_text(encoding="utf-8")


def rows_below(heading: str) -> dict[str, str]:
    """Code -> rest of the row, of the table below a heading of exit-codes.md."""
    section = text_of("exit-codes.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return {row[1]: row[2] for line in section.splitlines() if (row := ROW.match(line))}


def dotted_constants() -> Iterator[tuple[Path, str]]:
    """Each dotted word that is an argument of a call, or stands in a tuple, somewhere in the package."""
    for path in sorted((REPOSITORY / "ops").rglob("*.py")):
        for holder in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in _held(holder):
                for node in ast.walk(value):
                    if isinstance(node, ast.Constant) and DOTTED.match(str(node.value)):
                        yield path, str(node.value)


def _held(node: ast.AST) -> list[ast.expr]:
    """What a call is given, or a tuple made of."""
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return node.elts if isinstance(node, ast.Tuple) else []


def finding_codes() -> set[str]:
    """The codes of findings that are no error codes, read from the source text."""
    used = {code for path, code in dotted_constants() if "demo" not in path.parts}
    used = {code for code in used if not NO_CODE.search(code)}
    return used - CODES.keys() - set(TASKS) - {reading.DEFAULT_FILE}


def test_every_task_has_a_page() -> None:
    """Each task is described on the page that this test names, under its full name."""
    assert PAGE_OF_TASK.keys() == set(TASKS)
    assert all(task in text_of(page) for task, page in PAGE_OF_TASK.items())


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_option_is_on_the_page_of_its_task(task: str) -> None:
    """Each option of a task, and each positional argument, is explained where the task is."""
    text = text_of(PAGE_OF_TASK[task])
    for argument in collection()[task].get_arguments():
        shown = argument.name.upper() if argument.positional else f"--{argument.name.rstrip('_')}"
        assert shown.replace("_", "-") in text, f"{shown} is missing"


def test_no_option_is_invented() -> None:
    """Every option that is named in a table of a task's page exists."""
    known = {
        f"--{argument.name.rstrip('_').replace('_', '-')}"
        for task in TASKS
        for argument in collection()[task].get_arguments()
    }
    for page in set(PAGE_OF_TASK.values()):
        rows = [line.split("|")[1] for line in text_of(page).splitlines() if line.startswith("| `")]
        named = set(re.findall(r"--[a-z][a-z-]+", " ".join(rows)))
        assert named <= known, page


def test_error_codes_are_complete_and_worded_alike() -> None:
    """The table of error codes is `CODES`: nothing missing, nothing invented, the same words."""
    assert {code: row.partition(" | ")[0] for code, row in rows_below("Error codes").items()} == CODES


def test_finding_codes_are_complete() -> None:
    """The table of finding codes has every code that the package can give a finding, and no other."""
    assert rows_below("Finding codes").keys() == finding_codes()


def test_what_explain_prints_is_what_the_page_says() -> None:
    """The page in the package, of which `explain` and all next moves are taken, has the rows of the documentation."""
    page = {**rows_below("Error codes"), **rows_below("Finding codes")}
    known = codes()
    assert known.keys() == page.keys()
    for item in known.values():
        cells = [*(() if item.severity == "error" else (item.severity,)), item.meaning, item.move or "-"]
        assert page[item.code] == " | ".join(cells)


def test_every_code_that_needs_a_look_has_a_next_move() -> None:
    """Whatever can be an error, a warning or critical says what to do; what is always fine says nothing."""
    for item in codes().values():
        needs_a_look = re.search("error|warning|critical", item.severity) is not None
        assert bool(item.move) is needs_a_look, item.code


def test_next_moves_name_tasks_pages_and_sections_that_exist() -> None:
    """No next move leads nowhere: tasks, options, pages and sections of the runbook in it are there."""
    sections = set(re.findall(r"^## (.+)$", text_of("runbook.md"), re.MULTILINE))
    options = {
        f"--{argument.name.rstrip('_').replace('_', '-')}"
        for task in TASKS
        for argument in collection()[task].get_arguments()
    }
    for item in codes().values():
        named = set(re.findall(r"(?:backup|store|snapshot)\.[a-z-]+(?![\w.]|/)", item.move))
        assert named - {"store.json", *codes()} <= set(TASKS), item
        assert set(re.findall(r"\(runbook: ([^)]+)\)", item.move)) <= sections, item
        assert set(re.findall(r"--[a-z][a-z-]+", item.move)) <= {*options, "--help"}, item
        assert all((OPERATIONS / page).is_file() for page in re.findall(r"[a-z0-9-]+\.md", item.move)), item


def test_no_page_names_an_unknown_code() -> None:
    """A code in backticks on any page is one that exists."""
    families = {code.split(".")[0] for code in [*CODES, *finding_codes()]} - {"backup", "demo", "doctor"}
    pattern = re.compile(rf"`((?:{'|'.join(sorted(families))})\.[a-z_]+)`")
    known = CODES.keys() | finding_codes() | set(TASKS)
    for page in PAGES:
        unknown = (
            set(pattern.findall(page.read_text(encoding="utf-8"))) - known - {"source.prices", "store.json"}
        )
        assert not unknown, page.name


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes has the three that tasks end with, here and in the README."""
    for page in (OPERATIONS / "exit-codes.md", REPOSITORY / "README.md"):
        text = page.read_text(encoding="utf-8")
        assert all(
            f"| `{code}` |" in text for code in (exit_codes.OK, exit_codes.WARNING, exit_codes.CRITICAL)
        )


def test_every_kind_and_store_has_its_keys_documented() -> None:
    """Each kind has a page, and each key of each kind and store is in config.md."""
    config = text_of("config.md")
    for kind, (options, _) in {**SOURCES, **STORES}.items():
        assert f"`{kind}`" in config
        assert all(f"| `{field.name}` |" in config for field in fields(options))
    for kind in SOURCES:
        assert (OPERATIONS / f"{kind}.md").is_file()
        assert f"`{kind}`" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_cipher_has_its_keys_documented() -> None:
    """Each cipher has a section of encryption.md, and each of its keys a row in it."""
    text = text_of("encryption.md")
    for kind, (options, _) in CIPHERS.items():
        section = text.partition(f"## Keys of `{kind}`")[2].partition("\n## ")[0]
        assert all(f"| `{field.name}` |" in section for field in fields(options)), kind


def test_every_common_key_of_a_source_is_documented() -> None:
    """Each key that all sources share, and each key of an assertion, is in config.md."""
    config = text_of("config.md")
    common = {field.name.rstrip("_") for field in fields(source_tables.SourceTable)}
    asserting = {field.name for field in fields(assertions.AssertTable)}
    missing = [key for key in common | asserting if f"`{key}" not in config]
    assert not missing


def test_the_index_lists_every_page() -> None:
    """Every page under docs/operations is reachable from its index."""
    index = text_of("index.md")
    pages = {page.name for page in OPERATIONS.glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_written_exit_codes_are_those_of_the_blocks() -> None:
    """Where the line below a block begins with "Exit code N", the block really ends with N."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        exits = [block.exit_code for scenario in read_scenarios(page) for block in scenario.blocks]
        after = re.findall(r"^```console\n\$ .*?^```\n\n?([^\n]*)", text, re.MULTILINE | re.DOTALL)
        assert len(exits) == len(after), page.name
        said = [int(line[10]) if re.match(r"Exit code \d", line) else None for line in after]
        assert all(code in {None, exits[place]} for place, code in enumerate(said)), (page.name, said, exits)


def test_every_step_of_the_runbook_is_complete() -> None:
    """Each section of the runbook has a symptom, a cure, and is named in the table at its top."""
    text = text_of("runbook.md")
    top, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    for section in sections[:-1]:
        title = section.partition("\n")[0]
        assert f"[{title}](#" in top, title
        assert "**Symptom" in section, title
        assert "**Cure.**" in section or "**4. Do it.**" in section or "$ drillbook" in section, title
    assert sections[-1].startswith("Escalation\n")
