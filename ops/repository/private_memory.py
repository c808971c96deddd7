"""What this machine remembers of encrypted backups that it made: without a key nobody else can tell what they hold.

In the state folder, private, of the newest backups of each series. Lost, nothing is lost but comparisons.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.formats.encrypted_manifest import (
    is_closed,
    is_hidden,
    opened_manifest,
    plain_manifest,
    private_content,
)
from ops.formats.manifest import payload_sha256
from ops.fsio.atomic import make_private_folder, replace_durably, staged_file, write_all
from ops.host.state_dir import StateDir
from ops.model.manifest import Manifest
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.repository import Repository

_FOLDER: Final = "private"
_KEPT: Final = 12
"""As many as retention compares, and a few that may have been pruned."""


def remember_private(state: StateDir | None, manifest: Manifest) -> None:
    """Keep what tells of the content of a backup that was just encrypted; nothing happens where that cannot be."""
    if state is None or manifest.origin is None or not is_hidden(manifest) or is_closed(manifest):
        return
    try:
        folder = state.usable() / _FOLDER / manifest.origin.series
        make_private_folder(folder)
        name = payload_sha256(manifest)
        with staged_file(folder, name) as staged:
            write_all(staged, private_content(plain_manifest(manifest)))
            replace_durably(staged.path, folder / name)
        _forget_old(folder)
    except (OSError, OpsError):
        return  # doctor says what is wrong with the state folder


def _forget_old(folder: Path) -> None:
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in found[_KEPT:]:
        path.unlink(missing_ok=True)


def known_manifest(manifest: Manifest, to: Repository) -> Manifest:
    """Return the manifest with what this machine remembers of its content, or can open; else as it is."""
    found = _recalled(to.state, manifest)
    if not is_closed(found) or not to.decryptors:
        return found
    backup = Backup(store=to.store, manifest=manifest, openers=to.decryptors)
    return opened_where_possible(backup, to.scratch).manifest


def recalled(backup: Backup, to: Repository) -> Backup:
    """Return the backup with what this machine remembers of its content; nothing is opened."""
    return replace(backup, manifest=_recalled(to.state, backup.manifest))


def _recalled(state: StateDir | None, manifest: Manifest) -> Manifest:
    if state is None or manifest.origin is None or not is_closed(manifest):
        return manifest
    with contextlib.suppress(OSError, OpsError):
        path = state.usable(make=False) / _FOLDER / manifest.origin.series / payload_sha256(manifest)
        return opened_manifest(manifest, path.read_bytes())
    return manifest
