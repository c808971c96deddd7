"""As whom PostgreSQL's server programs run: they refuse to be root.

Root uses a user namespace where the kernel allows it: inside, the process is an ordinary user; outside it
stays root without root's powers, so nothing has to be given away and binaries may lie anywhere. Where
namespaces are not allowed (many containers), the programs run as an unprivileged user, who gets the data
folder and must be able to reach the binaries.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import ToolError
from ops.proc import Completed, find_program, run_program
from ops.sources.postgres.programs.installation import Programs, plain_environment

_UNPRIVILEGED: Final = ("postgres", "nobody")
_PATIENCE_S: Final = 20.0
_TRAVERSABLE_BY_GROUP: Final = 0o710
_PRIVATE_FOLDER: Final = 0o700


@dataclass(frozen=True, slots=True)
class RunAs:
    """How server programs are started.

    `prefix` stands before their arguments. `owner`: user and group ids that the data must belong to, None
    when that is who we are.
    """

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def make_folder(self, folder: Path) -> None:
        """Make `folder`, 0700, for the server; whoever runs it may pass through the parent, no more."""
        folder.mkdir(_PRIVATE_FOLDER)
        if self.owner is not None:
            user, group = self.owner
            os.chown(folder, user, group)
            os.chown(folder.parent, -1, group)
            folder.parent.chmod(_TRAVERSABLE_BY_GROUP)


def run_as(programs: Programs) -> RunAs:
    """How `programs`' server is started by us. Raises ToolError (`tool.unreachable`) when we are root and
    neither way works, with what stood in the way.
    """  # noqa: D205 - one sentence each
    if os.geteuid() != 0:
        return RunAs()
    server = programs.path("postgres")
    return _in_namespace(server) or _as_somebody_else(server)


def run_as_owner(programs: Programs, data: Path) -> RunAs:
    """How the server of the existing folder `data` is started: as its owner. Raises as `run_as` does."""
    status = data.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return run_as(programs)
    return _dropped(programs.path("postgres"), status.st_uid, status.st_gid)


@functools.cache
def _in_namespace(server: str) -> RunAs | None:
    program = shutil.which("unshare")
    # initdb looks up its user's name, so the id inside must be that of somebody.
    somebody = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), None)
    if program is None or somebody is None:
        return None
    prefix = (program, "--user", f"--map-user={somebody}", f"--map-group={somebody}", "--")
    return RunAs(prefix) if _try(prefix, server).exit_code == 0 else None


@functools.cache
def _as_somebody_else(server: str) -> RunAs:
    found = list(_unprivileged_users())
    for entry in found[:-1]:
        try:
            return _dropped(server, entry.pw_uid, entry.pw_gid)
        except ToolError:
            continue
    if not found:
        message = "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as"
        raise ToolError(message, code="tool.unreachable", hint="run this as an ordinary user")
    return _dropped(server, found[-1].pw_uid, found[-1].pw_gid)


def _unprivileged_users() -> Iterator[pwd.struct_passwd]:
    for name in _UNPRIVILEGED:
        try:
            yield pwd.getpwnam(name)
        except KeyError:
            continue


def _dropped(server: str, user: int, group: int) -> RunAs:
    hint = "run this as an ordinary user, or allow user namespaces (unshare --user must work for root)"
    program = shutil.which("setpriv")
    if program is None:
        message = "PostgreSQL refuses to run as root, and there is no setpriv to become another user with"
        raise ToolError(message, code="tool.unreachable", hint=hint)
    # The kernel forgets the signal that we asked for when the user changes, so setpriv asks again.
    prefix = (program, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=QUIT", "--")
    ended = _try(prefix, server)
    if ended.exit_code != 0:
        message = f"PostgreSQL refuses to run as root, and user {user} cannot run it: {ended.output_tail}"
        hint += ", or install PostgreSQL where everybody can read it"
        raise ToolError(message, code="tool.unreachable", hint=hint)
    return RunAs(prefix, (user, group))


def _try(prefix: tuple[str, ...], server: str) -> Completed:
    # By way of env: setpriv itself still has root's powers over files when it starts its program.
    return run_program(
        [*prefix, find_program("env"), server, "--version"],
        timeout_s=_PATIENCE_S,
        environment=plain_environment(os.environ),
        folder=Path(tempfile.gettempdir()),
    )
