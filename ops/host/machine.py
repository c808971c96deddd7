"""Which machine this is: the name that it keeps, whatever it is called tomorrow, and the boot of its kernel."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.errors import ConfigError, OpsError
from ops.fsio.atomic import replace_durably, staged_file, write_all
from ops.host.state_dir import StateDir
from ops.model.findings import Finding, Severity
from ops.model.series import Machine

VARIABLE: Final = "OPS_HOST"
_REMEMBERED: Final = "host.json"
_CONTAINER_FILES: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CONTAINER_VARIABLE: Final = "KUBERNETES_SERVICE_HOST"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_IDS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
# The digits of a container's id; the letters and digits that Kubernetes makes the suffixes of pods of.
_GENERATED: Final = re.compile(r"[0-9a-f]{12}|.*-[bcdfghjklmnpqrstvwxz2456789]{5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the system says: its host name, machine id and boot id (empty where there is none), whether it is a container."""

    name: str
    machine_id: str
    boot: str
    container: bool

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> Surroundings:
        """Ask the system that we run on."""
        return cls(
            name=socket.gethostname(),
            machine_id=next(filter(None, map(_word, _MACHINE_IDS)), ""),
            boot=_word(_BOOT),
            container=bool(environ.get(_CONTAINER_VARIABLE)) or any(map(Path.exists, _CONTAINER_FILES)),
        )


def is_generated(name: str) -> bool:
    """Return whether a container's engine or a cluster made the name, so that the next one has another."""
    return _GENERATED.fullmatch(name) is not None


def this_machine(
    configured: str, environ: Mapping[str, str], state: StateDir, *, remember: bool
) -> tuple[Machine, list[Finding]]:
    """Return which machine this is, and what an operator should know of its name.

    The name is `OPS_HOST`, else `configured`, else the one that the state folder remembers, else the host name; one that
    was generated in a container is none. `remember`: keep it for the next run; where that cannot be, nothing is kept.
    """
    around, given = Surroundings.here(environ), environ.get(VARIABLE, "").strip()
    if given and not _NAME.fullmatch(given):
        hint = "letters, digits, '_', '-' and '.', beginning with a letter or digit"
        raise ConfigError(f"{VARIABLE}: {given!r} is not a name for a machine", hint=hint)
    return name_machine(given or configured, around, state, remember=remember)


def name_machine(
    given: str, around: Surroundings, state: StateDir, *, remember: bool
) -> tuple[Machine, list[Finding]]:
    """Do the same with what was given and what the system says."""
    boot = around.boot or None
    if not given and around.container and is_generated(around.name):
        return Machine(boot=boot), [_generated(around.name)]
    known = _recall(state)
    kept, kept_id = known or ("", "")
    cloned = bool(kept_id and around.machine_id and kept_id != around.machine_id)
    host = given or ("" if cloned else kept) or around.name
    if remember and (cloned or not known):
        _keep(state, around.name if cloned or not kept else kept, around.machine_id)
    findings = []
    if cloned:
        findings.append(_cloned(kept, around.name))
    elif not given and host != around.name:
        findings.append(_renamed(host, around.name))
    also = (around.name, "" if cloned else kept)
    return Machine(host=host, also=tuple(filter(None, also)), boot=boot, given=bool(given)), findings


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _recall(state: StateDir) -> tuple[str, str] | None:
    try:
        document: Any = json.loads((state.usable(make=False) / _REMEMBERED).read_bytes())
        host, machine_id = document["host"], document["machine_id"]
    except (OSError, OpsError, ValueError, KeyError, TypeError):
        return None
    return (host, machine_id) if isinstance(host, str) and isinstance(machine_id, str) else None


def _keep(state: StateDir, host: str, machine_id: str) -> None:
    document = {"version": 1, "host": host, "machine_id": machine_id}
    try:
        folder = state.usable()
        with staged_file(folder, _REMEMBERED) as staged:
            write_all(staged, json.dumps(document).encode("ascii"))
            replace_durably(staged.path, folder / _REMEMBERED)
    except (OSError, OpsError):
        return  # doctor says what is wrong with the state folder


def _generated(name: str) -> Finding:
    message = (
        f"the host name {name} was generated in a container: backups belong to the path alone, on whichever machine;"
        " give the source a `series`, or the machine a name (`host` in the configuration, or OPS_HOST)"
    )
    return _warning("host.generated", message)


def _renamed(kept: str, now: str) -> Finding:
    message = (
        f"this machine is called {now} now; its backups go on as those of {kept}, as it was called when it made the first:"
        f' write host = "{kept}" into the configuration, or, where it is another machine, host = "{now}"'
    )
    return _warning("host.renamed", message)


def _cloned(kept: str, now: str) -> Finding:
    message = (
        f"the state folder was made on another machine ({kept}) and copied here with it: this one is {now}, and its backups"
        " are no longer those of the other one; see backup.adopt where it took the other one's place"
    )
    return _warning("host.cloned", message)


def _warning(code: str, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where="host")


def current_user() -> str:
    """Return the name of the user that we run as, its number where it has none."""
    import pwd  # not on every system that can read a backup

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
