"""Tasks at the top level: `demo` and `doctor`."""

from __future__ import annotations

from ops.tasks.command import Flags, command


@command(
    help={
        "out": "folder to build it in",
        "without": "leave this source out: petshop, which needs PostgreSQL",
    },
)
def demo(
    flags: Flags,
    out: str = "demo",
    without: str = "",
) -> None:
    """Build the demo catalogue: databases and an ops.toml to try everything on."""
    from ops.tasks import demo as work
    from ops.tasks.session import conduct_plain

    conduct_plain(
        "demo",
        flags,
        lambda outcome, program: work.demo(outcome, out, without, program),
    )


@command(help={"source": "name of the source (default: all)"})
def doctor(
    flags: Flags,
    source: str = "",
) -> None:
    """Find what would make the next backup, restore or drill fail."""
    from ops.tasks.doctor import doctor as work
    from ops.tasks.session import conduct

    conduct("doctor", flags, lambda session: work.doctor(session, source))
