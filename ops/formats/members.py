"""The members of a backup of several sources <-> JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.formats.measures import measures_document, read_measures
from ops.formats.values import plain_name, text
from ops.model.manifest import FileEntry, Manifest, Member, SourceInfo
from ops.units import format_time, parse_time

MEMBERS: Final = "member_backups"
"""(`members` is what event logs call their files.)"""


def members_document(manifest: Manifest) -> dict[str, object]:
    """Return the entry of a manifest that has members; nothing for any other."""
    return {MEMBERS: [_member_document(item) for item in manifest.members]} if manifest.members else {}


def _member_document(member: Member) -> dict[str, object]:
    """Return one member as plain JSON values."""
    source = member.source
    return {
        "source": {"name": source.name, "kind": source.kind, "location": source.location},
        "payload": member.payload,
        "engine": dict(member.measures.engine),
        "measures": measures_document(member.measures),
        "scope": member.scope,
        "data_as_of": format_time(member.data_as_of),
        "capture": member.method,
        "selection": dict(member.selection),
        "extra": dict(member.extra),
    }


def read_members(
    rows: Sequence[Mapping[str, Any]], payload: str, files: Sequence[FileEntry], *, hidden: bool = False
) -> tuple[Member, ...]:
    """Return the members; each has files of its own, and a name of its own. Raises as `read_measures` does.

    `hidden`: the files have numbers in the place of their names.
    """
    members = tuple(_read_member(row) for row in rows)
    if len({member.name for member in members}) < len(members):
        raise ValueError("two members of one name")
    for member in members if not hidden else ():
        # Of an encrypted backup a suffix stands behind it.
        inside = f"{payload}/{member.payload}"
        if not any(entry.path.startswith(inside) for entry in files):
            message = f"no file of member {member.name!r}"
            raise ValueError(message)
    return members


def _read_member(document: Mapping[str, Any]) -> Member:
    """Return what `member_document` made; raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    source = document["source"]
    return Member(
        source=SourceInfo(plain_name(source["name"]), text(source["kind"]), text(source["location"])),
        payload=plain_name(document["payload"]),
        measures=read_measures(document["measures"], document["engine"]),
        scope=text(document["scope"]),
        data_as_of=parse_time(document["data_as_of"]),
        method=text(document["capture"]),
        selection=dict(document["selection"]),
        extra=dict(document["extra"]),
    )
