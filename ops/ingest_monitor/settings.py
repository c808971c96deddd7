"""What the configuration says of the ingest side, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ops.errors import ConfigError
from ops.host.secret import Secret

FIELDS: Final = (
    "ticker", "job_id", "started_at", "finished_at", "rows_fetched", "status", "error_message", "duration_ms",
    "provider", "attempt", "retry_after",
)  # fmt: skip
"""What an entry is made of, and how the columns of a table are called unless the configuration says otherwise."""

ALIASES: Final[Mapping[str, str]] = {"rows_fetched": "rows", "provider": "source"}
"""How programs call fields otherwise; taken where the usual name is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Where the history is, and what is late.

    `source`: the SQLite source whose `table` it is; `log`: a file of JSON lines instead. `columns`: columns of the table by
    field. `locks`: the folder with the lock files of the tickers. `window`: what latency, rows and errors are counted over.
    `lock_timeout`: how long a lock may be held. `invalid_percent`: rejected rows of all rows that are worth a look.
    """

    source: str | None = None
    table: str = "ingest_logs"
    log: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    locks: Path | None = None
    window: timedelta = timedelta(days=7)
    lag_warning: timedelta = timedelta(days=1)
    lag_critical: timedelta = timedelta(days=3)
    lock_timeout: timedelta = timedelta(seconds=120)
    invalid_percent: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider of data: what is asked to see whether it answers.

    `timeout`: for one attempt, from its start to the end of the answer. `retries`: how often it is asked again.
    `longest_wait`: how long it may tell us to wait (`Retry-After`). `slow`: what is worth a look. `headers`: what is sent
    along, without secrets; the token is sent in `auth_header`, behind `auth_prefix`.
    """

    name: str
    url: str
    timeout: timedelta = timedelta(seconds=10)
    retries: int = 3
    longest_wait: timedelta = timedelta(seconds=30)
    slow: timedelta = timedelta(seconds=5)
    headers: Mapping[str, str] = field(default_factory=dict)
    token: Secret = field(default_factory=lambda: Secret("token"))
    auth_header: str = "Authorization"
    auth_prefix: str = "Bearer "
    ca_bundle: Path | None = None


YFINANCE: Final = Provider(
    name="yfinance",
    url="https://query1.finance.yahoo.com/v8/finance/chart/PETR4.SA?range=1d&interval=1d",
    headers={"User-Agent": "Mozilla/5.0"},
)
"""The one provider that needs no configuration."""


def require_url(url: str, where: str) -> None:
    """Return when `url` is one that can be asked; raises ConfigError."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        secret = parts.password is not None
    except ValueError:
        right = secret = False
    if not right:
        raise ConfigError(f"{where}: url is no address like https://host/path")
    if secret:
        message = f"{where}: a password must not stand in the configuration (url)"
        hint = "remove it, and give it with token_env, token_file or token_command"
        raise ConfigError(message, code="config.secret_in_file", hint=hint)
