"""The tasks that belong to no group, as they are declared; their work is in the modules beside this one."""

from __future__ import annotations

from ops.tasks.cli.command import command
from ops.tasks.cli.flags import parsed, several, switch, text
from ops.tasks.cli.texts import SOURCES
from ops.tasks.cli.values import number


@command("demo", configured=False)
class Demo:
    """Build the demo catalogue: databases and an ops.toml to try everything on."""

    out: str = text("folder to build it in", default="demo")
    without: str = text("leave this source out: petshop, which needs PostgreSQL")


@command("doctor", remembers=True)
class Doctor:
    """Find what would make the next backup, restore or drill fail."""

    source: tuple[str, ...] = several(SOURCES)


@command("explain", configured=False)
class Explain:
    """Say what a code of an error or finding means, and what to do."""

    code: str = text("a code as messages show it, like backup.overdue (default: list all)", positional=True)


@command("logs")
class Logs:
    """Show what ingest jobs logged, newest first."""

    ticker: str = text("only this ticker, like PETR4 or PETR4.SA")
    since: str = text(
        "only entries since then: a date, a time (UTC unless it says its zone), or an age like 7d"
    )
    status: str = text("only entries that ended so: error, success, or a word of the log")
    limit: int = parsed("so many entries", number, default="50")
    offset: int = parsed("after so many of the newest", number, default="0")


@command("metrics", lines="one line a ticker", lined_by="flat")
class Metrics:
    """Say how late each ticker and each backup is, and what failed."""

    ticker: str = text("only this ticker, like PETR4 or PETR4.SA")
    limit: int | None = parsed("so many tickers (default: all)", number)
    offset: int = parsed("after so many, in the order of their names", number, default="0")
    flat: bool = switch("with --format json: nothing but one small object a ticker, one a line")


@command("test-conn")
class TestConn:
    """Ask a provider of data whether it answers."""

    provider: str = text("name of the provider: one of the configuration, or yfinance", default="yfinance")
