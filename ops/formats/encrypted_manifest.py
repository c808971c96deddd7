"""Manifests of sealed backups: what is stored, and what it was before it was sealed. Pure.

A sealed backup has the suffix of its cipher on its payload's name and on each file of it. `files` are what is stored; the
key `sealed` keeps size and digest of each plain file, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ops.errors import BackupError
from ops.model.manifest import FileEntry, Manifest
from ops.ports.cipher import Sealed

KEY: Final = "sealed"
_SEALED_FOR: Final = "sealed_for"


def is_sealed(manifest: Manifest) -> bool:
    """Whether the payload must be opened before it can be used."""
    return KEY in manifest.extra


def sealed_path(path: str, suffix: str) -> str:
    """Where the file `path` of a payload lies when it is sealed."""
    top, slash, inside = path.partition("/")
    return f"{top}{suffix}/{inside}{suffix}" if slash else f"{top}{suffix}"


def sealed_manifest(
    plain: Manifest, kind: str, suffix: str, sealed: Sequence[Sealed], sealed_for: str | None
) -> Manifest:
    """The manifest of the same backup when its files, in their order, were sealed; `sealed_for` as of the cipher."""
    pairs = list(zip(plain.files, sealed, strict=True))
    document = {
        "cipher": kind,
        "suffix": suffix,
        "files": [
            {"path": entry.path, "size": item.plain_size, "sha256": item.plain_sha256}
            for entry, item in pairs
        ],
        **({} if sealed_for is None else {_SEALED_FOR: sealed_for}),
    }
    return replace(
        plain,
        payload=f"{plain.payload}{suffix}",
        files=tuple(
            FileEntry(sealed_path(entry.path, suffix), item.size, item.sha256) for entry, item in pairs
        ),
        extra={**plain.extra, KEY: document},
    )


def cipher_kind(manifest: Manifest) -> str:
    """The kind of cipher that it was sealed with; raises BackupError when the manifest says none."""
    return str(_document(manifest)["cipher"])


def sealed_for(manifest: Manifest) -> str | None:
    """For which set of keys it was sealed, as `Cipher.sealed_for` says it; None when that is not known."""
    found = _document(manifest).get(_SEALED_FOR)
    return found if isinstance(found, str) else None


def plain_manifest(manifest: Manifest) -> Manifest:
    """What the manifest was before the payload was sealed; the same for one that is not.

    Raises BackupError (`backup.manifest_invalid`) when it contradicts itself: names come from what is stored, so
    nothing can lead out of the payload.
    """
    if not is_sealed(manifest):
        return manifest
    document = _document(manifest)
    suffix, recorded = document["suffix"], document["files"]
    try:
        payload = _without(manifest.payload, suffix)
        files = []
        for stored, entry in zip(manifest.files, recorded, strict=True):
            path = entry["path"]
            _require_same(path, payload, suffix, stored)
            files.append(FileEntry(path, int(entry["size"]), str(entry["sha256"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(manifest, repr(error)) from error
    extra = {key: value for key, value in manifest.extra.items() if key != KEY}
    return replace(manifest, payload=payload, files=tuple(files), extra=extra)


def _require_same(path: str, payload: str, suffix: str, stored: FileEntry) -> None:
    if path.partition("/")[0] != payload or sealed_path(path, suffix) != stored.path:
        raise ValueError(f"{path!r} is not what {stored.path!r} was")


def _document(manifest: Manifest) -> dict[str, Any]:
    document = manifest.extra.get(KEY)
    if not isinstance(document, dict) or not {"cipher", "suffix", "files"} <= document.keys():
        raise _invalid(manifest, "it does not say how it was sealed")
    return document


def _without(name: str, suffix: str) -> str:
    plain = name.removesuffix(suffix)
    if not suffix or plain == name or not plain:
        raise ValueError(f"{name!r} does not end in {suffix!r}")
    return plain


def _invalid(manifest: Manifest, why: str) -> BackupError:
    message = f"the manifest of {manifest.payload} contradicts itself about its sealing: {why}"
    return BackupError(message, code="backup.manifest_invalid", hint="use another backup, or another copy")
