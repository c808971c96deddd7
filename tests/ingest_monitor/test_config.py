"""What `[ingest]`, `[provider.NAME]` and the variables of old say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from ops.config.ingest import IngestConfig
from ops.config.reading import read_config
from ops.errors import ConfigError, OpsError

SOURCE = '[source.prices]\nkind = "sqlite"\npath = "data.db"\n'


def read(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> IngestConfig:
    """The ingest side of a configuration."""
    (folder / "ops.toml").write_text(SOURCE + text)
    return read_config(None, environ or {}, folder).ingest


def test_the_variables_of_old(tmp_path: Path) -> None:
    """Thresholds come from the variables where the file says nothing, and the file has the last word."""
    environ = {
        "METRICS_INGEST_LAG_THRESHOLD": "3600",
        "INGEST_LOCK_TIMEOUT_SECONDS": "5",
        "ADAPTER_MAX_RETRIES": "1",
        "VALIDATION_INVALID_PERCENT_THRESHOLD": "2.5",
    }
    found = read(tmp_path, environ=environ)
    settings = found.settings
    assert (settings.lag_warning, settings.lag_critical) == (timedelta(hours=1), timedelta(hours=3))
    assert (settings.lock_timeout, settings.invalid_percent) == (timedelta(seconds=5), 2.5)
    assert found.provider("yfinance").retries == 1
    text = '[ingest]\nlag_warning = "2h"\nlag_critical = "4h"\nlock_timeout = "9s"\ninvalid_percent = 0\n'
    settings = read(tmp_path, text, environ).settings
    assert (settings.lag_warning, settings.lag_critical) == (timedelta(hours=2), timedelta(hours=4))
    assert (settings.lock_timeout, settings.invalid_percent) == (timedelta(seconds=9), 0)


def test_defaults(tmp_path: Path) -> None:
    """Without a word about it, a day is late, three days are critical, and one provider is known."""
    found = read(tmp_path)
    assert (found.settings.lag_warning, found.settings.lag_critical) == (timedelta(days=1), timedelta(days=3))
    assert (found.settings.table, found.settings.invalid_percent) == ("ingest_logs", 10)
    assert list(found.providers) == ["yfinance"]
    assert found.provider("yfinance").retries == 3


def test_all_keys(tmp_path: Path) -> None:
    """Each key arrives where it belongs, paths relative to the file's folder."""
    found = read(
        tmp_path,
        '[ingest]\nsource = "prices"\ntable = "jobs"\nlog = "metadata/x.jsonl"\nlocks = "locks"\nwindow = "30d"\n'
        '[ingest.columns]\nticker = "symbol"\n'
        '[provider.b3]\nurl = "https://host/${WHAT}"\ntimeout = "3s"\nretries = 0\nlongest_wait = "1m"\nslow = "1s"\n'
        'token_env = "B3_TOKEN"\nauth_header = "X-Key"\nauth_prefix = ""\nca_bundle = "ca.pem"\n'
        '[provider.b3.headers]\nAccept = "application/json"\n',
        {"WHAT": "quotes", "B3_TOKEN": "canary"},
    )
    settings, provider = found.settings, found.provider("b3")
    assert (settings.source, settings.table, settings.window) == ("prices", "jobs", timedelta(days=30))
    assert (settings.log, settings.locks) == (tmp_path / "metadata/x.jsonl", tmp_path / "locks")
    assert settings.columns == {"ticker": "symbol"}
    assert (provider.url, provider.retries, provider.auth_prefix) == ("https://host/quotes", 0, "")
    assert (provider.ca_bundle, provider.headers) == (tmp_path / "ca.pem", {"Accept": "application/json"})
    assert provider.token.read() == "canary"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ingest = 5\n", "must be a table"),
        ('[ingest]\nsourc = "prices"\n', "did you mean"),
        ('[ingest]\nsource = "other"\n', "unknown source"),
        ('[ingest.columns]\ntikcer = "x"\n', "did you mean"),
        ('[ingest]\nlag_warning = "2d"\nlag_critical = "1d"\n', "less than"),
        ('[provider.p]\nurl = "host"\n', "no address"),
        ("[provider.p]\n", "'url' is needed"),
        ('[provider.p]\nurl = "https://h/"\nretries = 99\n', "between"),
        ('[provider.p]\nurl = "https://h/"\ntoken = "abc"\n', "must not stand"),
        ('[provider.p]\nurl = "https://h/"\ntoken_env = "A"\ntoken_file = "b"\n', "one of"),
    ],
)
def test_what_can_not_be_used(tmp_path: Path, text: str, part: str) -> None:
    """Unknown keys, wrong types, contradictions and plain secrets are refused, with what was meant."""
    (tmp_path / "ops.toml").write_text(text + SOURCE if text.startswith("ingest =") else SOURCE + text)
    with pytest.raises(ConfigError) as caught:
        read_config(None, {}, tmp_path)
    assert part in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e99"])
@pytest.mark.parametrize(
    "name", ["METRICS_INGEST_LAG_THRESHOLD", "INGEST_LOCK_TIMEOUT_SECONDS", "ADAPTER_MAX_RETRIES"]
)
def test_variables_that_are_no_numbers(tmp_path: Path, name: str, value: str) -> None:
    """A variable with something else in it is an error that names it, not a default."""
    with pytest.raises(OpsError) as caught:
        read(tmp_path, environ={name: value})
    assert name in caught.value.message


def test_an_unknown_provider(tmp_path: Path) -> None:
    """Its error names those that there are."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path).provider("b3")
    assert (caught.value.code, "yfinance" in caught.value.hint) == ("config.unknown_provider", True)
