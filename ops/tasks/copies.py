"""Where else a backup lies: what is damaged or missing in one store may be whole in another, and each error says so."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from ops.config.model import Config, ConfiguredSource
from ops.errors import BackupError, NotFoundError, OpsError
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.find import find_backup

Choices = list[tuple[str, str]]


def naming_latest(
    error: BackupError,
    store: Store,
    configured: ConfiguredSource,
    whose: Whose,
    config: Config,
    cache: Path | None,
    task: str,
) -> BackupError:
    """Return the same error, or where other stores have copies, one that names the newest in each: nothing is lost then."""
    choices: Choices = []
    missing = isinstance(error, NotFoundError)
    back = (
        "bring it back" if missing else f"bring it back, once the damaged file is moved out of {store.name!r}"
    )
    for name in configured.stores:
        if name == store.name:
            continue
        with contextlib.suppress(OpsError):
            copy = find_backup(config.stores[name], "latest", whose=whose, cache=cache)
            about = f"newest copy in {name!r}, {copy.manifest.created_at:%Y-%m-%d %H:%M}Z"
            choices.append((f"{task} {name}:latest --source {configured.name}", about))
            choices.append((f"store.pull {name}:latest --source {configured.name}", back))
    if not choices:
        return error
    hint = "copies are in other stores: use one, or bring it back first"
    return BackupError(error.message, code=error.code, hint=hint, choices=choices)


def naming_copies(error: BackupError, backup: Backup, config: Config, task: str) -> BackupError:
    """Return the same error with the copies of that very backup in other stores, where there are any."""
    copies = [
        (f"{task} {shlex.quote(f'{name}:{copy.name}')}", f"its copy in {name!r}")
        for name, copy in _copies(backup, config)
    ]
    if not copies:
        return error
    return BackupError(
        error.message,
        code=error.code,
        hint=error.hint,
        command=error.command,
        choices=[*copies, *error.choices],
        details=error.details,
    )


def _copies(backup: Backup, config: Config) -> Iterator[tuple[str, Backup]]:
    for name, store in config.stores.items():
        if store.location == backup.store.location:
            continue
        with contextlib.suppress(OpsError):
            copy = find_backup(store, backup.plain.payload)
            if copy.manifest.job_id == backup.manifest.job_id and copy.good is not False:
                yield name, copy
