"""One installed PostgreSQL: what its programs are, and what they can do. Asked of the programs themselves."""

from __future__ import annotations

import functools
import mmap
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import ToolError
from ops.proc import Completed, run_program
from ops.sources.postgres.programs.release import Release

_PATIENCE_S: Final = 20.0
_CLIENT_PROGRAMS: Final = ("pg_dump", "pg_restore", "psql")
_SERVER_PROGRAMS: Final = ("initdb", "postgres")
_FIRST_WITH_CODECS: Final = 16
_CODECS: Final = ("lz4", "zstd")
_KEPT_VARIABLES: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_VERSION: Final = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)(?:\.\d+|beta\d+|rc\d+|devel)?)")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one installed PostgreSQL.

    `version` is that of pg_dump, such as `17.10`. `codecs`: the compressions that pg_dump and pg_restore know,
    of gzip, lz4 and zstd. `has_server`: initdb and postgres are there, of the same major version. `has_icu`:
    that server knows ICU collations. `origin`: where it was found, for the operator.
    """

    bindir: Path
    version: str
    major: int
    codecs: frozenset[str]
    has_server: bool
    has_icu: bool
    origin: str

    def path(self, name: str) -> str:
        """The full path of the program `name`; raises ToolError when this installation lacks it."""
        path = self.bindir / name
        if not os.access(path, os.X_OK):
            message = f"PostgreSQL {self.version} in {self.bindir} has no program {name}"
            raise ToolError(message, code="tool.missing", hint=f"install PostgreSQL {self.major} whole")
        return str(path)

    @property
    def release(self) -> Release:
        """The release of pg_dump."""
        return Release.parse(self.version)

    def mentions(self, name: str, word: str) -> bool:
        """Return whether the file of the program `name` holds `word`: a program that knows an option names it."""
        return _mentions(Path(self.path(name)), word.encode())

    def available_extensions(self) -> frozenset[str]:
        """The names of the extensions that CREATE EXTENSION would find here; empty when that cannot be told."""
        share = _share_folder(self.bindir)
        if share is None:
            return frozenset()
        return frozenset(control.stem for control in (share / "extension").glob("*.control"))


def inspect_folder(bindir: Path, origin: str, environ: Mapping[str, str]) -> Programs:
    """The PostgreSQL whose programs lie in `bindir`; each folder is asked once in a process.

    Raises ToolError that says what is wrong with it.
    """
    return _inspect(bindir, origin, tuple(sorted(plain_environment(environ).items())))


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What PostgreSQL's programs need of `environ` to start: none of the PG* variables that would steer them."""
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


@functools.cache
def _inspect(bindir: Path, origin: str, variables: tuple[tuple[str, str], ...]) -> Programs:
    missing = [name for name in _CLIENT_PROGRAMS if not os.access(bindir / name, os.X_OK)]
    if missing:
        message = f"{bindir} holds no program {', '.join(missing)}"
        raise ToolError(message, code="tool.missing")
    environment = dict(variables)
    version, major = _version_of(bindir / "pg_dump", environment)
    has_server = _has_server(bindir, major, environment)
    return Programs(
        bindir=bindir,
        version=version,
        major=major,
        codecs=frozenset({"gzip", *_further_codecs(bindir / "pg_dump", major, environment)}),
        has_server=has_server,
        has_icu=has_server and _mentions(bindir / "postgres", b"ucol_open"),
        origin=origin,
    )


def _version_of(program: Path, environment: Mapping[str, str]) -> tuple[str, int]:
    ended = _ask(program, "--version", environment=environment)
    found = _VERSION.search(ended.output_tail)
    if ended.exit_code != 0 or found is None:
        message = (
            f"{program} --version does not answer like PostgreSQL: {ended.output_tail[-300:] or 'nothing'}"
        )
        raise ToolError(message)
    return found["version"], int(found["major"])


def _has_server(bindir: Path, major: int, environment: Mapping[str, str]) -> bool:
    if not all(os.access(bindir / name, os.X_OK) for name in _SERVER_PROGRAMS):
        return False
    try:
        return _version_of(bindir / "postgres", environment)[1] == major
    except ToolError:
        return False


def _further_codecs(pg_dump: Path, major: int, environment: Mapping[str, str]) -> list[str]:
    """The codecs beside gzip that this build was made with.

    pg_dump refuses what it was built without before it connects, so a server that cannot be reached is
    enough. Before 16 the archive format had gzip only, whatever the server was built with.
    """
    if major < _FIRST_WITH_CODECS:
        return []
    nowhere = f"--host={os.devnull}"
    return [
        codec
        for codec in _CODECS
        if os.devnull
        in _ask(pg_dump, "-Fc", f"--compress={codec}", nowhere, environment=environment).output_tail
    ]


def _mentions(program: Path, symbol: bytes) -> bool:
    """Whether the program's file holds `symbol`, as it does when it calls a function of that name."""
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(symbol) >= 0


def _share_folder(bindir: Path) -> Path | None:
    if os.access(bindir / "pg_config", os.X_OK):
        said = _ask(bindir / "pg_config", "--sharedir", environment=plain_environment(os.environ)).output_tail
        if Path(said, "extension").is_dir():
            return Path(said)
    # Where distributions put it when pg_config is packaged apart.
    beside = bindir.parent / "share"
    candidates = (beside, beside / "postgresql", Path("/usr/share/postgresql") / bindir.parent.name)
    return next((place for place in candidates if (place / "extension").is_dir()), None)


def _ask(program: Path, *arguments: str, environment: Mapping[str, str]) -> Completed:
    return run_program(
        [str(program), *arguments],
        timeout_s=_PATIENCE_S,
        environment=environment,
        folder=Path(tempfile.gettempdir()),
    )
