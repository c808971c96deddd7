from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.snapshots.tables import answer, drive, make_odd


def other_pythons() -> list[Path]:
    """Every Python from 3.11 on this machine, found by asking each one that there could be."""
    names = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    managed = sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python3"))
    found: dict[str, Path] = {}
    for python in [*map(Path, filter(None, names)), *managed]:
        ended = subprocess.run(
            [python, "-c", "import sqlite3, sys; print(*sys.version_info[:3])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == 0:
            found.setdefault(ended.stdout, python)
    return list(found.values())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The digests of the odd table as CSV and JSON, made under ordinary conditions."""
    place = tmp_path_factory.mktemp("expected")
    make_odd(place / "odd.db")
    found = [digest(place / "odd.db", place / form, form=form) for form in ("csv", "json")]
    return found[0], found[1]


def digest(database: Path, folder: Path, **options: object) -> str:
    """The digest of a snapshot of the table `odd`."""
    environment = options.pop("environment", None)
    python = options.pop("python", None)
    more = {} if python is None else {"python": python}
    ended = drive(
        "create",
        {"database": str(database), "folder": str(folder), "table": "odd", **options},
        environment=environment,  # type: ignore[arg-type] # a mapping of text
        **more,  # type: ignore[arg-type] # a path
    )
    return str(answer(ended)["sha256"])


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "America/St_Johns", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "2"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0", "PYTHONHASHSEED": "3"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONHASHSEED": "4"},
    ],
)
def test_no_setting_of_a_machine_matters(
    tmp_path: Path, expected: tuple[str, str], environment: dict[str, str]
) -> None:
    """Time zone, locale and hash seed change neither bytes nor digest."""
    make_odd(tmp_path / "odd.db")
    for form, wanted in zip(("csv", "json"), expected, strict=True):
        assert digest(tmp_path / "odd.db", tmp_path / form, form=form, environment=environment) == wanted


@pytest.mark.parametrize(
    ("page_size", "encoding", "mode", "seed"),
    [
        (512, "UTF-8", "wal", 1),
        (65536, "UTF-8", "delete", 2),
        (4096, "UTF-16le", "wal", 3),
        (1024, "UTF-16be", "truncate", 4),
    ],
)
def test_no_property_of_a_database_matters(
    tmp_path: Path, expected: tuple[str, str], page_size: int, encoding: str, mode: str, seed: int
) -> None:
    """Page size, text encoding, journal mode and the order of insertion change neither bytes nor digest."""
    make_odd(tmp_path / "odd.db", page_size=page_size, encoding=encoding, mode=mode, seed=seed)
    for form, wanted in zip(("csv", "json"), expected, strict=True):
        assert digest(tmp_path / "odd.db", tmp_path / form, form=form) == wanted


def test_no_version_of_python_matters(tmp_path: Path, expected: tuple[str, str]) -> None:
    """Every Python that is installed here writes the same bytes, with the SQLite that it brings."""
    pythons = other_pythons()
    if len(pythons) < 2:
        pytest.skip("one Python only on this machine")
    make_odd(tmp_path / "odd.db")
    for number, python in enumerate(pythons):
        clean = {"PYTHONHOME": "", "VIRTUAL_ENV": ""}
        for form, wanted in zip(("csv", "json"), expected, strict=True):
            folder = tmp_path / f"{form}-{number}"
            found = digest(tmp_path / "odd.db", folder, form=form, python=python, environment=clean)
            assert found == wanted, python


def test_deleted_rows_and_vacuum_do_not_matter(tmp_path: Path, expected: tuple[str, str]) -> None:
    """Rows that came and went, and a VACUUM that gives other row ids, change nothing."""
    path = tmp_path / "odd.db"
    make_odd(path, seed=9)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO odd SELECT * FROM odd")
        connection.execute(
            'DELETE FROM odd WHERE rowid IN (SELECT max(rowid) FROM odd GROUP BY v, typeof(v), "n,1", typeof("n,1"), t COLLATE BINARY)'
        )
        connection.execute("VACUUM")
    assert digest(path, tmp_path / "csv") == expected[0]


def test_the_file_is_the_one_that_is_documented(tmp_path: Path, expected: tuple[str, str]) -> None:
    """The digest of the odd table is frozen here: a change of the form is seen even if it is consistent."""
    assert expected == (
        "60c5a8390fafb1086cdc2762db18f3af9f8d1d4e8ccd801b40d1218e411b6896",
        "1d4ad2070c0b600cd1b57c3711ae8c18d2936a14796a393cb1ccde4827a314a1",
    )
