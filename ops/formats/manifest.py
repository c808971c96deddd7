"""Manifest <-> JSON, all released versions. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from ops.driverkit.json_text import indented_json, share_texts, write_indented
from ops.driverkit.row_digest import SEAL, document_seal
from ops.errors import BackupError
from ops.formats.measures import measures_document, read_measures
from ops.formats.members import MEMBERS, members_document, read_members
from ops.formats.names import checksum_text
from ops.formats.values import count, plain_name, text, texts
from ops.formats.wrong import in_words
from ops.model.manifest import SEQUENCE_KEY, FileEntry, Manifest, Origin, SourceInfo
from ops.units import format_time, parse_time

VERSION: Final = 2
FIRST_VERSION: Final = 1
"""Without an origin: whose the backup is follows from its name, kind and location."""
_LARGE: Final = 1 << 20
"""Characters of a manifest from which on memory counts."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_SERIES: Final = re.compile(r"[0-9a-f]{16}\Z")
_OF_ORIGIN: Final = {"host", "boot", "series", "selection", "assertions"}
_KNOWN: Final = {
    MEMBERS,
    "version",
    "job_id",
    "created_at",
    "source",
    "tool",
    "engine",
    "scope",
    "tags",
    "payload",
    "files",
    "measures",
    "data_as_of",
    "started_at",
    "finished_at",
    "duration_ms",
    SEAL,
}


def payload_sha256(manifest: Manifest) -> str:
    """The one digest that stands for the whole payload.

    For a payload of one file it is that file's; for a folder, that of its checksum file.
    """
    if len(manifest.files) == 1 and manifest.files[0].path == manifest.payload:
        return manifest.files[0].sha256
    return hashlib.sha256(checksum_text(manifest.files).encode("utf-8", "surrogateescape")).hexdigest()


def to_json(manifest: Manifest) -> bytes:
    """The manifest as it is stored: indented, ASCII only (names with odd bytes survive), one final newline."""
    return indented_json(_sealed_document(manifest), b"\n")


def write(manifest: Manifest, file: BinaryIO) -> None:
    """Write the same to a file."""
    write_indented(_sealed_document(manifest), file, b"\n")


def _sealed_document(manifest: Manifest) -> dict[str, object]:
    measures = manifest.measures
    document: dict[str, object] = {
        "version": manifest.version,
        "job_id": manifest.job_id,
        "created_at": format_time(manifest.created_at),
        **_origin_document(manifest),
        "tool": dict(manifest.tool),
        "engine": dict(measures.engine),
        "scope": manifest.scope,
        "tags": list(manifest.tags),
        "payload": manifest.payload,
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in manifest.files],
        "measures": measures_document(measures),
        "data_as_of": format_time(manifest.data_as_of),
        "started_at": format_time(manifest.started_at),
        "finished_at": format_time(manifest.finished_at),
        "duration_ms": manifest.duration_ms,
        **members_document(manifest),
        **manifest.extra,
    }
    return {**document, SEAL: document_seal(document)}


def _origin_document(manifest: Manifest) -> dict[str, object]:
    """Return what says whose the backup is, in the form of the manifest's version."""
    info, origin = manifest.source, manifest.origin
    source: dict[str, object] = {"name": info.name, "kind": info.kind, "location": info.location}
    if origin is None:
        return {"source": source}
    identity = {
        "by": origin.by,
        "text": origin.text,
        "place": origin.place,
        **({"system": origin.system} if origin.system else {}),
        **({"member": origin.member} if origin.member else {}),
        **({"whole": origin.whole} if origin.whole else {}),
    }
    return {
        "host": origin.host,
        "boot": origin.boot,
        "series": origin.series,
        "source": {**source, "identity": identity},
        **({"selection": dict(manifest.selection)} if manifest.selection else {}),
        **({"assertions": [dict(item) for item in manifest.assertions]} if manifest.assertions else {}),
    }


def from_json(content: bytes, name: str) -> Manifest:
    """The manifest that `content` holds; `name` is the file's, for messages.

    Unknown keys are kept in `extra`. Raises BackupError: `backup.manifest_newer` for a version that this
    program does not know, `backup.manifest_invalid` for all else that is wrong.
    """
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        # Of a log of very many segments it has tens of megabytes, which nobody needs beside what is made of them.
        del content
        document = json.loads(text)
        if len(text) > _LARGE:
            share_texts(document)
        del text
    except (ValueError, RecursionError) as error:
        raise _invalid(name, f"is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise _invalid(name, "is not a JSON object")
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        message = f"manifest {name} has version {version}; this Drillbook reads up to {VERSION}"
        raise BackupError(message, code="backup.manifest_newer", hint="upgrade Drillbook on this machine")
    if isinstance(version, bool) or version not in {FIRST_VERSION, VERSION}:
        raise _invalid(name, f"has no usable version (found {version!r})")
    if document.get(SEAL) != document_seal(document):
        raise _invalid(name, "does not match its own seal: it was altered or damaged")
    try:
        return _from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _invalid(name, f"is not complete or contradicts itself ({in_words(error)})") from error


def _invalid(name: str, what: str) -> BackupError:
    hint = "the backup cannot be trusted; use another one, and keep this one for the investigation"
    return BackupError(f"manifest {name} {what}", code="backup.manifest_invalid", hint=hint)


def _from_document(document: Mapping[str, Any]) -> Manifest:
    files = tuple(_file_entry(entry) for entry in document["files"])
    payload = plain_name(document["payload"])
    if not files or len({entry.path for entry in files}) != len(files):
        raise ValueError("no files, or one of them twice")
    if any(entry.path != payload and not entry.path.startswith(f"{payload}/") for entry in files):
        raise ValueError("a file that is no part of the payload")
    source, has_origin = document["source"], document["version"] != FIRST_VERSION
    known = _KNOWN | _OF_ORIGIN if has_origin else _KNOWN
    return Manifest(
        version=document["version"],
        job_id=text(document["job_id"]),
        created_at=parse_time(document["created_at"]),
        source=SourceInfo(text(source["name"]), text(source["kind"]), text(source["location"])),
        payload=payload,
        files=files,
        measures=read_measures(document["measures"], document["engine"]),
        tool=texts(document["tool"]),
        scope=text(document["scope"]),
        tags=tuple(text(tag) for tag in document["tags"]),
        data_as_of=parse_time(document["data_as_of"]),
        started_at=parse_time(document["started_at"]),
        finished_at=parse_time(document["finished_at"]),
        duration_ms=count(document["duration_ms"]),
        origin=_origin(document) if has_origin else None,
        selection=dict(document.get("selection", {})) if has_origin else {},
        assertions=_assertions(document.get("assertions", [])) if has_origin else (),
        members=read_members(document.get(MEMBERS, []), payload, files),
        extra={key: value for key, value in document.items() if key not in known},
    )


def _assertions(value: object) -> tuple[Mapping[str, object], ...]:
    """Return the tables of assertions; what is no table becomes one that nobody understands, as one of a later version is.

    What somebody expected of the data is no reason to refuse the backup.
    """
    items = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, dict) else {"no table": item} for item in items)


def _origin(document: Mapping[str, Any]) -> Origin:
    """Return whose the backup is; of what was recorded of the source only what is read here must have its form."""
    count(document[SEQUENCE_KEY])
    boot, series = document["boot"], text(document["series"])
    if not _SERIES.match(series) or not (boot is None or _SHA256.match(boot)):
        message = f"series {series!r} or boot {boot!r} has another form"
        raise ValueError(message)
    identity = document["source"].get("identity", {})
    by, words, place, system, member, whole = (
        text(identity.get(key, "")) for key in ("by", "text", "place", "system", "member", "whole")
    )
    return Origin(
        host=text(document["host"]),
        boot=boot,
        series=series,
        by=by,
        text=words,
        place=place,
        system=system,
        member=member,
        whole=whole,
    )


def _file_entry(entry: Mapping[str, Any]) -> FileEntry:
    if not _SHA256.match(entry["sha256"]):
        message = f"sha256 {entry['sha256']!r}"
        raise ValueError(message)
    return FileEntry(plain_name(entry["path"]), count(entry["size"]), entry["sha256"])
