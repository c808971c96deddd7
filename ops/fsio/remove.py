"""Removing what may be removed by others at the same time."""

from __future__ import annotations

import shutil
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all in it; fine when it is gone already, or goes meanwhile."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_unless_gone)
    else:
        path.unlink(missing_ok=True)


def _unless_gone(
    _call: object, _path: str, failure: tuple[type[BaseException], BaseException, object]
) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]
