"""What container engines say when they cannot run a program, as our errors: which container, and the next move."""

from __future__ import annotations

from typing import Final

from ops.errors import OpsError, SourceError, ToolError

ENGINE_CODES: Final = frozenset((125, 126, 127))
"""Exit codes by which docker and podman say that the program did not run; PostgreSQL's programs have none of them."""

# As docker, podman and their compose say it; in the order in which they are looked for.
_ENGINE_DOWN: Final = (
    "cannot connect to the docker daemon",
    "cannot connect to podman",
    "unable to connect to podman",
    "permission denied while trying to connect",
    "error during connect",
)
_MISSING: Final = (
    "no such container",
    "no container with name or id",
    "no such service",
    "missing services",
    "no container found for",
)
_STOPPED: Final = ("is not running", "container state improper", "is paused", "is restarting")
_NO_USER: Final = ("unable to find user", "no matching entries in passwd")
_NO_PROGRAM: Final = ("executable file not found", "executable file `", "command that was not found", "env: ")


def is_engine_failure(exit_code: int, said: str) -> bool:
    """Whether it was the engine, and not the program, that ended like that."""
    words = said.lower()
    known = (*_ENGINE_DOWN, *_MISSING, *_STOPPED, *_NO_USER, *_NO_PROGRAM)
    return exit_code in ENGINE_CODES or any(text in words for text in known)


def engine_failure(container: str, step: str, said: str) -> OpsError:
    """The error for what an engine's client said at `step`."""
    words = said.lower()
    what = f"container {container!r}, {step}: {' '.join(said.split())}"
    if any(text in words for text in _ENGINE_DOWN):
        hint = "start the container engine, or let this user reach it (group docker, DOCKER_HOST, docker context)"
        return ToolError(what, code="tool.failed", hint=hint)
    if any(text in words for text in _MISSING):
        hint = "see what runs with `docker ps -a` (or podman, compose); correct `container` in the source's table"
        return SourceError(what, code="source.missing", hint=hint)
    if any(text in words for text in _STOPPED):
        hint = "start the container, then run it again"
        return SourceError(what, code="source.unreachable", hint=hint)
    if any(text in words for text in _NO_USER):
        hint = "correct the user in container_exec (-u)"
        return SourceError(what, code="source.refused", hint=hint)
    if any(text in words for text in _NO_PROGRAM):
        hint = "name the container that the PostgreSQL server runs in: sh, pg_dump, pg_restore and psql are needed there"
        return ToolError(what, code="tool.missing", hint=hint)
    hint = "try container_exec by hand, with the container's name and `pg_dump --version` behind it"
    return ToolError(what, code="tool.failed", hint=hint)


def stopped_answering(container: str, step: str, said: str) -> SourceError:
    """The error for a container that was there and is gone in the middle of something."""
    message = f"container {container!r} stopped answering {step}{f': {said}' if said else ''}"
    hint = "see its log and whether it runs (docker ps -a); start it and run this again: nothing half written is kept"
    return SourceError(message, code="source.unreachable", hint=hint)
