"""Python's search for garbage, which costs a fifth of the time where many values are made and none is garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Search for no garbage while the block runs: of the millions of values of a long listing none is part of a cycle."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()
