"""Tasks of the ingest side: flags and help. What they do is in the modules beside this one.

Nothing heavy is imported here, as in `backup`.
"""

from __future__ import annotations

from ops.tasks.command import Flags, command


@command(
    help={
        "ticker": "only this ticker, like PETR4 or PETR4.SA",
        "limit": "so many tickers (default: all)",
        "offset": "after so many, in the order of their names",
        "flat": "with --format json: nothing but one small object a ticker, one a line",
        "format": "text, json, or line: one line a ticker",
    },
)
def metrics(
    flags: Flags,
    ticker: str = "",
    limit: str = "",
    offset: str = "0",
    flat: bool = False,
) -> None:
    """Say how late each ticker and each backup is, and what failed."""
    from ops.tasks.ingest import metrics as work
    from ops.tasks.session import conduct

    wanted = work.WantedMetrics(ticker=ticker, limit=limit, offset=offset, flat=flat)
    conduct("metrics", flags, lambda session: work.show_metrics(session, wanted), lined=flat, has_lines=True)


@command(
    help={
        "ticker": "only this ticker, like PETR4 or PETR4.SA",
        "since": "only entries since then: a date, a time (UTC unless it says its zone), or an age like 7d",
        "status": "only entries that ended so: error, success, or a word of the log",
        "limit": "so many entries",
        "offset": "after so many of the newest",
    },
)
def logs(
    flags: Flags,
    ticker: str = "",
    since: str = "",
    status: str = "",
    limit: str = "50",
    offset: str = "0",
) -> None:
    """Show what ingest jobs logged, newest first."""
    from ops.tasks.ingest import logs as work
    from ops.tasks.session import conduct

    wanted = work.WantedLogs(ticker=ticker, since=since, status=status, limit=limit, offset=offset)
    conduct("logs", flags, lambda session: work.show_logs(session, wanted))


@command(
    name="test-conn",
    help={"provider": "name of the provider: one of the configuration, or yfinance"},
)
def ask_provider(
    flags: Flags,
    provider: str = "yfinance",
) -> None:
    """Ask a provider of data whether it answers."""
    from ops.tasks.ingest import test_conn as work
    from ops.tasks.session import conduct

    conduct("test-conn", flags, lambda session: work.try_provider(session, provider))
