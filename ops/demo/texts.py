"""Where the demo's text sources lie, in the repository and in a wheel, and the names that its parts share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ops.errors import ConfigError

CONFIG: Final = "ops.toml"
MARKER: Final = ".drillbook-demo"
"""The file that says of a folder that the demo made it and may make it again."""


def fixtures_folder() -> Path:
    """The folder with the demo's text sources: inside an installed package, else in the repository.

    Raises ConfigError (`demo.fixtures_missing`) when this installation has neither.
    """
    here = Path(__file__).resolve()
    places = (here.parent / "fixtures", here.parents[2] / "fixtures" / "demo")
    for place in places:
        if (place / CONFIG).is_file():
            return place
    message = f"the demo's text sources are neither in {places[0]} nor in {places[1]}"
    hint = "install Drillbook again from its wheel, or work in a checkout of its repository"
    raise ConfigError(message, code="demo.fixtures_missing", hint=hint)
