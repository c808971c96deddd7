"""Tasks of the ingest side: flags and help. What they do is in `ingesting`.

Nothing heavy is imported here, as in `backup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from ops.tasks.arguments import COMMON, OpsTask

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    klass=OpsTask,
    help={
        "ticker": "only this ticker, like PETR4 or PETR4.SA",
        "limit": "so many tickers (default: all)",
        "offset": "after so many, in the order of their names",
        **COMMON,
    },
)
def metrics(
    _context: Context,
    ticker: str = "",
    limit: str = "",
    offset: str = "0",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Say how late each ticker and each backup is, and what failed."""
    from ops.tasks import ingesting
    from ops.tasks.session import Flags, conduct

    wanted = ingesting.WantedMetrics(ticker=ticker, limit=limit, offset=offset)
    flags = Flags(config, format, no_network)
    conduct("metrics", flags, lambda session: ingesting.show_metrics(session, wanted))


@task(
    klass=OpsTask,
    help={
        "ticker": "only this ticker, like PETR4 or PETR4.SA",
        "since": "only entries since then: a date, a time (UTC unless it says its zone), or an age like 7d",
        "status": "only entries that ended so: error, success, or a word of the log",
        "limit": "so many entries",
        "offset": "after so many of the newest",
        **COMMON,
    },
)
def logs(
    _context: Context,
    ticker: str = "",
    since: str = "",
    status: str = "",
    limit: str = "50",
    offset: str = "0",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Show what ingest jobs logged, newest first."""
    from ops.tasks import ingesting
    from ops.tasks.session import Flags, conduct

    wanted = ingesting.WantedLogs(ticker=ticker, since=since, status=status, limit=limit, offset=offset)
    flags = Flags(config, format, no_network)
    conduct("logs", flags, lambda session: ingesting.show_logs(session, wanted))


@task(
    name="test-conn",
    klass=OpsTask,
    help={"provider": "name of the provider: one of the configuration, or yfinance", **COMMON},
)
def ask_provider(
    _context: Context,
    provider: str = "yfinance",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Ask a provider of data whether it answers."""
    from ops.tasks import ingesting
    from ops.tasks.session import Flags, conduct

    flags = Flags(config, format, no_network)
    conduct("test-conn", flags, lambda session: ingesting.try_provider(session, provider))
