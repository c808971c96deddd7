"""The console command: starts `ops.tasks.program`, or says in one sentence why it cannot.

It stands outside of the package `ops`, because another distribution has a package of that name (the framework for Juju
charms): whichever was installed last has written over files of the other.
"""

from __future__ import annotations

import os
import signal
import sys

_BY_SIGNAL = 128
_INTERRUPTED = 130
_CRITICAL = 2
_NAMESAKE = (
    "drillbook cannot start: the package 'ops' here is not Drillbook's whole package ({reason}). Another distribution"
    " that installs a package of that name, such as 'ops' for Juju charms, cannot share an environment with it."
    " Install Drillbook in one of its own: pipx install drillbook, or python3 -m venv and pip in there"
)
_INCOMPLETE = "drillbook cannot start: {reason}. Install it again: pip install --force-reinstall drillbook"


def main() -> None:
    """Run the command line of this process; ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until a task is at work there is nothing to undo, and no traceback helps whoever pressed Ctrl-C.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        _say_nothing_of_interrupts()
    try:
        from ops import DISTRIBUTION
        from ops.tasks.program import main as run
    except ImportError as error:
        ours = (error.name or "").partition(".")[0] == "ops"
        raise _cannot_start(_NAMESAKE if ours else _INCOMPLETE, error) from None
    if DISTRIBUTION != "drillbook":
        raise _cannot_start(_NAMESAKE, f"it is that of {DISTRIBUTION}")
    try:
        run()
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    finally:
        # What was done has been said: while the interpreter ends there is nothing to break off. Should it hang, the
        # second signal ends it.
        late: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) not in {signal.SIG_IGN, signal.SIG_DFL}:
                signal.signal(
                    number, lambda heard, _: os._exit(_BY_SIGNAL + heard) if late else late.append(heard)
                )


def _say_nothing_of_interrupts() -> None:
    """Keep Ctrl-C from leaving a traceback wherever it finds the interpreter: in a finalizer, between two statements."""
    excepthook, unraisablehook = sys.excepthook, sys.unraisablehook
    sys.excepthook = lambda kind, *rest: (
        None if issubclass(kind, KeyboardInterrupt) else excepthook(kind, *rest)
    )
    sys.unraisablehook = lambda said: (
        None if issubclass(said.exc_type, (KeyboardInterrupt, SystemExit)) else unraisablehook(said)
    )


def _cannot_start(message: str, reason: object) -> SystemExit:
    sys.stderr.write(f"{message.format(reason=reason)}\n")
    return SystemExit(_CRITICAL)
