"""Tasks at the top level: `demo` and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from ops.tasks.arguments import COMMON, OpsTask

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    klass=OpsTask,
    help={
        "out": "folder to build it in",
        "without": "leave this source out: petshop, which needs PostgreSQL",
        **COMMON,
    },
)
def demo(
    _context: Context,
    out: str = "demo",
    without: str = "",
    config: str = "",
    format: str = "text",
    no_network: bool = False,
) -> None:
    """Build the demo catalogue: databases and an ops.toml to try everything on."""
    from ops.tasks import examining
    from ops.tasks.session import Flags, conduct_plain

    conduct_plain(
        "demo",
        Flags(config, format, no_network),
        lambda outcome, program: examining.demo(outcome, out, without, program),
    )


@task(klass=OpsTask, help={"source": "name of the source (default: all)", **COMMON})
def doctor(
    _context: Context, source: str = "", config: str = "", format: str = "text", no_network: bool = False
) -> None:
    """Find what would make the next backup, restore or drill fail."""
    from ops.tasks import examining
    from ops.tasks.session import Flags, conduct

    conduct("doctor", Flags(config, format, no_network), lambda session: examining.doctor(session, source))
