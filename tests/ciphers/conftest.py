"""Each cipher in turn, with keys of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.ciphers.gpg import driver as gpg
from tests.ciphers.keyrings import (
    SORTS,
    Case,
    Rings,
    age_case,
    gpg_case,
    gpg_rings,
    passphrase_case,
    require_program,
    short_temporary,
)


@pytest.fixture(scope="session")
def rings() -> Iterator[Rings]:
    """Real keyrings of gpg that the session shares."""
    require_program("gpg")
    with gpg_rings() as made:
        yield made


@pytest.fixture(params=SORTS)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Each sort of cipher."""
    sort: str = request.param
    require_program(sort.split("-", maxsplit=1)[0])
    folder = tmp_path / "keys"
    folder.mkdir(0o700)
    if sort.startswith("age"):
        monkeypatch.setattr("ops.ciphers.age.engines.LIBRARY_UP_TO", -1 if sort == "age-program" else 1 << 40)
        return age_case(sort, folder)
    if sort == "gpg-keys":
        return gpg_case(request.getfixturevalue("rings"))
    # As many rounds as are right would take most of the tests' time.
    quick = [word if word != "65011712" else "65536" for word in gpg._SLOW]
    monkeypatch.setattr(gpg, "_SLOW", tuple(quick))
    return passphrase_case(sort, folder)


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of the test alone."""
    with short_temporary(monkeypatch) as place:
        yield place
