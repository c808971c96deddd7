"""Every error that an operator can meet, each with an exit code and a stable dotted code.

    OpsError                      exit 2
    |- ConfigError                config.*    the configuration can not be used
    |- SourceError                source.*    the thing that is backed up can not be read as it should
    |- StoreError                 store.*     the place where backups live does not answer as it should
    |- BackupError                backup.*    a stored backup is missing, unreadable or not what it claims
    |- CipherError                cipher.*    a file can not be sealed, or a sealed one not be opened
    |- SnapshotError              snapshot.*  a snapshot, its checksum or a manifest is missing or not to be read
    |- RefusedError               refused.*   the request would hurt something; nothing was done
    |- LockHeldError              lock.held   another run works on the same source
    |- SpaceError                 space.*     not enough room
    |- StateError                 state.*     the folder in which this machine remembers cannot be used
    |- ToolError                  tool.*      a program or library that is needed is missing or failed

A raised error means "could not look" or "could not do"; what was seen while looking is a finding
(`ops.model.findings.Finding`). The complete list of codes is in `CODES`; the documentation's table and a test are
checked against it. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CODES: Final[dict[str, str]] = {
    "backup.archive_invalid": "the archive of a log is damaged, or holds what does not belong there",
    "backup.archive_unreadable": "a PostgreSQL archive, or the list of objects beside it, can not be read through",
    "backup.checksum_file_invalid": "the checksum file holds no SHA-256 digest",
    "backup.checksum_file_missing": "the checksum file beside the payload is gone",
    "backup.checksum_file_mismatch": "the checksum file beside the payload contradicts the manifest",
    "backup.checksum_mismatch": "a stored file does not have the digest that was recorded for it",
    "backup.evidence_invalid": "a verify or drill record beside a backup can not be read",
    "backup.file_extra": "a file lies in a payload's folder that was not stored with it",
    "backup.incomplete": "a payload without a manifest, or something with the name of one: left by a run that was killed, not a backup",
    "backup.manifest_invalid": "the manifest can not be read, or contradicts itself",
    "backup.manifest_newer": "the manifest was written by a newer Drillbook",
    "backup.needed_damaged": "a backup without which this one can not be restored is damaged",
    "backup.needed_missing": "a backup without which this one can not be restored is not in its store",
    "backup.not_found": "no backup of that name",
    "backup.own_manifest_mismatch": "the file beside an event log's archive is not the manifest that is in it",
    "backup.own_manifest_missing": "the manifest for the log's own program is gone from beside the archive",
    "backup.not_restorable": "a restored copy is not what the manifest says, or is damaged",
    "backup.other_series": "backups of that name belong to another series: another machine, place, database or scope",
    "backup.payload_missing": "the manifest is there, the payload is not",
    "backup.pin_invalid": "a pin beside a backup can not be read",
    "backup.size_mismatch": "a stored file has another size than was recorded",
    "cipher.bad_identity": "an identity to open with can not be read as one",
    "cipher.bad_recipient": "a recipient to seal for can not be read, is not known, not trusted, expired, revoked, or can only sign",
    "cipher.damaged": "a sealed file was truncated, altered or exchanged",
    "cipher.no_identity": "no identity or passphrase that opens sealed files is configured here",
    "cipher.not_encrypted": "the file is not in the format of its cipher",
    "cipher.unverifiable": "the cipher proves nothing by itself, and no digest is recorded to compare with",
    "cipher.wrong_key": "the file was sealed for other keys, or with another passphrase, than are configured here",
    "cipher.wrong_key_or_damaged": "the passphrase is wrong or the file is damaged; this cipher can not tell which",
    "config.duplicate_place": "two sources or stores share one place",
    "config.invalid_toml": "the configuration is not TOML",
    "config.invalid_value": "a value has the wrong type or form",
    "config.missing_file": "the configuration file is not there or not readable",
    "config.missing_key": "a key that is needed is not given",
    "config.secret_in_file": "a secret stands in the configuration itself",
    "config.secret_unavailable": "a secret is configured, and can not be read from where it should be",
    "config.undefined_variable": "${NAME} is used and NAME is not set",
    "config.unknown_cipher": "a store names a cipher that is not configured",
    "config.unknown_key": "a key that nothing knows",
    "config.unknown_kind": "a source or store kind that this installation does not have",
    "config.unknown_policy": "a source or store names a policy that is not configured",
    "config.unknown_provider": "no provider of that name",
    "config.unknown_snapshot": "no snapshot of that name is configured",
    "config.unknown_source": "no source of that name",
    "config.unknown_store": "a store is named that is not configured",
    "demo.fixtures_missing": "the text sources of the demo are not in this installation",
    "ingest.column_missing": "the table of the ingest history lacks a column that was named in the configuration, or without which nothing can be said",
    "ingest.table_missing": "the source has no table with the ingest history",
    "lock.held": "another run works on the same source, or deletes its backups in that store",
    "refused.demo_folder_in_use": "the folder for the demo holds something else",
    "refused.interactive_only": "--yes (for snapshots: --confirm) is needed where no terminal can be asked",
    "refused.name_taken": "a file of that name exists; nothing is ever overwritten",
    "refused.not_anonymized": "the SQL that anonymizes a copy failed; the copy was dropped",
    "refused.other_series": "the backup or the series belongs to another source, or to none that can be told",
    "refused.part": "the backup holds only a part of the source, and would replace all of its live data",
    "refused.prerequisites": "something stands in the way of a restore; the message names all of it",
    "refused.snapshot_differs": "a snapshot of that name exists with other content; --replace puts the new one in its place",
    "refused.snapshot_of_another": "a snapshot of another ticker has the name of the file already; --out names another",
    "refused.table_not_replaced": "single tables could not be restored; the transaction was rolled back",
    "refused.target_in_use": "another process has the target open",
    "refused.target_in_store": "the target of a restore lies inside of a store",
    "refused.target_is_source": "the target is a configured source and --yes was not given",
    "refused.target_mounted": "the target is a mount point, which no other file can replace",
    "refused.target_occupied": "the target exists and --yes was not given",
    "refused.unsafe_name": "the name leads out of the folder",
    "series.record_invalid": "the record of an adopted series cannot be read",
    "snapshot.checksum_invalid": "a checksum file holds no SHA-256 digest of its snapshot",
    "snapshot.malformed": "a file is not the CSV of a snapshot, or breaks off",
    "snapshot.manifest_invalid": "a manifest of checksums can not be read, or contradicts itself",
    "snapshot.no_rows": "the table has no rows of that ticker",
    "snapshot.not_found": "no snapshot, or no manifest, where one was looked for",
    "snapshot.table_missing": "the source has no such table, or the table no such column",
    "snapshot.unreadable": "a file or folder can not be read, so nothing can be said about it",
    "source.changed": "the source was replaced or truncated while it was read",
    "source.corrupt": "the database is damaged, says its engine",
    "source.encrypted": "the file looks encrypted: no SQLite header, no structure",
    "source.engine_older": "a newer version of the engine wrote the source, and its schema cannot be read by the one that is here",
    "source.hot_journal": "a crashed writer left a rollback journal that must be played back first",
    "source.locked": "the database was locked for longer than the time-out",
    "source.log_elsewhere": "the application may keep the log of the database beside another name of the file",
    "source.missing": "the source is not there",
    "source.no_privilege": "the role may not read every table of the source",
    "source.not_a_database": "the file is not an SQLite database",
    "source.not_a_file": "the source is a folder, a pipe or a device",
    "source.not_migrated": "the log is in its old form, a single file, and must be opened by its program first",
    "source.pooled": "the address is that of a connection pooler that gives transactions other server processes",
    "source.query_failed": "the server refused a question",
    "source.refused": "the server refused the connection or the role",
    "source.row_security": "row security would hide rows from the role",
    "source.swapped": "a database has the number that another configured source's database had",
    "source.torn": "the copy is not what the engine saw in the snapshot; it was thrown away",
    "source.unreachable": "the server does not answer, or the connection broke",
    "source.unreadable": "the source can not be read with this user's rights",
    "space.disk_full": "the disk ran full in the middle; what was half written is gone again",
    "space.insufficient": "the free space is below estimate plus reserve; nothing was written",
    "space.limit": "the store would hold more than its limit; nothing was written",
    "space.store_full": "the store has no room left, or its quota is used up; nothing was published",
    "state.unusable": "the state folder of this machine cannot be used: a warning of what keeps data, and what deletes refuses",
    "store.bad_answer": "what answered is not the store, or its answer makes no sense: a login page, a proxy, an unfinished server",
    "store.bad_listing": "what came is not a listing of the store, or one without an end; nothing can be said about what is there",
    "store.changed": "a stored file, or one that was being written, was replaced or removed by something else",
    "store.checksum_refused": "what arrived in the store is not what was sent",
    "store.clock_skew": "this machine's clock and the store's differ too much",
    "store.conflict": "something else has the name of a backup in the store; nothing was replaced",
    "store.credentials_expired": "the credentials for the store have expired",
    "store.identity_invalid": "what the store says of itself is damaged or another program's",
    "store.missing": "the store that this machine knew there is gone: its disk is not mounted, or its bucket was emptied; nothing was made",
    "store.newer_format": "the store was written to by a later Drillbook than this one",
    "store.no_bucket": "the bucket of the store is not there",
    "store.no_credentials": "no credentials for the store were found",
    "store.not_stored": "the store said that a file was stored, and it is not there",
    "store.object_locked": "a stored file is locked until a time, or held by a legal hold, and can not be removed before",
    "store.redirected": "the store sends us to another region or address instead of answering",
    "store.refused": "the store refused the credentials, or they may not do that",
    "store.same": "two stores of a source are one place under two names, or one is a copy of the other with its store.json",
    "store.throttled": "the store was too busy, also after waiting",
    "store.unreachable": "the store does not answer, or the connection broke",
    "store.unreadable": "the store can not be read",
    "store.unstable": "two looks at the same stored file came to different results, so nothing can be said about the backup",
    "store.unwritable": "the store can not be written",
    "tool.extension_missing": "the server lacks an extension that the source uses",
    "tool.failed": "a program that was called failed",
    "tool.interrupted": "the task was ended by Ctrl-C, SIGTERM or SIGHUP",
    "tool.missing": "a program or library that is needed is not installed",
    "tool.network_forbidden": "another machine would have to be contacted, and --no-network was given",
    "tool.other_release": "a server of another release does not take what the backup holds",
    "tool.too_old": "a program is older than what it is to work with",
    "tool.unreachable": "a program can not be run by the unprivileged user that must run it",
    "usage.bad_value": "a flag has a value that it does not take",
    "usage.dry_run": "Invoke was told to run nothing (--dry), which Drillbook's tasks do not obey",
}
"""Dotted code -> one line for the documentation."""


class OpsError(Exception):
    """An error that is meant for the operator: what, where, and what to do next.

    `code` is one of `CODES`; `hint` says the next move in words; `command` is the one task to run next
    (without the program's name), where there is one; `choices` are tasks of which one may be meant, each with what it
    is about; `exit_code` is what the process ends with.
    """

    exit_code: int = 2
    default_code: str = "tool.failed"

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
    """The configuration or a flag can not be used; says file, table and key."""

    default_code = "config.invalid_value"


class SourceError(OpsError):
    """The source can not be read consistently; nothing was published."""

    default_code = "source.unreadable"


class StoreError(OpsError):
    """The store can not do what was asked."""

    default_code = "store.unreadable"


class BackupError(OpsError):
    """A stored backup is missing, unreadable, or not what its manifest says."""

    default_code = "backup.not_found"


class CipherError(OpsError):
    """A file can not be sealed, or a sealed one not be opened; nothing of it was left behind."""

    default_code = "cipher.damaged"


class SnapshotError(OpsError):
    """A snapshot, its checksum file or a manifest is missing, unreadable or contradicts itself."""

    default_code = "snapshot.not_found"


class RefusedError(OpsError):
    """Doing it could hurt something of value; nothing was touched."""

    default_code = "refused.target_occupied"


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
