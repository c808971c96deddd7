from __future__ import annotations

from pathlib import Path

import pytest

from ops.config.reading import read_config
from ops.errors import ConfigError

URL = 'url = "https://host/quote"'


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('url = "https://me:hunter2@host/quote"', "config.secret_in_file"),
        (f'{URL}\ntoken = "hunter2"', "config.secret_in_file"),
        (f'{URL}\ntoken_env = ["hunter2"]', "config.invalid_value"),
        (f'{URL}\ntoken_command = "hunter2"', "config.invalid_value"),
        (f'{URL}\ntoken_file = ["hunter2"]', "config.invalid_value"),
    ],
)
def test_a_secret_in_the_file(tmp_path: Path, lines: str, code: str) -> None:
    """A token or a password that stands in the table of a provider is refused, and not repeated."""
    source = '[source.prices]\nkind = "sqlite"\npath = "data.db"\n'
    (tmp_path / "ops.toml").write_text(f"{source}[provider.quotes]\n{lines}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(None, {}, tmp_path)
    assert caught.value.code == code
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
