"""What a task works with: the configuration, a job whose listeners are connected, and which backup is meant by a name."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops.config.model import Config, ConfiguredSource
from ops.config.reading import source_of_kind, store_at
from ops.errors import BackupError, ConfigError, NotFoundError, OpsError, OtherSeriesError
from ops.formats.names import manifest_key
from ops.fsio.user_cache import cache_folder
from ops.host.machine import this_machine
from ops.model.complaints import Known
from ops.model.findings import Finding
from ops.model.requests import Assertion
from ops.model.series import Machine, Whose
from ops.ports.source import Source
from ops.ports.store import Store
from ops.report.outcome import Outcome
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.find import find_backup, latest_of_name
from ops.repository.offline import examine_absent, is_absent
from ops.repository.own import is_part
from ops.repository.repository import Repository
from ops.run.events import Chosen
from ops.run.job import Job
from ops.tasks.cli.command import Command, Flags
from ops.tasks.copies import naming_latest


@dataclass(frozen=True)
class Session:
    """What a task works with: its declaration, the configuration, and a job whose listeners are connected."""

    command: Command
    flags: Flags
    config: Config
    job: Job
    outcome: Outcome

    def chosen(self, names: Sequence[str]) -> list[ConfiguredSource]:
        """Return the sources of these names, each once, or all; raises ConfigError when there is none."""
        if not names and not self.config.sources:
            hint = "say which backup, like STORE:NAME or STORE:latest; or add [source.NAME]"
            raise ConfigError("no source is configured", code="config.missing_key", hint=hint)
        named = [self.config.source(name) for name in dict.fromkeys(names)]
        chosen = named or list(self.config.sources.values())
        self.job.tell(Chosen(task=self.outcome.task, sources=tuple(item.name for item in chosen)))
        return chosen

    @property
    def machine(self) -> Machine:
        """Which machine this is."""
        return self.naming[0]

    @functools.cached_property
    def naming(self) -> tuple[Machine, list[Finding]]:
        """Which machine this is, and what an operator should know of its name."""
        return this_machine(self.config.host, os.environ, self.config.state, remember=self.command.remembers)

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
        in_folder = Path(name).is_dir() and not Path(manifest_key(name)).exists()
        if not name or in_folder or Path(manifest_key(reference)).exists():
            return self.find(reference, source), ""
        try:
            around = self.find(name, source)
        except NotFoundError as error:
            message = f"there is no backup {reference!r}, and none {name!r} with a member {member!r}"
            raise NotFoundError(message, code=error.code, hint=error.hint, command=error.command) from error
        backup = opened_where_possible(around, self.config.scratch)
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
        return self.command.takes_backup

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

    def only(self, beside: str, sources: Sequence[str]) -> str:
        """Return the one source that is named, or no name; raises ConfigError where several are, and one is meant."""
        if len(sources) > 1:
            message = f"--source is given {len(sources)} times, and with {beside} one source is meant"
            raise ConfigError(message, code="usage.bad_value", hint="give --source once")
        return sources[0] if sources else ""

    def one(self, source: str) -> list[ConfiguredSource]:
        """The one source that is meant; raises ConfigError where several may be."""
        chosen = self.chosen([source] if source else [])
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
