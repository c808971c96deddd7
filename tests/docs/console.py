"""Reading the `console` blocks of the documentation, and comparing what they show with what happened.

A page is a list of scenarios. A scenario is one `console` block, or several that go on in the same folder.
HTML comments right before a block say what a reader need not see:

    <!-- fixture: NAME -->   which folder the scenario begins in (see `builders`); the default is `demo`
    <!-- continue -->        the block goes on where the last one ended
    <!-- exit: N -->         what the last command of the block ends with; the default is 0
    <!-- columns: N -->      how wide the terminal is; the default is wide enough for every table

In a block, `$ ` begins a command, a backslash at a line's end continues it, all else is expected output.
`…` stands for anything within a line, a line of `…` alone for any number of lines. What differs from run to run by
its nature (times, durations, sizes, digests, ids, padding of tables) is not compared. The stamp in a
backup's name is a variable: what it is first seen to be, it must be from then on, in commands too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = "/srv/demo"
"""What the documentation calls the folder that a scenario runs in."""
STATE: Final = "/var/lib/drillbook"
"""What it calls the state folder."""
_WIDE: Final = 1000
_FENCE: Final = re.compile(r"^(?P<fence>```+)(?P<language>\w*)\s*$")
_COMMENT: Final = re.compile(r"^<!--\s*(?P<key>[a-z]+)(?::\s*(?P<value>[^>]*?))?\s*-->$")
_STAMP: Final = re.compile(r"\d{8}(?:T\d{6}Z|-\d{6}\b)")
_VARYING: Final = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\b\d{4}-\d\d-\d\d([T ][\d:.]+Z)?\b"), "DATE"),
    (re.compile(r"(?<=Z-)[0-9a-f]{8}(?=\.json)"), "JOB"),
    (re.compile(r"(?<=drillbook-scratch-)\w{8}"), "RANDOM"),
    (re.compile(r"\b(\d{1,2}(\.\d{1,2})? s|[0-9]m [0-9]{2}s)(?![\w.])"), "SECONDS"),
    (re.compile(r"\b(fetch|load|check|assert) \d+\.\d\d\b"), r"\1 N"),
    (re.compile(r"(\"[a-z_]*_ms\": )\d+"), r"\1N"),
    (re.compile(r"\b[\d.]+ [KMGT]iB\b"), "SIZE"),
    (re.compile(r"\b(pid|process) \d+\b"), r"\1 N"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r"─+"), "─"),
    (re.compile(r"-{3,}"), "---"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a block and the lines that are shown below it; `number` is its line in the page."""

    text: str
    shown: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Block:
    """The commands of one fence, and the exit code of the last of them; `columns`: how wide its terminal is."""

    commands: tuple[Command, ...]
    exit_code: int
    columns: int


@dataclass(slots=True)
class Scenario:
    """Blocks that are run one after another in one folder."""

    page: Path
    title: str
    fixture: str
    blocks: list[Block] = field(default_factory=list)


def read_scenarios(page: Path) -> list[Scenario]:
    """The scenarios of a page in order; raises ValueError for a comment that nothing knows."""
    scenarios: list[Scenario] = []
    notes: dict[str, str] = {}
    title, lines = "", enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    for _, line in lines:
        if line.startswith("#"):
            title = line.lstrip("# ")
        if comment := _COMMENT.match(line):
            notes[comment["key"]] = comment["value"] or ""
        elif fence := _FENCE.match(line):
            body = list(_until(lines, fence["fence"]))
            if fence["language"] == "console" and any(text.startswith("$ ") for _, text in body):
                _add_block(scenarios, page, title, notes, body)
            notes = {}
        elif line.strip():
            notes = {}
    return scenarios


def _until(lines: Iterator[tuple[int, str]], fence: str) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if line.strip() == fence:
            return
        yield number, line


def _add_block(
    scenarios: list[Scenario], page: Path, title: str, notes: dict[str, str], body: list[tuple[int, str]]
) -> None:
    if unknown := notes.keys() - {"fixture", "continue", "exit", "columns"}:
        message = f"{page}, {title}: unknown comment {sorted(unknown)}"
        raise ValueError(message)
    if "continue" not in notes:
        scenarios.append(Scenario(page, title, notes.get("fixture", "demo")))
    columns = int(notes.get("columns", _WIDE))
    scenarios[-1].blocks.append(Block(tuple(_commands(body)), int(notes.get("exit", "0")), columns))


def _commands(body: list[tuple[int, str]]) -> Iterator[Command]:
    text, start = "", 0
    shown: list[str] = []
    for number, line in body:
        if line.startswith("$ "):
            if start:
                yield Command(text, tuple(shown), start)
            text, start, shown = line[2:], number, []
        elif text.endswith("\\") and not shown:
            text = f"{text[:-1]}{line.strip()}"
        else:
            shown.append(line)
    yield Command(text, tuple(shown), start)


def with_stamps(command: str, stamps: dict[str, str]) -> str:
    """The command to run: the stamps of the page replaced by those that they turned out to be."""
    return _STAMP.sub(lambda match: stamps.get(match[0], match[0]), command)


def differs(shown: tuple[str, ...], printed: str, stamps: dict[str, str]) -> str | None:
    """None when `printed` is what the page shows, and then `stamps` knows more; else both, made comparable."""
    expected = "\n".join(_comparable(line) for line in shown).strip("\n")
    actual = "\n".join(_comparable(line) for line in printed.splitlines()).strip("\n")
    names: dict[str, str] = {}
    match = re.fullmatch(_pattern(expected, stamps, names), f"{actual}\n")
    if match is None:
        return f"--- the page shows\n{expected}\n--- the command printed\n{actual}\n"
    stamps.update({stamp: match[name] for stamp, name in names.items()})
    return None


def _comparable(line: str) -> str:
    for varying, word in _VARYING:
        line = varying.sub(word, line)
    return line.rstrip()


def _pattern(expected: str, stamps: dict[str, str], names: dict[str, str]) -> str:
    return "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else f"{_line_pattern(line, stamps, names)}\n"
        for line in expected.split("\n")
    )


def _line_pattern(line: str, stamps: dict[str, str], names: dict[str, str]) -> str:
    pattern, end = "", 0
    for match in _STAMP.finditer(line):
        pattern += _with_dots(line[end : match.start()])
        end = match.end()
        stamp = match[0]
        if stamp in stamps:
            pattern += re.escape(stamps[stamp])
        elif stamp in names:
            pattern += f"(?P={names[stamp]})"
        else:
            names[stamp] = f"stamp{len(names)}"
            pattern += f"(?P<{names[stamp]}>{_STAMP.pattern})"
    return pattern + _with_dots(line[end:])


def _with_dots(text: str) -> str:
    return r"[^\n]*?".join(re.escape(part) for part in text.split("…"))
