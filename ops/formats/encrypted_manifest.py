"""Manifests of encrypted backups: what is stored, and what it was before it was encrypted. Pure.

An encrypted backup has the suffix of its cipher on its payload's name and on each file of it. `files` are what is stored;
the key `sealed` keeps size and digest of each plain file, in the same order. From version 2 on what tells of the content
(measures, names of files, place, selection, assertions, and the kind's own entries) is encrypted too, as one part of the
manifest, unless the store was told to leave it plain.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ops.errors import BackupError
from ops.formats import dependencies
from ops.formats.measures import measures_document, read_measures
from ops.formats.members import MEMBERS, members_document, read_members
from ops.formats.own_manifest import STORED as OWN_MANIFEST_STORED
from ops.formats.wrong import in_words
from ops.model.manifest import SEQUENCE_KEY, FileEntry, Manifest, Measures, Origin
from ops.ports.cipher import Sealed

KEY: Final = "sealed"
_SEALED_FOR: Final = "sealed_for"
_PRIVATE: Final = "private"
_OPENED: Final = "private_opened"
_CLEAR: Final = {SEQUENCE_KEY, "policy", "capture"}
"""What of the further entries of a manifest says nothing of the content."""


@dataclass(frozen=True, slots=True)
class Private:
    """The encrypted part of a manifest as it is stored, and size and digest of what went in, for ciphers that prove nothing."""

    content: bytes
    sealed: Sealed


def is_sealed(manifest: Manifest) -> bool:
    """Whether the payload must be opened before it can be used."""
    return KEY in manifest.extra


def is_hidden(manifest: Manifest) -> bool:
    """Return whether what tells of the content is encrypted where the manifest is stored."""
    return is_sealed(manifest) and _PRIVATE in _document(manifest)


def is_closed(manifest: Manifest) -> bool:
    """Return whether that is so, and it was not opened: then nothing is known of measures, place and names of files."""
    return is_hidden(manifest) and _OPENED not in _document(manifest)


def private_content(plain: Manifest) -> bytes:
    """Return what is to be encrypted of the manifest of a plain backup.

    With a random number in it: its digest stands beside it for some ciphers, and few counts could be tried out.
    """
    origin = plain.origin
    document = {
        "nonce": secrets.token_hex(16),
        "location": plain.source.location,
        "text": origin.text if origin else "",
        "selection": dict(plain.selection),
        "assertions": [dict(item) for item in plain.assertions],
        "measures": measures_document(plain.measures),
        "engine": dict(plain.measures.engine),
        "paths": [entry.path for entry in plain.files],
        **members_document(plain),
        "extra": {key: value for key, value in plain.extra.items() if key not in {*_CLEAR, KEY}},
    }
    return gzip.compress(json.dumps(document).encode("ascii"), mtime=0)


def stored_path(plain: Manifest, number: int, suffix: str, *, hidden: bool) -> str:
    """Return where file `number` of a plain payload lies when it is encrypted; names tell of the content as well."""
    path = plain.files[number].path
    top, slash, inside = path.partition("/")
    return (
        f"{top}{suffix}/{stored_inside(inside, number, suffix, hidden=hidden)}" if slash else f"{top}{suffix}"
    )


def stored_inside(inside: str, number: int, suffix: str, *, hidden: bool) -> str:
    """Return the path inside a stored folder of its file `number`, which is called `inside`; empty for a single file."""
    if not inside:
        return ""
    return f"{number:06}{suffix}" if hidden else f"{inside}{suffix}"


def sealed_manifest(  # noqa: PLR0913, PLR0917 - a manifest, and all that is known of its files
    plain: Manifest,
    kind: str,
    suffix: str,
    sealed: Sequence[Sealed],
    sealed_for: str | None,
    private: Private | None = None,
) -> Manifest:
    """The manifest of the same backup when its files, in their order, were sealed; `sealed_for` as of the cipher.

    With `private` what tells of the content is left out of the rest.
    """
    pairs = list(zip(plain.files, sealed, strict=True))
    hidden = private is not None
    document: dict[str, object] = {
        "cipher": kind,
        "suffix": suffix,
        "files": [
            {**({} if hidden else {"path": entry.path}), "size": item.plain_size, "sha256": item.plain_sha256}
            for entry, item in pairs
        ],
        **({} if sealed_for is None else {_SEALED_FOR: sealed_for}),
    }
    stored = replace(
        plain,
        payload=f"{plain.payload}{suffix}",
        files=tuple(
            FileEntry(stored_path(plain, number, suffix, hidden=hidden), item.size, item.sha256)
            for number, (_, item) in enumerate(pairs)
        ),
    )
    if private is None:
        return replace(stored, extra={**plain.extra, KEY: document})
    document[_PRIVATE] = {
        "content": base64.b64encode(private.content).decode("ascii"),
        "size": private.sealed.plain_size,
        "sha256": private.sealed.plain_sha256,
    }
    return _without_content(stored, document)


def _without_content(stored: Manifest, document: Mapping[str, object]) -> Manifest:
    clear = {key: value for key, value in stored.extra.items() if key in _CLEAR}
    needs = dependencies.needs_of(stored)
    if needs:
        clear[dependencies.KEY] = dependencies.needs_document(replace(need, entries={}) for need in needs)
    origin = stored.origin
    return replace(
        stored,
        source=replace(stored.source, location=""),
        origin=replace(origin, text="") if origin else None,
        selection={},
        assertions=(),
        measures=Measures(),
        members=(),
        extra={**clear, KEY: document},
    )


def private_part(manifest: Manifest) -> Private:
    """Return the encrypted part as it is stored; raises BackupError when it cannot be read."""
    found: Any = _document(manifest).get(_PRIVATE)
    try:
        content = base64.b64decode(found["content"], validate=True)
        # It is what was written: the manifest has matched its own seal.
        digest = hashlib.sha256(content).hexdigest()
        return Private(content, Sealed(int(found["size"]), str(found["sha256"]), len(content), digest))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _invalid(manifest, f"its encrypted part is not whole: {in_words(error)}") from error


def opened_manifest(manifest: Manifest, content: bytes) -> Manifest:
    """Return the manifest with what `private_content` made; only for use in this run, never to be stored.

    Raises BackupError when that is something else.
    """
    document = _document(manifest)
    try:
        private: dict[str, Any] = json.loads(gzip.decompress(content))
        payload = _without(manifest.payload, document["suffix"])
        # Only what is inside the payload: the payload itself is called as the stored one, without the suffix.
        inside = [str(path).partition("/")[2] for path in private["paths"]]
        files = [
            {**item, "path": f"{payload}/{name}" if name else payload}
            for item, name in zip(document["files"], inside, strict=True)
        ]
        origin: Origin | None = manifest.origin
        return replace(
            manifest,
            source=replace(manifest.source, location=str(private["location"])),
            origin=replace(origin, text=str(private["text"])) if origin else None,
            selection=dict(private["selection"]),
            assertions=tuple(dict(item) for item in private["assertions"]),
            measures=read_measures(private["measures"], private["engine"]),
            members=read_members(private.get(MEMBERS, []), manifest.payload, manifest.files, hidden=True),
            extra={**manifest.extra, **private["extra"], KEY: {**document, "files": files, _OPENED: True}},
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(manifest, f"its encrypted part says something else: {in_words(error)}") from error


def as_known(manifest: Manifest, plain: Manifest) -> Manifest:
    """Return the manifest of a backup that this run encrypted, with what it knows of the plain one anyway."""
    return opened_manifest(manifest, private_content(plain)) if is_closed(manifest) else manifest


def cipher_kind(manifest: Manifest) -> str:
    """The kind of cipher that it was sealed with; raises BackupError when the manifest says none."""
    return str(_document(manifest)["cipher"])


def sealed_for(manifest: Manifest) -> str | None:
    """For which set of keys it was sealed, as `Cipher.sealed_for` says it; None when that is not known."""
    found = _document(manifest).get(_SEALED_FOR)
    return found if isinstance(found, str) else None


def plain_manifest(manifest: Manifest) -> Manifest:
    """What the manifest was before the payload was sealed; the same for one that is not.

    Where that was not opened, the files of a folder have numbers in place of their names. Raises BackupError
    (`backup.manifest_invalid`) when it contradicts itself: names come from what is stored, so nothing can lead out of the
    payload.
    """
    if not is_sealed(manifest):
        return manifest
    document = _document(manifest)
    suffix, recorded, hidden = document["suffix"], document["files"], is_hidden(manifest)
    try:
        payload = _without(manifest.payload, suffix)
        files = []
        for stored, entry in zip(manifest.files, recorded, strict=True):
            path = entry["path"] if "path" in entry else _numbered(stored.path, payload, suffix)
            files.append(FileEntry(path, int(entry["size"]), str(entry["sha256"])))
        extra = {key: value for key, value in manifest.extra.items() if key not in {KEY, OWN_MANIFEST_STORED}}
        plain = replace(manifest, payload=payload, files=tuple(files), extra=extra)
        for number, stored in enumerate(manifest.files):
            _require_same(plain, number, suffix, stored, hidden=hidden)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(manifest, in_words(error)) from error
    return plain


def _numbered(path: str, payload: str, suffix: str) -> str:
    inside = path.partition("/")[2].removesuffix(suffix)
    return f"{payload}/{inside}" if inside else payload


def _require_same(plain: Manifest, number: int, suffix: str, stored: FileEntry, *, hidden: bool) -> None:
    path = plain.files[number].path
    parts = path.split("/")
    expected = stored_path(plain, number, suffix, hidden=hidden)
    if parts[0] != plain.payload or {"", ".", ".."} & set(parts) or expected != stored.path:
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
