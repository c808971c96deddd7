"""What a wrong configuration is told: the line, what is wrong, and what was probably meant."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.config.reading import read_config
from ops.config.toml_lines import line_of
from ops.errors import ConfigError

SOURCE: Final = '[source.prices]\nkind = "sqlite"\npath = "a.db"\n'
STORE: Final = '[store.local]\nkind = "local"\npath = "b"\n'


def refused(folder: Path, text: str) -> ConfigError:
    """The error that reading such a file ends with."""
    path = folder / "ops.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(str(path), {}, folder)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        (SOURCE + "every = 24h\n", 4, 'text needs quotes: every = "24h"'),
        (SOURCE + "every = 24\n", 4, 'a duration has a unit: every = "24h"'),
        (SOURCE + 'stores = "local"\n', 4, 'a list is wanted: stores = ["local"]'),
        (SOURCE + '[source.prices.assert]\nrow_count = "t"\n', 4, "two brackets"),
        (SOURCE + "[source.prices.assert]\n[source.prices.assert]\n", 5, "[[source.prices.assert]]"),
        (SOURCE + "[policy.p]\nkeep_daily = 7\n", 5, 'a duration is wanted: keep_daily = "7d"'),
        (SOURCE + '[policy.p]\nkeep_last = "3"\n', 5, "a number has no quotes: keep_last = 3"),
        (SOURCE + 'digests = "no"\n', 4, "without quotes: digests = false"),
        (SOURCE + "digests = False\n", 4, "in small letters: digests = false"),
        (SOURCE + "owner = 7\n", 4, 'text needs quotes: owner = "7"'),
        (SOURCE + "owner =\n", 4, "a value is missing"),
        (SOURCE + SOURCE, 4, "[source.prices] is there twice"),
        (SOURCE + 'owner = "x"\nowner = "y"\n', 5, "owner is there twice"),
        (SOURCE + "[store.local\n", 4, "stands alone between [ and ]"),
        (SOURCE.replace("sqlite", "sqlight"), 2, "did you mean 'sqlite'?"),
        (SOURCE + 'policy = "defalt"\n', 4, "did you mean 'default'?"),
        (SOURCE + 'stores = ["locl"]\n' + STORE, 4, "did you mean 'local'?"),
        (
            SOURCE + STORE + 'encrypt = "escrw"\n[cipher.escrow]\nkind = "openssl"\npassphrase_env = "P"\n',
            7,
            "did you mean 'escrow'?",
        ),
        (SOURCE + '[ingest]\nsource = "price"\n', 5, "did you mean 'prices'?"),
        (SOURCE + 'evry = "24h"\n', 4, "did you mean 'every'?"),
        (SOURCE + '[[source.prices.assert]]\nrow_count = "t"\n\n[[source.prices.assert]]\nqery = "x"\n', 8, "did you mean 'query'?"),
    ],
)  # fmt: skip
def test_the_line_and_what_was_meant(tmp_path: Path, text: str, line: int, hint: str) -> None:
    """Each usual mistake names the line that it is in, and shows it written right."""
    error = refused(tmp_path, text)
    assert f"ops.toml, line {line}" in error.message
    assert hint in error.hint, error.hint


@pytest.mark.parametrize(
    "line",
    [
        "password = hunter2",
        "dsn = postgresql://app:hunter2@db/app",
        "url = https://app:hunter2@example.org/",
        "token = 'hunter2",
        '  "hunter2", "x',
        "hunter2",
        "api_key = hunter2",
    ],
)
def test_no_secret_is_shown(tmp_path: Path, line: str) -> None:
    """The line at which the file cannot be read is told, and never what may be a secret in it."""
    error = refused(tmp_path, f"{SOURCE}{line}\n")
    assert ("line 4" in error.message) is ("end of document" not in error.message)
    assert "hunter2" not in f"{error.message} {error.hint}"


def test_what_is_not_closed(tmp_path: Path) -> None:
    """An end of the file in the middle of something has no line to name."""
    assert "not closed" in refused(tmp_path, SOURCE + 'tags = ["a",\n').hint


def test_lines() -> None:
    """Heads and keys are found where they are: also of quoted names, of the second table of a list, never in long texts."""
    text = """\
scratch_dir = "x" # here
[ source . "a.b" ]
description = '''
[source.c]
kind = 1
'''
kind = 2
[[source.c.assert]]
min = 1
[[source.c.assert]]
"min" = 2
"""
    assert line_of(text, "", "scratch_dir") == 1
    assert line_of(text, "source.a.b") == 2
    assert line_of(text, "source.a.b", "kind") == 7
    assert line_of(text, "source.c", "kind") is None
    assert line_of(text, "source.c.assert #1", "min") == 9
    assert line_of(text, "source.c.assert #2", "min") == 11
    assert line_of(text, "source.c.assert #3") is None


@given(st.text(max_size=80), st.sampled_from(["", "a", "a.b #2", "a #x"]), st.sampled_from(["", "k"]))
def test_any_text_has_lines(text: str, table: str, key: str) -> None:
    """Whatever is in a file, asking for a line answers, and with one that is there."""
    number = line_of(text, table, key)
    assert number is None or 0 < number <= len(text.splitlines())
