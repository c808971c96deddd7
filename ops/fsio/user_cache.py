"""What was once worked out, kept for the next run of the same user. It may be lost at any time, and nothing else is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.fsio.atomic import PRIVATE_FOLDER, staged_file

_DIGEST_SIZE: Final = hashlib.sha256().digest_size
_OF_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """Where this user's caches belong: `$XDG_CACHE_HOME/drillbook`, else `~/.cache/drillbook`; None without either.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    given, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(given):
        return Path(given, "drillbook")
    return Path(home, ".cache", "drillbook") if os.path.isabs(home) else None


def read_cached(path: Path) -> memoryview | None:
    """What `write_cached` wrote to `path`, whole; None for anything else, also for what others could have written."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not _is_ours(os.fstat(descriptor)) or not _is_ours(path.parent.lstat()):
                return None
            content = memoryview(file.read())
    except OSError:
        return None
    digest, rest = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    return rest if hashlib.sha256(rest).digest() == digest else None


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _OF_OTHERS


def write_cached(path: Path, parts: Sequence[bytes]) -> None:
    """Keep `parts`, one after the other, at `path` in the place of what was there; or do nothing where that cannot be."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    with contextlib.suppress(OSError, OpsError):
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        if not _is_ours(path.parent.lstat()):
            return
        with staged_file(path.parent, path.name) as staged:
            with open(staged.descriptor, "wb", closefd=False) as file:
                file.writelines([digest.digest(), *parts])
            # Not synchronized: after a loss of power the digest tells, and the next run works it out again.
            staged.path.replace(path)
