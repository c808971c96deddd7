"""The folder in which one user of one machine remembers what no store can tell: locks, its first name, which store was where.

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

from ops.errors import OpsError, SpaceError, StateError, StoreError
from ops.fsio.atomic import make_private_folder, staged_file
from ops.fsio.locks import source_lock

VARIABLE: Final = "OPS_STATE_DIR"
_LOCKS: Final = "locks"
_OF_ROOT: Final = Path("/var/lib/drillbook")
_OF_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_HINT: Final = f"give this user a folder of its own: state_dir in the configuration, or {VARIABLE}"


@dataclass(frozen=True, slots=True)
class StateDir:
    """A folder of one user on one machine; `path` is None where there is no place for it, and `why`."""

    path: Path | None
    why: str = ""

    def usable(self, *, make: bool = True) -> Path:
        """Return the folder, private, made now where it is missing (with `make`).

        Raises StateError when there is no place for it, when it cannot be made, or when others can change it.
        """
        if self.path is None:
            raise StateError(f"there is no place for the state folder: {self.why}", hint=_HINT)
        try:
            self._require_no_other()
            if make:
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

    def _require_no_other(self) -> None:
        """Raise StateError, in words, where something else has the folder's name."""
        path = self.path
        if path is None or path.is_dir():
            return
        if path.is_symlink():
            raise self._unusable(
                f"it is a link to {path.readlink()}, where no folder is (is its disk mounted?)"
            )
        if path.exists():
            raise self._unusable("something that is no folder has its name")

    def probe(self) -> Path:
        """Return the folder after a lock was made beside the others, which is gone again.

        Raises StateError where that cannot be.
        """
        folder = self.usable()
        try:
            make_private_folder(folder / _LOCKS)
            with staged_file(folder / _LOCKS, "probe"):
                pass
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
        return self.usable() / _LOCKS / f"{name}.lock"

    def _unusable(self, why: str) -> StateError:
        return StateError(f"the state folder {self.path} cannot be used: {why}", hint=_HINT)


def _why(error: OpsError) -> str:
    """What the system said, without the path that stands before it anyway."""
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else error.message


def state_dir(configured: Path | None, environ: Mapping[str, str]) -> StateDir:
    """Return the state folder of this user.

    `OPS_STATE_DIR`, else `configured`, else `/var/lib/drillbook` for root, `$XDG_STATE_HOME/drillbook`,
    `~/.local/state/drillbook`. Nothing is made.
    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    given = environ.get(VARIABLE, "")
    if given:
        path = Path(given)
        return (
            StateDir(path)
            if path.is_absolute()
            else StateDir(None, f"{VARIABLE}={given} is no whole path, from / on")
        )
    if configured is not None:
        return StateDir(configured)
    folder = _usual(environ)
    return StateDir(folder, "" if folder else "this user has no home folder")


def _usual(environ: Mapping[str, str]) -> Path | None:
    if os.geteuid() == 0:
        return _OF_ROOT
    xdg = Path(environ.get("XDG_STATE_HOME", ""))
    if xdg.is_absolute():
        return xdg / "drillbook"
    # Without HOME the system's own word for the user is asked; "~" stays where it has none.
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - pathlib raises then
    return home / ".local/state/drillbook" if home.is_absolute() else None
