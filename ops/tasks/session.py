"""The edge of a task: from flags to a session, from results to output and exit code. One place for all tasks."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn, TextIO

from invoke.exceptions import Exit

from ops.config.model import Config, ConfiguredSource
from ops.config.reading import read_config, source_of_kind, store_at
from ops.errors import BackupError, ConfigError, NotFoundError, OpsError, OtherSeriesError, ToolError
from ops.formats.names import manifest_key
from ops.fsio.user_cache import cache_folder
from ops.host.machine import this_machine
from ops.host.network import without_network
from ops.model.complaints import Known
from ops.model.findings import Finding
from ops.model.requests import Assertion
from ops.model.series import Machine, Whose
from ops.observers.terminal import TerminalProgress, make_progress, make_sink
from ops.ports.source import Source
from ops.ports.store import Store
from ops.report.outcome import CRITICAL, Outcome
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.find import find_backup, latest_of_name
from ops.repository.offline import examine_absent, is_absent
from ops.repository.own import is_part
from ops.repository.repository import Repository
from ops.repository.store_watch import StoreWatch, watching_stores
from ops.run.job import Job
from ops.tasks.command import REFUSED_DRY, Flags
from ops.tasks.copies import naming_latest
from ops.tasks.streams import open_missing_streams, silence_output

_NAMED: Final = {"backup.restore": "backup.restore --from", "backup.drill": "backup.drill --from"}
"""How tasks are called with the name of a backup, where it is no argument."""
_REMEMBERING: Final = {"backup.create", "backup.adopt", "doctor"}
_WRITING: Final = {
    "backup.create",
    "backup.adopt",
    "backup.prune",
    "store.check",
    "store.pull",
    "store.push",
    "store.reencrypt",
}
"""Tasks that write to stores, after which it is remembered which ones those were."""
_FORMATS: Final = ("text", "json")
_LINE: Final = "line"
"""The format of tasks whose results can be told as one line each."""
_BY_SIGNAL: Final = 128
_PATIENCE: Final = 2
"""Signals that are heard while a task cleans up after the first."""


@dataclass(frozen=True)
class Session:
    """What a task works with: the configuration and a job whose listeners are connected.

    `remembers`: whether this machine's name is kept for the next run, which is for tasks that write.
    """

    flags: Flags
    config: Config
    job: Job
    outcome: Outcome
    remembers: bool = False

    @property
    def config_flag(self) -> str:
        """` --config FILE` when the configuration was named, for commands that are shown."""
        return config_flag(self.flags)

    def chosen(self, name: str) -> list[ConfiguredSource]:
        """The source of that name, or all; raises ConfigError when there is none."""
        if not name and not self.config.sources:
            hint = "say which backup, like STORE:NAME or STORE:latest; or add [source.NAME]"
            raise ConfigError("no source is configured", code="config.missing_key", hint=hint)
        return [self.config.source(name)] if name else list(self.config.sources.values())

    @property
    def machine(self) -> Machine:
        """Which machine this is."""
        return self.naming[0]

    @functools.cached_property
    def naming(self) -> tuple[Machine, list[Finding]]:
        """Which machine this is, and what an operator should know of its name."""
        return this_machine(self.config.host, os.environ, self.config.state, remember=self.remembers)

    @property
    def said_of_name(self) -> list[Finding]:
        """What an operator should know of the machine's name; not that it was generated, where nothing goes by it."""
        watched = any(self.whose(item).watched for item in self.config.sources.values())
        return [item for item in self.naming[1] if watched or item.code != "host.generated"]

    def whose(self, configured: ConfiguredSource) -> Whose:
        """Whose the backups of a source are."""
        return configured.whose(self.machine)

    def find(self, reference: str, source: str = "") -> Backup:
        """The backup that is meant (see `_find`), with this machine's ciphers at hand; raises BackupError."""
        found = self._find(reference, source)
        name = found.manifest.source.name
        if source and name != source:
            message = f"{found.name} is a backup of source {name!r}, and --source says {source!r}"
            raise ConfigError(
                message, code="usage.bad_value", hint="leave --source away, or name another backup"
            )
        return self.with_openers(found)

    def find_member(self, reference: str, source: str = "") -> tuple[Backup, str]:
        """The backup that is meant, and with BACKUP/MEMBER the member of it; raises BackupError as `find`."""
        name, _, member = reference.rpartition("/")
        if not name or Path(name).is_dir() or Path(manifest_key(reference)).exists():
            return self.find(reference, source), ""
        backup = opened_where_possible(self.find(name, source), self.config.scratch)
        names = [item.name for item in backup.manifest.members]
        if member not in names:
            hint = f"its members: {', '.join(names)}" if names else "it is a backup of one source"
            raise BackupError(f"{backup.name} has no member {member!r}", hint=hint)
        return backup, member

    def member_of(self, backup: Backup, name: str) -> Source:
        """The source of a member: as it is configured, or with default options."""
        member = backup.manifest.member(name)
        configured = self.config.sources.get(name)
        if configured is not None and configured.source.info.kind == member.source.kind:
            return configured.source
        return source_of_kind(member.source.kind, name, member.source.location)

    @property
    def cache(self) -> Path | None:
        """The folder in which listings remember what they read."""
        return cache_folder(os.environ)

    def latest(self, store: Store, configured: ConfiguredSource | None) -> Backup:
        """The newest backup of the source (None: of all) in the store; raises BackupError when there is none."""
        whose = self.whose(configured) if configured else None
        try:
            return find_backup(store, "latest", whose=whose, cache=self.cache, task=self.named_task)
        except BackupError as error:
            if configured is None or isinstance(error, OtherSeriesError):
                raise
            whose = self.whose(configured)
            raise naming_latest(
                error, store, configured, whose, self.config, self.cache, self.named_task
            ) from error

    @property
    def named_task(self) -> str:
        """The task that runs, as it is called with the name of a backup."""
        return _NAMED.get(self.outcome.task, self.outcome.task)

    def with_openers(self, backup: Backup) -> Backup:
        """The backup as it can be read here, should it be sealed, or lack in its store what it needs."""
        configured = self.config.sources.get(backup.manifest.source.name)
        names = configured.stores if configured else ()
        others = tuple(self.config.stores[name] for name in names if name != backup.store.name)
        return replace(backup, openers=tuple(self.config.ciphers.values()), elsewhere=others)

    def _find(self, reference: str, source: str) -> Backup:
        """The backup that `latest`, a name, a path, or `STORE:` before one of the first two means.

        Raises BackupError when there is none.
        """
        path = Path(reference)
        store, colon, rest = reference.partition(":")
        if colon and store in self.config.stores:
            if rest == "latest":
                return self._latest_in(self.config.stores[store], source)
            return find_backup(self.config.stores[store], rest)
        if "/" in reference or Path(manifest_key(reference)).exists():
            return find_backup(store_at(path.parent.absolute()), path.name)
        if reference == "latest":
            (configured,) = self.one(source)
            return self.latest(self.config.home_of(configured), configured)
        return self._find_by_name(reference)

    def _latest_in(self, store: Store, source: str) -> Backup:
        """The latest in a store; on a machine without sources that of all, or of the one series of the name that is given."""
        if self.config.sources:
            return self.latest(store, self.one(source)[0])
        return (
            latest_of_name(store, source, self.cache, self.named_task) if source else self.latest(store, None)
        )

    def one(self, source: str) -> list[ConfiguredSource]:
        """The one source that is meant; raises ConfigError where several may be."""
        chosen = self.chosen(source)
        if len(chosen) != 1:
            hint = f"say which with --source: {', '.join(item.name for item in chosen)}"
            raise ConfigError("which source is meant?", code="usage.bad_value", hint=hint)
        return chosen

    def _find_by_name(self, name: str) -> Backup:
        """Look in each store; that one cannot be read is the answer only where no other has the backup."""
        missing: OpsError | None = None
        for store in self.config.stores.values():
            try:
                return find_backup(store, name)
            except NotFoundError as error:
                missing = missing or error
            except BackupError:
                raise
            except OpsError as error:
                missing = error
        raise missing or BackupError(f"there is no backup {name!r}")

    def source_of(self, backup: Backup) -> Source:
        """The configured source of a backup, or one with default options where it is not configured here."""
        info = backup.manifest.source
        configured = self.config.sources.get(info.name)
        if configured is not None and configured.source.info.kind == info.kind:
            return configured.source
        members = {item.name: self.member_of(backup, item.name) for item in backup.manifest.members}
        return source_of_kind(info.kind, info.name, info.location, members)

    def assertions_of(self, backup: Backup) -> Sequence[Assertion]:
        """What is configured about the restored data of a backup's source; of a part of it nothing."""
        configured = self.config.sources.get(backup.manifest.source.name)
        return configured.assertions if configured and not is_part(backup) else ()

    def known_of(self, backup: Backup) -> tuple[Known, ...]:
        """What is known to be wrong with a backup's source."""
        configured = self.config.sources.get(backup.manifest.source.name)
        return configured.known if configured else ()

    def series_of(self, backup: Backup) -> str:
        """The operator's word for the series of a backup's source; empty where there is none."""
        configured = self.config.sources.get(backup.manifest.source.name)
        return configured.series if configured else ""

    def absent(self, stores: Iterable[str]) -> list[str]:
        """Return those of the stores that are offline and not here now."""
        offline = self.config.offline
        return [name for name in stores if name in offline and is_absent(self.config.stores[name])]

    def said_of_absent(self, configured: ConfiguredSource) -> list[Finding]:
        """Return how old the newest copy of the source is in each of its stores that are offline and not here now."""
        now = self.job.clock()
        return [
            examine_absent(self.config.stores[name], configured.name, every, now)
            for name in self.absent(configured.stores)
            if (every := self.config.settings_of(name).every) is not None
        ]

    def repository(self, store: Store) -> Repository:
        """The store with what the configuration says of it."""
        said = self.config.settings_of(store.name)
        return Repository(
            store=store,
            policy=said.policy,
            policies=self.config.policies,
            limit=said.limit,
            encryption=said.cipher,
            plain_measures=said.plain_measures,
            decryptors=tuple(self.config.ciphers.values()),
            scratch=self.config.scratch,
            plain_store=store_at,
            cache=self.cache,
            machine=self.machine,
            state=self.config.state,
        )

    def safety(self, backup: Backup) -> Repository:
        """Where the safety backup of what a restore replaces goes: the home of the backup's source."""
        configured = self.config.sources.get(backup.manifest.source.name)
        return self.repository(self.config.home_of(configured) if configured else backup.store)


def conduct(
    task: str,
    flags: Flags,
    body: Callable[[Session], None],
    *,
    has_lines: bool = False,
    lined: bool = False,
) -> None:
    """Read the configuration, run `body`, print its outcome, and end with its exit code (0 returns).

    `has_lines`: results can be told as lines (`--format line`); `lined`: they are to be, whatever the format.
    """
    progress = make_progress(quiet=flags.quiet)

    def run(outcome: Outcome) -> None:
        try:
            config = read_config(flags.config or None, os.environ, Path.cwd())
            job = Job(sink=make_sink(os.environ, quiet=flags.quiet, verbose=flags.verbose), progress=progress)
            watch = StoreWatch(config.state, writes=task in _WRITING, rotated=config.offline)
            try:
                with watching_stores(watch):
                    body(Session(flags, config, job, outcome, task in _REMEMBERING))
            finally:
                outcome.notice(watch.said)
        finally:
            if isinstance(progress, TerminalProgress):
                progress.close()

    _conclude(task, flags, run, has_lines=has_lines, lined=lined)


def conduct_plain(task: str, flags: Flags, body: Callable[[Outcome, str], None]) -> None:
    """The same for a task that needs no configuration; `body` gets the outcome and the program's name."""
    _conclude(task, flags, lambda outcome: body(outcome, program_name()))


def _conclude(
    task: str, flags: Flags, run: Callable[[Outcome], None], *, has_lines: bool = False, lined: bool = False
) -> None:
    open_missing_streams()
    outcome = Outcome(task, program_name(), config_flag(flags))
    outcome.lines = [] if lined or (has_lines and flags.format == _LINE) else None
    heard: list[signal.Signals] = []
    try:
        _take_signals(heard)
        _require_format(flags.format, (*_FORMATS, _LINE) if has_lines else _FORMATS)
        _require_obeyed(flags)
        with without_network() if flags.no_network else contextlib.nullcontext():
            run(outcome)
    except OpsError as error:
        outcome.fail(error)
    except OSError as error:
        if heard or error.errno != errno.ENAMETOOLONG:
            raise
        message = f"{error.filename}: no file system takes a name that long"
        outcome.fail(ConfigError(message, code="usage.bad_value", hint="name another file"))
    except BaseException:
        # Also what a signal breaks off half way (the start of workers) and so ends with an error of its own.
        if not heard:
            raise
    if heard:
        _interrupted(outcome, flags, heard[0])
    if flags.format == "json" or outcome.exit_code or not flags.quiet:
        _emit(outcome, flags.format)
    if outcome.exit_code:
        raise Exit(code=outcome.exit_code)


def _interrupted(outcome: Outcome, flags: Flags, number: signal.Signals) -> NoReturn:
    message = f"interrupted by {number.name}; nothing half done was kept"
    if flags.format == "json":
        outcome.fail(ToolError(message, code="tool.interrupted"))
        outcome.ended_with = _BY_SIGNAL + number
        _emit(outcome, flags.format)
    raise Exit(message, _BY_SIGNAL + number) from None


def config_flag(flags: Flags) -> str:
    """` --config FILE` when the configuration was named, for commands that are shown."""
    return f" --config {shlex.quote(flags.config)}" if flags.config else ""


def program_name() -> str:
    """How this program was called, for commands that are shown."""
    name = Path(sys.argv[0]).name
    return name if name in {"inv", "invoke"} else "drillbook"


def _require_obeyed(flags: Flags) -> None:
    """Return when nothing was said that a task would not hear."""
    if flags.dry:
        raise ConfigError(REFUSED_DRY, code="usage.dry_run")
    if "--" in sys.argv[1:]:
        # Invoke keeps it apart for tasks that ask for it, and ours ask for none.
        hint = "nothing was done; write names and options without the two dashes in front of them"
        raise ConfigError("what stands behind -- would not be heard", code="usage.bad_value", hint=hint)


def _require_format(given: str, known: Sequence[str]) -> None:
    if given not in known:
        hint = f"one of: {', '.join(known)}"
        raise ConfigError(f"--format {given!r} is not known", code="usage.bad_value", hint=hint)


def _emit(outcome: Outcome, wanted: str) -> None:
    prose = "\n\n".join(outcome.text)
    try:
        if outcome.lines is not None:
            _write(sys.stderr, prose)
            _write(sys.stdout, "\n".join(outcome.lines))
        else:
            _write(sys.stdout, outcome.to_json() if wanted == "json" else prose)
    except OSError as error:
        silence_output()
        message = (
            f"the result could not be written ({error.strerror}); what was done is done: see backup.list"
        )
        raise Exit(message, CRITICAL) from error


def _write(stream: TextIO, text: str) -> None:
    if not text:
        return
    encoding = stream.encoding or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.replace("\u2500", "-")
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _take_signals(heard: list[signal.Signals]) -> None:
    """Hear SIGTERM and SIGHUP, and how our programs end, whatever whoever started us ignores or blocks.

    What is heard is put into the list; the third ends the process at once, and leaves to the next run what was not
    cleaned up. Ctrl-C and hang-ups that are ignored (nohup, the background of a script) stay so.
    """

    def hear(number: int, _frame: object) -> None:
        # As an exception, so that scratch places, staged files and locks are cleaned up on the way out. What comes while
        # that is done would break it off half way: only the third time the process ends at once.
        heard.append(signal.Signals(number))
        if len(heard) > _PATIENCE:
            os._exit(_BY_SIGNAL + number)
        if len(heard) == 1:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(_BY_SIGNAL + number)

    signal.signal(signal.SIGTERM, hear)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hear)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, hear)
    # While it is ignored the kernel forgets exit codes, and every program that failed would seem to have ended well.
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
