"""Runs every command that the documentation shows, and compares what it prints and how it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.sources.postgres.server.server import RunningServer
from tests.docs.builders import BUILDERS, NEED_SERVER
from tests.docs.console import FOLDER, STATE, Block, Command, Scenario, differs, read_scenarios, with_stamps
from tests.docs.petshop import petshop_server
from tests.docs.place import NotHereError, Place, clean_environment
from tests.schemas.answers import require_valid
from tests.terminals import on_a_terminal

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
AT_ONCE = 4
Played = dict[int, Future[None]]
SCENARIOS = [scenario for page in PAGES for scenario in read_scenarios(page)]


def scenario_name(number: int) -> str:
    """Page and heading."""
    scenario = SCENARIOS[number]
    return f"{scenario.page.name}: {scenario.title}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What all scenarios of a session share: built demos to copy, and the PostgreSQL server where one can be run."""

    templates: Path
    server: RunningServer | None


def build_place(scenario: Scenario, root: Path, shared: Shared, undo: ExitStack) -> Place:
    """The scenario's folder, filled by its fixture; raises NotHereError where that cannot be done."""
    folder, scratch = root / "demo", root / "tmp"
    folder.mkdir(mode=0o700)
    scratch.mkdir(mode=0o700)
    place = Place(folder, clean_environment(root, scratch), shared.templates, undo, shared.server)
    BUILDERS[scenario.fixture](place)
    return place


def run(
    command: Command, place: Place, stamps: dict[str, str], columns: int
) -> subprocess.CompletedProcess[str]:
    """The command in a shell of its own, on a terminal that is wide enough for everything, and has no colours. JSON answers are valid."""
    text = with_stamps(command.text, stamps).replace("/tmp", place.environment["TMPDIR"])
    text = text.replace(STATE, place.environment["OPS_STATE_DIR"])
    text = place.real(text.replace(FOLDER, str(place.folder)))
    ended = on_a_terminal(["bash", "-c", text], place.folder, place.environment, columns)
    require_valid(ended.stdout)
    return ended


def as_documented(printed: str, place: Place) -> str:
    """The output with the folders named as the documentation names them."""
    text = place.documented(printed).replace(str(place.folder), FOLDER)
    text = text.replace(place.environment["OPS_STATE_DIR"], STATE)
    return text.replace(place.environment["TMPDIR"], "/tmp")


def require_block(block: Block, place: Place, scenario: Scenario, stamps: dict[str, str]) -> None:
    """Run the block's commands one after another; fails at the first that does not do as shown."""
    for command in block.commands:
        ended = run(command, place, stamps, block.columns)
        where = f"{scenario.page.relative_to(REPOSITORY)}:{command.number}: $ {command.text}"
        difference = differs(command.shown, as_documented(ended.stdout, place), stamps)
        assert difference is None, f"{where}\n{difference}"
        expected = block.exit_code if command is block.commands[-1] else 0
        assert ended.returncode == expected, f"{where}\nexit code {ended.returncode}, not {expected}"


def play(scenario: Scenario, root: Path, shared: Shared) -> None:
    """The whole scenario, from its fixture to its end; raises what goes wrong."""
    stamps: dict[str, str] = {}
    with ExitStack() as undo:
        place = build_place(scenario, root, shared, undo)
        for block in scenario.blocks:
            require_block(block, place, scenario, stamps)


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All selected scenarios, played side by side: they wait for processes most of the time."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = [call.params["number"] for call in calls if call is not None and "number" in call.params]
    needs_server = any(SCENARIOS[number].fixture in NEED_SERVER for number in chosen)
    with petshop_server() if needs_server else nullcontext() as server, ThreadPoolExecutor(AT_ONCE) as pool:
        shared = Shared(tmp_path_factory.mktemp("templates"), server)
        yield {
            number: pool.submit(play, SCENARIOS[number], tmp_path_factory.mktemp("scenario"), shared)
            for number in chosen
        }


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=scenario_name)
def test_shown_commands_do_what_the_page_shows(number: int, played: Played) -> None:
    """Each command of a page prints what the page shows below it and ends with the documented exit code."""
    commands = [command.text for block in SCENARIOS[number].blocks for command in block.commands]
    try:
        played[number].result()
    except NotHereError as error:
        skip_or_fail(str(error))
    except AssertionError:
        if shutil.which("sqlite3") is None and any(text.startswith("sqlite3 ") for text in commands):
            skip_or_fail("the program sqlite3 is not installed here")
        raise


def skip_or_fail(why: str) -> None:
    """Skip the test, unless this is CI: there everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def test_every_fixture_is_used() -> None:
    """No fixture is built for nobody, and no page asks for one that is not there."""
    assert {scenario.fixture for scenario in SCENARIOS} == BUILDERS.keys()
