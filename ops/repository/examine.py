"""What would keep the next backup out of a store that has its files on this machine."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from ops.errors import OpsError, SameStoreError
from ops.fsio.space import free_bytes
from ops.host.mounts import device_of
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.ports.store import OWN_PREFIX, LocalFiles, Store
from ops.repository.identity import require_another
from ops.repository.locks import holder_of
from ops.repository.repository import Repository
from ops.repository.store_watch import folder_of
from ops.repository.transfer import put_text
from ops.units import format_size

_PROBE: Final = f"{OWN_PREFIX}doctor-probe"


def examine_folder(repository: Repository, reserve: int | None) -> list[Finding]:
    """Look whether the store can be written, is private, and has `reserve` bytes free.

    Elsewhere only whether it can be written; no look at the space without a reserve.
    """
    store, findings = repository.store, []
    if not isinstance(store, LocalFiles):
        return _examine_writing(store)
    folder = store.path_of("payload").parent
    try:
        with store.stage("doctor-probe") as staged:
            staged.write_bytes(b"x")
    except (OpsError, OSError) as error:
        message = f"store {store.name!r} cannot be written: {error}"
        return [_finding(Severity.CRITICAL, "store.unwritable", message, str(folder))]
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        message = f"{folder} can be read by others (mode {mode:04o}); chmod 700 it"
        findings.append(_finding(Severity.WARNING, "doctor.permissions", message, str(folder)))
    return [*findings, *([] if reserve is None else [examine_room(folder, reserve, "the next backup")])]


def _examine_writing(store: Store) -> list[Finding]:
    """Look whether a small file can be put: always the same one, which stays, so that names do not gather."""
    try:
        put_text(store, _PROBE, b"")
    except OpsError as error:
        message = f"store {store.name!r} cannot be written: {error.message}"
        return [_finding(Severity.CRITICAL, error.code, message, store.name)]
    return []


def examine_devices(stores: Iterable[Store]) -> list[Finding]:
    """Return which stores lie together on one device of this machine, and so are lost together."""
    together: dict[int, list[str]] = {}
    for store in stores:
        device = device_of(folder_of(store)) if isinstance(store, LocalFiles) else None
        if device is not None:
            together.setdefault(device, []).append(store.name)
    return [
        _finding(
            Severity.OK,
            "store.same_device",
            f"stores {' and '.join(names)} lie on one device: what is lost with that disk is lost in all of them",
        )
        for names in together.values()
        if len(names) > 1
    ]


def examine_sameness(stores: Sequence[Store]) -> list[Finding]:
    """Return a critical finding for each store that is another one of them under a second name."""
    findings = []
    for number, store in enumerate(stores):
        try:
            require_another(store, stores[:number])
        except SameStoreError as error:
            message = f"{error.message}; {error.hint}"
            findings.append(_finding(Severity.CRITICAL, error.code, message, store.name))
        except OpsError:
            continue
    return findings


def examine_lock(repository: Repository, whose: Whose) -> list[Finding]:
    """Return who works on the source in the store now, as far as that is known on this machine."""
    holder = holder_of(whose, repository)
    return [] if holder is None else [_finding(Severity.OK, "doctor.lock", f"at work now: {holder}")]


def examine_room(place: Path, needed: int, purpose: str) -> Finding:
    """Return whether `needed` bytes are free in `place` for the `purpose`."""
    free = free_bytes(place)
    text = f"{format_size(free)} free in {place}, {format_size(needed)} needed for {purpose}"
    if free >= needed:
        return _finding(Severity.OK, "doctor.space", text)
    return _finding(Severity.CRITICAL, "space.insufficient", text, str(place))


def _finding(severity: Severity, code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)
