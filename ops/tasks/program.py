"""The console command `drillbook`: the same tasks as `invoke` shows, for use anywhere."""

from __future__ import annotations

import sys

from invoke.exceptions import ParseError
from invoke.program import Program

from ops import __version__
from ops.tasks import collection

_USAGE_ERROR = 2


class _Drillbook(Program):
    """Invoke's program, in which a command line that makes no sense ends with 2, like every bad request."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the command line; what comes before the first task counts here.

        Whether bytecode is written stays as Python was told. Invoke turns it off, for the sake of folders with a
        tasks.py; where a package was installed without bytecode, each start would compile all of it again.
        """
        written_not = sys.dont_write_bytecode
        try:
            super().parse_core(argv)
        except ParseError as error:
            _refuse(error)
        finally:
            sys.dont_write_bytecode = written_not

    def parse_tasks(self) -> None:
        """Parse the tasks and their flags."""
        try:
            super().parse_tasks()
        except ParseError as error:
            _refuse(error)


def _refuse(error: ParseError) -> None:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(_USAGE_ERROR) from error


def main() -> None:
    """Run the command line of this process; ends the process."""
    _Drillbook(name="drillbook", binary="drillbook", version=__version__, namespace=collection()).run()
