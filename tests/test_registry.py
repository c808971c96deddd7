"""The registry names each driver by its kind, and imports it when it is asked for."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.registry import CIPHERS, SOURCES, STORES

ROOT = Path(__file__).parents[1]
ALL: list[Mapping[str, Any]] = [CIPHERS, SOURCES, STORES]


@pytest.mark.parametrize("kinds", ALL)
def test_kinds_are_those_of_the_drivers(kinds: Mapping[str, Any]) -> None:
    """Each driver has the kind under which it is found, and takes the options beside it."""
    assert {kind: driver.kind for kind, (_, driver) in kinds.items()} == {kind: kind for kind in kinds}
    assert all(
        driver.options_type is options
        for options, driver in kinds.values()
        if hasattr(driver, "options_type")
    )


@pytest.mark.parametrize("kinds", ALL)
def test_an_unknown_kind_is_none(kinds: Mapping[str, Any]) -> None:
    """A kind that nobody has is not there, however it is asked for."""
    assert "tape" not in kinds
    assert kinds.get("tape") is None


def test_names_import_no_driver() -> None:
    """Listing the kinds, and asking whether there is one, loads no driver; asking for one loads that one alone."""
    script = (
        "import sys; from ops.registry import CIPHERS, SOURCES, STORES\n"
        "names = [*CIPHERS, *SOURCES, *STORES], 'sqlite' in SOURCES, 's3' in STORES, len(CIPHERS)\n"
        "drivers = lambda: {n for n in sys.modules if n.startswith(('ops.sources.', 'ops.stores.', 'ops.ciphers.'))}\n"
        "print(*drivers(), sep=','); STORES['local']; print(*drivers(), sep=',')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )
    before, after = done.stdout.splitlines()
    assert before == ""
    assert {name.split(".")[2] for name in after.split(",")} == {"local"}
