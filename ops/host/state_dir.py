"""The folder in which one user of one machine remembers what no store can tell: today the locks of the machine.

It may be lost at any time, and nothing of a backup is lost with it: it is made anew by the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import ConfigError, OpsError, SpaceError, StateError, StoreError
from ops.fsio.atomic import make_private_folder, staged_file, write_all
from ops.fsio.locks import source_lock

VARIABLE: Final = "OPS_STATE_DIR"
_OF_ROOT: Final = Path("/var/lib/drillbook")
_OF_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_HINT: Final = f"give this user a folder of its own: state_dir in the configuration, or {VARIABLE}"


@dataclass(frozen=True, slots=True)
class StateDir:
    """A folder of one user on one machine; `path` is None where no place for it is known."""

    path: Path | None

    def usable(self) -> Path:
        """Return the folder, private, made now where it is missing.

        Raises StateError when there is no place for it, when it cannot be made, or when others can change it.
        """
        if self.path is None:
            message = "there is no place for the state folder: this user has no home folder"
            raise StateError(message, hint=_HINT)
        try:
            make_private_folder(self.path)
            found = self.path.stat()
        except (StoreError, SpaceError) as error:
            raise self._unusable(_why(error)) from error
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error
        if found.st_uid != os.geteuid():
            raise self._unusable(f"it belongs to the user with number {found.st_uid}")
        if found.st_mode & _OF_OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise self._unusable(f"other users can change what is in it (mode {mode:04o}); chmod 700 it")
        return self.path

    def probe(self) -> Path:
        """Return the folder after a file was written there, which is gone again; raises StateError where that cannot be."""
        folder = self.usable()
        try:
            with staged_file(folder, "probe") as staged:
                write_all(staged, b"x")
        except OpsError as error:
            raise self._unusable(_why(error)) from error
        return folder

    @contextlib.contextmanager
    def lock(
        self, about: Sequence[str], *, source: str, job_id: str, now: datetime, wait_s: float
    ) -> Iterator[None]:
        """Hold this machine's lock for what `about` names together while the block runs.

        Raises LockHeldError that names the holder and `source` when it is still held after `wait_s` seconds, and
        StateError when the folder cannot hold a lock.
        """
        path, what = self.lock_path(about), f"source {source!r}"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(source_lock(path, job_id=job_id, now=now, wait_s=wait_s, what=what))
            except (StoreError, SpaceError) as error:
                raise self._unusable(_why(error)) from error
            yield

    def lock_path(self, about: Sequence[str]) -> Path:
        """Return where that lock lies; raises StateError as `usable` does."""
        name = hashlib.sha256("\0".join(about).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self.usable() / "locks" / f"{name}.lock"

    def _unusable(self, why: str) -> StateError:
        return StateError(f"the state folder {self.path} cannot be used: {why}", hint=_HINT)


def _why(error: OpsError) -> str:
    """What the system said, without the path that stands before it anyway."""
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else error.message


def state_dir(configured: Path | None, environ: Mapping[str, str]) -> StateDir:
    """Return the state folder of this user.

    `OPS_STATE_DIR`, else `configured`, else `/var/lib/drillbook` for root, `$XDG_STATE_HOME/drillbook`,
    `~/.local/state/drillbook`. Nothing is made. Raises ConfigError when the variable holds a relative path.
    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    given = environ.get(VARIABLE, "")
    if given:
        if not Path(given).is_absolute():
            message = f"{VARIABLE}={given} is a relative path, which would be another folder for each caller"
            raise ConfigError(message, hint="write the whole path, from / on")
        return StateDir(Path(given))
    if configured is not None:
        return StateDir(configured)
    if os.geteuid() == 0:
        return StateDir(_OF_ROOT)
    xdg = environ.get("XDG_STATE_HOME", "")
    if Path(xdg).is_absolute():
        return StateDir(Path(xdg, "drillbook"))
    # Without HOME the system's own word for the user is asked; "~" stays where it has none.
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - pathlib raises then
    return StateDir(home / ".local/state/drillbook" if home.is_absolute() else None)
