"""What the configuration says of the ingest side: `[ingest]`, `[provider.NAME]`, and the variables of old."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ops.config.tables import Place, build, expand_variables, require_known
from ops.errors import ConfigError
from ops.host.secret import Secret
from ops.ingest_monitor.settings import FIELDS, YFINANCE, IngestSettings, Provider, require_url
from ops.model.close_names import close_or_all

KEYS: Final = ("ingest", "provider")
"""What stands at the top of a file about the ingest side."""
_LAG: Final = "METRICS_INGEST_LAG_THRESHOLD"
_LOCK: Final = "INGEST_LOCK_TIMEOUT_SECONDS"
_RETRIES: Final = "ADAPTER_MAX_RETRIES"
_INVALID: Final = "VALIDATION_INVALID_PERCENT_THRESHOLD"
_FAR_ABOVE: Final = 3
_MOST_RETRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """The history of ingest jobs, and the providers by name."""

    settings: IngestSettings = field(default_factory=IngestSettings)
    providers: Mapping[str, Provider] = field(default_factory=lambda: {YFINANCE.name: YFINANCE})

    def provider(self, name: str) -> Provider:
        """The provider of that name; raises ConfigError that lists the names there are."""
        if name not in self.providers:
            hint = f"{close_or_all(name, sorted(self.providers), 'there are')}; add [provider.{name}]"
            raise ConfigError(f"no provider {name!r}", code="config.unknown_provider", hint=hint)
        return self.providers[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _IngestTable:
    source: str | None = None
    table: str | None = None
    log: Path | None = None
    columns: dict[str, str] = field(default_factory=dict)
    locks: Path | None = None
    window: timedelta | None = None
    lag_warning: timedelta | None = None
    lag_critical: timedelta | None = None
    lock_timeout: timedelta | None = None
    invalid_percent: float | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProviderTable:
    url: str
    timeout: timedelta | None = None
    retries: int | None = None
    longest_wait: timedelta | None = None
    slow: timedelta | None = None
    headers: dict[str, str] = field(default_factory=dict)
    token_env: str | None = None
    token_file: Path | None = None
    token_command: tuple[str, ...] | None = None
    auth_header: str | None = None
    auth_prefix: str | None = None
    ca_bundle: Path | None = None


def read_ingest(
    document: dict[str, Any],
    providers: Collection[tuple[str, dict[str, Any]]],
    environ: Mapping[str, str],
    place: Place,
    sources: Collection[str],
) -> IngestConfig:
    """What a configuration says, with the variables where it says nothing."""
    retries = int(_number(environ, _RETRIES, 3, most=_MOST_RETRIES))
    known = {YFINANCE.name: replace(YFINANCE, retries=retries)}
    known |= {name: _provider(name, table, environ, place, retries) for name, table in providers}
    return IngestConfig(
        settings=_settings(document.get("ingest", {}), environ, place, sources), providers=known
    )


def _settings(
    table: object, environ: Mapping[str, str], place: Place, sources: Collection[str]
) -> IngestSettings:
    here = place.of("ingest")
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: ingest must be a table, [ingest]")
    given = build(
        _IngestTable, {key: expand_variables(value, environ, here) for key, value in table.items()}, here
    )
    if given.source is not None and given.source not in sources:
        hint = close_or_all(given.source, sorted(sources), "configured")
        raise ConfigError(
            f"{here.near('source')}: unknown source {given.source!r}", code="config.unknown_source", hint=hint
        )
    require_known(given.columns, FIELDS, place.of(f"{here.table}.columns"))
    said = {item.name: value for item in fields(given) if (value := getattr(given, item.name)) is not None}
    lag = said.get("lag_warning") or timedelta(seconds=_number(environ, _LAG, 86400))
    lock = said.get("lock_timeout") or timedelta(seconds=_number(environ, _LOCK, 120))
    percent = said.get("invalid_percent", _number(environ, _INVALID, 10, most=100))
    defaults = {"lag_warning": lag, "lag_critical": _FAR_ABOVE * lag, "lock_timeout": lock}
    settings = IngestSettings(**{**defaults, **said, "invalid_percent": float(percent)})
    if settings.lag_critical < settings.lag_warning:
        raise ConfigError(f"{here}: lag_critical is less than lag_warning")
    return settings


def _provider(
    name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place, retries: int
) -> Provider:
    here = place.of(f"provider.{name}")
    given = build(
        _ProviderTable, {key: expand_variables(value, environ, here) for key, value in table.items()}, here
    )
    require_url(given.url, f"{here}")
    ways = [way for way in (given.token_env, given.token_file, given.token_command) if way is not None]
    if len(ways) > 1:
        raise ConfigError(f"{here}: give one of token_env, token_file, token_command")
    if given.retries is not None and not 0 <= given.retries <= _MOST_RETRIES:
        raise ConfigError(f"{here.at('retries')}: {given.retries} is not between 0 and {_MOST_RETRIES}")
    token = Secret(
        "token", env=given.token_env, file=given.token_file, command=given.token_command, environ=environ
    )
    direct = ("timeout", "retries", "longest_wait", "slow", "auth_header", "auth_prefix", "ca_bundle")
    said = {key: value for key in direct if (value := getattr(given, key)) is not None}
    return Provider(
        name=name, url=given.url, token=token, headers=given.headers, **{"retries": retries, **said}
    )


def _number(environ: Mapping[str, str], name: str, default: float, *, most: float = 1e9) -> float:
    """The number in the variable `name`; raises ConfigError when there is something else."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise ConfigError(f"{name}: {text!r} is no number between 0 and {most:g}", hint=f"like {default:g}")
    return number
