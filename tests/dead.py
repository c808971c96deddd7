"""What processes that are gone leave: names that carry the mark of one."""

from __future__ import annotations

import os

from ops.fsio.writer_marks import Writer

ELSEWHERE = Writer("0badcafe", 1234, 5678)
"""A process of another machine, or of an earlier boot."""


def gone() -> Writer:
    """A process of this machine that has ended: it had our number, and started when the machine did."""
    return Writer(Writer.here().system, os.getpid(), 1)


def dead_name(name: str, writer: Writer | None = None) -> str:
    """What such a process called a file while it wrote it."""
    return f".tmp-{name}.drillbook-{writer or gone()}-1"
