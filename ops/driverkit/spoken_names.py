"""What lies in a temporary folder is named by what it is a copy of: its path says nothing, and is gone when it is read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ops.errors import OpsError
from ops.fsio.scratch import SCRATCH_PREFIX
from ops.model.findings import Finding

_PATH: Final = re.compile(rf"(?:/[^\s/'\"]+)*/{SCRATCH_PREFIX}\w+(?:/[^\s'\":,;()]*)?")


def spoken(text: str, code: str, name: str) -> str:
    """Return `text`, which has this code, with words about `name` for every path in a temporary folder.

    What a cipher says is about the file as it is stored; all else about the copy of it on this machine.
    """
    return _PATH.sub(lambda _: name if code.startswith("cipher.") else f"the temporary copy of {name}", text)


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
