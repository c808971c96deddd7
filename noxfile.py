"""The CI stages of this repository, run by `nox`; `nox --list` shows them.

Packages come from the lock files, with hashes checked; `nox -s lock` writes those files anew.
"""

import os
import tempfile
from pathlib import Path
from typing import IO

import nox

# Tests start our programs hundreds of times: without its bytecode each start compiles a hundred modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.needs_version = ">=2026.4.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

Out = IO[str] | None
LOCKS = Path("locks")
ELSEWHERE = ("tests/docs", "tests/fixtures_ci", "tests/regression")
TWO = ("--numprocesses=2", "--dist=loadfile")
USUAL = "not faults_long"
"""Marks choose what runs where: see `markers` in pyproject.toml."""
WITHOUT_PROJECT = ("build", "lint")
COMPILE = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]


def install(session: nox.Session, group: str, *, project: bool = True) -> None:
    """Install one lock file and, unless told otherwise, the project itself in editable form."""
    session.install("--require-hashes", "-r", str(LOCKS / f"{group}.txt"))
    if project:
        session.install("--no-build-isolation", "--no-deps", "-e", ".")


def drill_demo(session: nox.Session, drillbook: str, to: Path, *options: str, out: Out = None) -> None:
    """Build the demo in `to`, back it up and drill it; the drill's report goes to `out`.

    What is built depends on what is installed: `require_petshop` tells whether PostgreSQL was in it.
    """
    config = ("--config", str(to / "ops.toml"))
    session.run(drillbook, "demo", "--out", str(to), external=True)
    state = {"OPS_STATE_DIR": str(to / ".state")}
    session.run(drillbook, "backup.create", *config, "--verify", external=True, env=state)
    log = {"LOG_FILE": str(out.name).replace(".json", ".log.jsonl")} if out else {}
    drill = (drillbook, "backup.drill", *config, "--no-network", *options)
    session.run(*drill, external=True, stdout=out, env={**state, **log})


def require_petshop(session: nox.Session, drillbook: str, to: Path) -> None:
    """Fail when the demo in `to` was built without its PostgreSQL source."""
    config = ("--config", str(to / "ops.toml"))
    session.run(drillbook, "backup.verify", *config, "--source", "petshop", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    install(session, "lint", project=False)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check all types with mypy, tests included."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session
def layers(session: nox.Session) -> None:
    """Prove that imports point one way."""
    install(session, "layers")
    session.run("lint-imports", "--no-cache")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that take minutes together, in random order; arguments replace the selection."""
    install(session, "tests")
    if session.posargs:
        session.run("pytest", *session.posargs, "--cov")
        return
    session.run("pytest", "tests", *_without(*ELSEWHERE), "-m", f"{USUAL} and not long", *TWO)


@nox.session(default=False, tags=["full"])
def full(session: nox.Session) -> None:
    """Run every test, with branch coverage: servers, containers, kills and full disks too; half an hour and more."""
    install(session, "tests")
    # What sends signals, fills disks and races wants the machine for itself; all else runs in two processes.
    tests = ("pytest", "tests", *_without(*ELSEWHERE))
    session.run(*tests, "-m", f"{USUAL} and alone", "--cov", "--cov-report=")
    others = ("-m", f"{USUAL} and not alone", *TWO)
    session.run(*tests, *others, "--cov", "--cov-append", "--cov-fail-under=90")


def _without(*places: str) -> list[str]:
    return [f"--ignore={place}" for place in places]


@nox.session
def verify_fixtures(session: nox.Session) -> None:
    """Verify the stored fixture backups and snapshots with the network blocked; what differs is left in artifacts."""
    install(session, "tests")
    session.run("pytest", "tests/fixtures_ci", *session.posargs)


@nox.session
def restore_drill(session: nox.Session) -> None:
    """Drill the demo catalogue without network; JUnit and JSON evidence goes to artifacts/restore_drill."""
    install(session, "build", project=False)
    install(session, "postgres")
    evidence = Path("artifacts/restore_drill")
    evidence.mkdir(parents=True, exist_ok=True)
    options = ("--junit", str(evidence / "junit.xml"), "--format", "json")
    with tempfile.TemporaryDirectory() as to, (evidence / "evidence.json").open("w", encoding="utf-8") as out:
        drill_demo(session, "drillbook", Path(to), *options, out=out)
        require_petshop(session, "drillbook", Path(to))


@nox.session
def smoke(session: nox.Session) -> None:
    """Drill the demo with the wheel in an empty environment far from here, bare and then with PostgreSQL."""
    install(session, "build", project=False)
    with tempfile.TemporaryDirectory() as scratch:
        outside = Path(scratch)
        session.run("hatchling", "build", "--target", "wheel", "--directory", str(outside), silent=True)
        (wheel,) = outside.glob("*.whl")
        session.run("python", "-m", "venv", str(outside / "env"))
        pip = (str(outside / "env/bin/python"), "-m", "pip", "--disable-pip-version-check")
        locked = (*pip, "install", "--quiet", "--require-hashes", "-r")
        session.run(*locked, str((LOCKS / "runtime.txt").resolve()), external=True)
        session.run(*pip, "install", "--quiet", "--no-deps", str(wheel), external=True)
        session.run(*pip, "check", external=True)
        drillbook = str(outside / "env/bin/drillbook")
        postgres = str((LOCKS / "postgres.txt").resolve())
        with session.chdir(outside):
            session.run(drillbook, "--version", external=True)
            session.run(drillbook, "--list", external=True)
            drill_demo(session, drillbook, outside / "demo")
            session.run(*locked, postgres, external=True)
            session.run(*pip, "check", external=True)
            drill_demo(session, drillbook, outside / "demo")
            require_petshop(session, drillbook, outside / "demo")


@nox.session
def docs(session: nox.Session) -> None:
    """Run every command of the documentation and check what it shows."""
    install(session, "docs")
    session.run("pytest", "tests/docs", "--tb=short", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure against plain tools side by side; `-- --size 64MiB` for a short run."""
    install(session, "bench")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session(default=False, python="3.11")
def minimums(session: nox.Session) -> None:
    """Run the tests on the oldest Python and the lowest dependencies that are allowed."""
    install(session, "minimums")
    session.run("pytest", *(session.posargs or ("tests", *_without("tests/docs", "tests/regression"))))


@nox.session(default=False)
def regression(session: nox.Session) -> None:
    """Back up, drill and restore PostgreSQL's own regression database, on every version; its SQL is fetched by apt (Debian).

    It is kept in the folder that `DRILLBOOK_REGRESSION` names, if any.
    """
    install(session, "tests")
    session.run("pytest", "tests/regression", "-p", "no:randomly", "-rP", *session.posargs)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Run the long loops of kills and full disks."""
    install(session, "tests")
    session.run("pytest", "tests", "-m", "faults_long", *session.posargs)


@nox.session(default=False)
def mutate(session: nox.Session) -> None:
    """Break each check on purpose and see that some test notices."""
    install(session, "tests")
    session.run("python", "-m", "tests.mutate", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write the lock files anew from pyproject.toml; `-- --upgrade` takes newer versions."""
    session.install("uv")
    groups = {name: ("--group", name) for name in nox.project.load_toml()["dependency-groups"]}
    lowest = ("--group", "tests", "--resolution", "lowest-direct")
    for name, options in {"runtime": (), **groups, "minimums": lowest}.items():
        source = () if name in WITHOUT_PROJECT else ("pyproject.toml",)
        out = ("--output-file", str(LOCKS / f"{name}.txt"))
        arguments = (*source, *options, *COMPILE, *out, *session.posargs)
        session.run("uv", "pip", "compile", *arguments, env={"UV_CUSTOM_COMPILE_COMMAND": "nox -s lock"})
