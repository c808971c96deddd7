"""What lies in a temporary folder is named by what it is a copy of: its path says nothing, and is gone when it is read."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ops.errors import OpsError
from ops.fsio.scratch import SCRATCH_PREFIX
from ops.model.findings import Finding

_INSIDE: Final = re.compile(rf"/{SCRATCH_PREFIX}\w+(?:/[^\s'\":,;()]*)?")
_BEFORE_PATH: Final = " '\"(:="
"""What stands before a path in a message."""


def spoken(text: str, code: str, name: str) -> str:
    """Return `text`, which has this code, with words about `name` for every path in a temporary folder.

    What a cipher says is about the file as it is stored; all else about the copy of it on this machine.
    """
    said, kept, end = name if code.startswith("cipher.") else f"the temporary copy of {name}", "", 0
    for found in _INSIDE.finditer(text):
        kept += text[end : _start_of_path(text, found.start())] + said
        end = found.end()
    return kept + text[end:]


def _start_of_path(text: str, end: int) -> int:
    """Where the path of the folder begins that ends there: it may have spaces in it, so the folders themselves are asked."""
    starts = (at for at in range(end) if text[at] == "/" and (at == 0 or text[at - 1] in _BEFORE_PATH))
    return next((at for at in starts if os.path.isdir(text[at:end])), end)  # noqa: PTH112 - no path yet


def spoken_findings(findings: Iterable[Finding], name: str) -> list[Finding]:
    """Return findings whose words name no path in a temporary folder, but for those that are about such a folder."""
    return [
        item
        if item.where and item.where in item.message
        else replace(item, message=spoken(item.message, item.code, name))
        for item in findings
    ]


@contextlib.contextmanager
def spoken_names(name: str) -> Iterator[None]:
    """Have the errors that leave the block name no path in a temporary folder, but the copy of `name` there."""
    try:
        yield
    except OpsError as error:
        error.message = spoken(error.message, error.code, name)
        error.args = (error.message,)
        raise
