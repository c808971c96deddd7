"""Every error that an operator can meet, each with an exit code and a stable dotted code.

    OpsError                      exit 2
    |- ConfigError                config.*    the configuration cannot be used
    |- SourceError                source.*    the thing that is backed up cannot be read as it should
    |- StoreError                 store.*     the place where backups live does not answer as it should
    |- BackupError                backup.*    a stored backup is missing, unreadable or not what it claims
    |- CipherError                cipher.*    a file cannot be sealed, or a sealed one not be opened
    |- SnapshotError              snapshot.*  a snapshot, its checksum or a manifest is missing or not to be read
    |- RefusedError               refused.*   the request would hurt something; nothing was done
    |- LockHeldError              lock.held   another run works on the same source
    |- SpaceError                 space.*     not enough room
    |- StateError                 state.*     the folder in which this machine remembers cannot be used
    |- ToolError                  tool.*      a program or library that is needed is missing or failed

A raised error means "could not look" or "could not do"; what was seen while looking is a finding
(`ops.model.findings.Finding`). The complete list of codes is in `ops.codes`. An error on which the program itself acts has a
class of its own: whoever raises it names the code, and whoever waits for it names the class. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self


class OpsError(Exception):
    """An error that is meant for the operator: what, where, and what to do next.

    `code` is one of `CODES`; `hint` says the next move in words; `command` is the one task to run next
    (without the program's name), where there is one; `choices` are tasks of which one may be meant, each with what it
    is about; `exit_code` is what the process ends with.
    """

    exit_code: int = 2
    default_code: str = "tool.failed"
    _of_one_code: ClassVar[dict[str, type[OpsError]]] = {}

    def __init_subclass__(cls, *, only: bool = False, **options: Any) -> None:  # noqa: ANN401 - as Python declares it
        """Keep a class that is of its default code `only`: every error of that code is made as one of it."""
        super().__init_subclass__(**options)
        if only:
            OpsError._of_one_code[cls.default_code] = cls

    def __new__(cls, *arguments: object, code: str | None = None, **_others: object) -> Self:
        """Make an error of the class that its code has for itself, where that is one of this class."""
        own = OpsError._of_one_code.get(code or cls.default_code, cls)
        return super().__new__(own if issubclass(own, cls) else cls, *arguments)

    def __init__(  # noqa: PLR0913 - each is one thing that an operator is told
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        command: str = "",
        choices: Sequence[tuple[str, str]] = (),
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.command = command
        self.choices = tuple(choices)
        self.details = tuple(details)


class ConfigError(OpsError):
    """The configuration or a flag cannot be used; says file, table and key."""

    default_code = "config.invalid_value"


class SourceError(OpsError):
    """The source cannot be read consistently; nothing was published."""

    default_code = "source.unreadable"


class SourceLockedError(SourceError, only=True):
    """Somebody held a lock on the source for longer than the time-out."""

    default_code = "source.locked"


class SourceMissingError(SourceError, only=True):
    """The source is not there."""

    default_code = "source.missing"


class SourceUnreachableError(SourceError, only=True):
    """The server does not answer, or the connection broke."""

    default_code = "source.unreachable"


class SourceRefusedError(SourceError, only=True):
    """The server refused the connection or the role."""

    default_code = "source.refused"


class QueryFailedError(SourceError, only=True):
    """The server refused a question, and would answer others."""

    default_code = "source.query_failed"


class NoHistoryError(SourceError, only=True):
    """A database has no table with an ingest history."""

    default_code = "ingest.table_missing"


class SourceCorruptError(SourceError, only=True):
    """The engine says that the database is damaged."""

    default_code = "source.corrupt"


class StoreError(OpsError):
    """The store cannot do what was asked."""

    default_code = "store.unreadable"


class StoreRefusedError(StoreError, only=True):
    """The store refused the credentials, or they may not do that."""

    default_code = "store.refused"


class StoreConflictError(StoreError, only=True):
    """Something else has the name in the store; nothing was replaced."""

    default_code = "store.conflict"


class StoreMissingError(StoreError, only=True):
    """The store that this machine knew there is gone."""

    default_code = "store.missing"


class SameStoreError(StoreError, only=True):
    """Two stores are one place under two names."""

    default_code = "store.same"


class StoreIdentityError(StoreError, only=True):
    """What the store says of itself cannot be understood."""

    default_code = "store.identity_invalid"


class NewerStoreError(StoreError, only=True):
    """A later Drillbook wrote to the store."""

    default_code = "store.newer_format"


class ObjectLockedError(StoreError, only=True):
    """A stored file is locked, and cannot be removed yet."""

    default_code = "store.object_locked"


class ChecksumRefusedError(StoreError, only=True):
    """What arrived in the store is not what was sent."""

    default_code = "store.checksum_refused"


class StoreUnreachableError(StoreError, only=True):
    """The store does not answer, or the connection broke."""

    default_code = "store.unreachable"


class BackupError(OpsError):
    """A stored backup is missing, unreadable, or not what its manifest says."""

    default_code = "backup.not_found"


class NotFoundError(BackupError, only=True):
    """There is no such backup, or no such file in a store."""

    default_code = "backup.not_found"


class ManifestInvalidError(BackupError, only=True):
    """A manifest cannot be read, or contradicts itself."""

    default_code = "backup.manifest_invalid"


class OtherSeriesError(BackupError, only=True):
    """Backups of that name belong to another series."""

    default_code = "backup.other_series"


class CipherError(OpsError):
    """A file cannot be sealed, or a sealed one not be opened; nothing of it was left behind."""

    default_code = "cipher.damaged"


class WrongKeyError(CipherError, only=True):
    """The file was encrypted for other keys than are at hand."""

    default_code = "cipher.wrong_key"


class SnapshotError(OpsError):
    """A snapshot, its checksum file or a manifest is missing, unreadable or contradicts itself."""

    default_code = "snapshot.not_found"


class SnapshotManifestError(SnapshotError, only=True):
    """A manifest of checksums cannot be read, or contradicts itself."""

    default_code = "snapshot.manifest_invalid"


class RefusedError(OpsError):
    """Doing it could hurt something of value; nothing was touched."""

    default_code = "refused.target_occupied"


class NameTakenError(RefusedError, only=True):
    """A file of that name exists; nothing is ever overwritten."""

    default_code = "refused.name_taken"


class LockHeldError(OpsError):
    """Another run holds the source's lock; the message says which."""

    default_code = "lock.held"


class SpaceError(OpsError):
    """Not enough room, before the first byte or in the middle."""

    default_code = "space.insufficient"


class StateError(OpsError):
    """The folder in which this machine remembers cannot be used."""

    default_code = "state.unusable"


class ToolError(OpsError):
    """A program or library that is needed is missing or failed."""

    default_code = "tool.failed"


class NetworkForbiddenError(ToolError, only=True):
    """Another machine would have to be contacted, and `--no-network` was given."""

    default_code = "tool.network_forbidden"
