"""The names of the files that make up a backup; the same in every store. Pure.

backup-20260101T000000Z.db                       the payload: a file, or a folder of files
backup-20260101T000000Z.db.checksum              one line a file, as `sha256sum -c` reads them
backup-20260101T000000Z.db.manifest.json         published last: without it there is no backup
backup-20260101T000000Z.db.drill-<time>-<job>.json    evidence, one file a drill (or verify)
backup-20260101T000000Z.db.pin-<time>-<job>.json      somebody's word that it must stay
backup-20260101T000000Z.db.<word>-<time>-<job>.<any>  any other record of it: copied and deleted with it
backup-20260101T000000Z.db.pruned.json                it is being deleted: what is left of it may go

Backups of an event log have the names that its own program gives them, and beside the archive what that program reads:

backup-eventlog-20260101-000000.tar.gz                the payload
backup-eventlog-20260101-000000.manifest.json         the manifest that is in the archive, byte for byte: a record
backup-eventlog-20260101-000000.tar.gz.manifest.json  published last, as everywhere
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ops.model.manifest import FileEntry
from ops.units import format_stamp

MANIFEST_SUFFIX: Final = ".manifest.json"
CHECKSUM_SUFFIX: Final = ".checksum"
OTHER_CHECKSUM_SUFFIX: Final = ".sha256"
SAFETY_TAG: Final = "safety"
"""The tag of backups that a restore made of what it replaced; `latest` never means one of them."""
TOMBSTONE_SUFFIX: Final = ".pruned.json"
_RECORD: Final = re.compile(
    r"\A(?P<payload>.+)\.(?P<action>drill|partial|verify|pin)-\d{8}T\d{6}Z-[0-9a-f]{8}\.json\Z", re.DOTALL
)
# What later versions keep beside a payload, and signatures of records, have the form of records.
_ANY_RECORD: Final = re.compile(r"\A(?P<payload>.+?)\.[a-z]+-\d{8}T\d{6}Z-[0-9a-f]{8}\..+\Z", re.DOTALL)
_PIN: Final = "pin"
_ENCRYPTED: Final = re.compile(rf"(?:\.\d+)?\.[a-z]+{re.escape(MANIFEST_SUFFIX)}")
_BESIDE: Final = (".json", CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX)
_PROGRAMS: Final = "backup-eventlog"
"""What the names begin with whose time stands as `YYYYMMDD-HHMMSS`."""
_TAGGED: Final = re.compile(r"SHA(?:2-)?256 ?\((?P<name>.+)\) ?= (?P<digest>[0-9A-Fa-f]{64})", re.DOTALL)
_OTHER_ALGORITHMS: Final = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
_ANY_DIGEST: Final = re.compile(r"\\?(?:[A-Za-z0-9-]+ \(.+\) = )?([0-9A-Fa-f]{32,})(?:\s|$)", re.DOTALL)
_STAMPED: Final = re.compile(
    rf".-\d{{8}}T\d{{6}}Z(?:[.\-]|\Z)|\A{_PROGRAMS}-\d{{8}}-\d{{6}}(?:[.\-]|\Z)", re.DOTALL
)
_PROGRAMS_STEM: Final = rf"\A(?P<stem>{_PROGRAMS}-\d{{8}}-\d{{6}})"
_PROGRAMS_ARCHIVE: Final = re.compile(rf"{_PROGRAMS_STEM}\.tar\.gz(?P<sealed>(?:(?:\.\d+)?\.[a-z]+)?)\Z")
_PROGRAMS_MANIFEST: Final = re.compile(
    rf"{_PROGRAMS_STEM}\.manifest\.json(?P<sealed>(?:(?:\.\d+)?\.(?!(?:json|checksum|sha256)\Z)[a-z]+)?)\Z"
)


def payload_name(base: str, moment: datetime, suffix: str) -> str:
    """`<base>-<YYYYMMDDTHHMMSSZ><suffix>`; the time in UTC, and of an event log as its own program writes it."""
    stamp = f"{moment.astimezone(UTC):%Y%m%d-%H%M%S}" if base == _PROGRAMS else format_stamp(moment)
    return f"{base}-{stamp}{suffix}"


def manifest_key(payload: str) -> str:
    """Where the manifest of `payload` is."""
    return payload + MANIFEST_SUFFIX


def is_manifest_key(key: str) -> bool:
    """Whether it is the name of a manifest of ours, not of one that an event log's own program reads."""
    return key.endswith(MANIFEST_SUFFIX) and _PROGRAMS_MANIFEST.match(key) is None


def sealed_manifest_of(payload: str, key: str) -> bool:
    """Whether it is the name of the manifest of the plain payload's encrypted copy, encrypted once or anew since then."""
    return (
        key.startswith(payload)
        and _ENCRYPTED.fullmatch(key, len(payload)) is not None
        and payload_of_record(key) is None
    )


def own_manifest_key(payload: str) -> str | None:
    """Where the manifest that is inside the archive `payload` lies beside it; None for names of another form."""
    match = _PROGRAMS_ARCHIVE.match(payload)
    return f"{match['stem']}{MANIFEST_SUFFIX}{match['sealed']}" if match else None


def checksum_key(payload: str) -> str:
    """Where the checksum file of `payload` is written."""
    return payload + CHECKSUM_SUFFIX


def evidence_key(payload: str, action: str, moment: datetime, job_id: str) -> str:
    """Where the evidence of one verify or drill of `payload` is."""
    return f"{payload}.{action}-{format_stamp(moment)}-{job_id[:8]}.json"


def payload_of_evidence(key: str) -> str | None:
    """The payload that an evidence file is about, None when `key` is no evidence file."""
    match = _RECORD.match(key)
    return match["payload"] if match and match["action"] != _PIN else None


def payload_of_record(key: str) -> str | None:
    """The payload that a record is about, None for other keys.

    Records are evidence, pins, what later versions keep, and the manifest that an event log's own program reads.
    """
    if own := _PROGRAMS_MANIFEST.match(key):
        return f"{own['stem']}.tar.gz{own['sealed']}"
    match = _ANY_RECORD.match(key)
    return match["payload"] if match else None


def pin_key(payload: str, moment: datetime, job_id: str) -> str:
    """Where a pin of `payload` is."""
    return evidence_key(payload, _PIN, moment, job_id)


def payload_of_pin(key: str) -> str | None:
    """The payload that a pin is about, None when `key` is no pin."""
    match = _RECORD.match(key)
    return match["payload"] if match and match["action"] == _PIN else None


def named_like_payload(key: str) -> bool:
    """Whether it has the name of a payload, as they are made without `--out`, and of nothing that lies beside one."""
    return not key.endswith(_BESIDE) and payload_of_record(key) is None and _STAMPED.search(key) is not None


def tombstone_key(payload: str) -> str:
    """Where it stands that `payload` is being deleted."""
    return payload + TOMBSTONE_SUFFIX


def top_name(key: str) -> str:
    """The name in the store's folder itself of what `key` is or lies in."""
    return key.partition("/")[0]


def checksum_text(files: Sequence[FileEntry]) -> str:
    """The checksum file of a payload: one line for each of its files, in their order."""
    return "".join(checksum_line(entry.sha256, entry.path) for entry in files)


def checksum_line(sha256: str, name: str) -> str:
    """The line that `sha256sum` writes for a file, with its escapes for odd names.

    Source: https://www.gnu.org/software/coreutils/manual/html_node/md5sum-invocation.html
    """
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}\n"


def decode_checksum_file(content: bytes) -> str:
    """Return the text of a checksum file: UTF-8 with odd bytes kept, or UTF-16 as PowerShell writes it, by its mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def checksum_lines(text: str) -> list[str]:
    """Return the lines of a checksum file that say something: `sha256sum` passes over what begins with `#`, too."""
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


def parse_checksum_text(text: str) -> list[tuple[str, str | None]]:
    """Digest and name of each line of a checksum file; raises ValueError when one cannot be read, or there is none."""
    lines = checksum_lines(text)
    if not lines:
        message = "holds no SHA-256 digest"
        raise ValueError(message)
    return [parse_checksum_line(line) for line in lines]


def parse_checksum_line(text: str) -> tuple[str, str | None]:
    """Digest (lower case) and file name (None for a bare digest) of a checksum file.

    Taken are a bare digest, and what `sha256sum`, `sha256sum --tag`, `shasum` and `openssl dgst` write. Raises ValueError when
    it holds neither.
    """
    line = text.strip("\r\n \t\ufeff")
    if tagged := _TAGGED.fullmatch(line):
        return tagged["digest"].lower(), tagged["name"]
    match = re.fullmatch(r"(\\?)([0-9A-Fa-f]{64})(?: [ *]?(.+))?", line, re.DOTALL)
    if match is None or ("\n" in line):
        found = _ANY_DIGEST.match(line)
        other = _OTHER_ALGORITHMS.get(len(found[1])) if found else None
        message = f"holds a digest of {other}" if other else "holds no SHA-256 digest"
        raise ValueError(message)
    escaped, digest, name = match.groups()
    if name is not None and escaped:
        name = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), name)
    return digest.lower(), name
