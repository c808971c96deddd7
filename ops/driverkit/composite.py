"""A source that is made of others: each member is captured, looked at, loaded and restored by its own kind.

A member is a part of such a backup only. It is not in its source's series, and counts for none of its objectives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ops.errors import ConfigError
from ops.fsio.atomic import PRIVATE_FILE, make_private_folder
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, FileEntry, Manifest, Measures, Member, Payload
from ops.ports.source import CaptureContext, Copy, LoadContext, Queryable, Source

Members = Mapping[str, Source]
"""The sources of a composite by their names, in the order in which they are captured."""


@dataclass(frozen=True, slots=True)
class CapturedMember:
    """A member that was captured, and its files by their paths inside the whole payload."""

    member: Member
    files: tuple[FileEntry, ...]
    findings: tuple[Finding, ...]


def of_member(name: str, findings: Sequence[Finding]) -> list[Finding]:
    """Return what was found of a member as it is told of the whole."""
    return [
        replace(item, member=name, where=f"{name}: {item.where}" if item.where else name) for item in findings
    ]


def capture_member(name: str, source: Source, into: Path, context: CaptureContext) -> CapturedMember:
    """Capture one member into a folder of its own below the private folder `into`.

    Raises what the member's `capture` raises.
    """
    form = source.form
    place = into / name if form.is_folder else into / name / f"{form.base}{form.suffix}"
    make_private_folder(place if form.is_folder else place.parent)
    if not form.is_folder:
        place.touch(PRIVATE_FILE)
    inside = str(place.relative_to(into))

    def named(entry: FileEntry) -> FileEntry:
        return replace(entry, path=f"{inside}/{entry.path}" if form.is_folder else inside)

    captured = source.capture(place, _context_of(name, context, named))
    member = Member(
        source=replace(source.info, name=name),
        payload=inside,
        measures=captured.measures,
        scope=source.scope,
        data_as_of=captured.data_as_of,
        method=captured.method,
        selection=source.selection,
        extra=captured.extra,
    )
    files = tuple(named(entry) for entry in captured.files)
    return CapturedMember(member, files, tuple(of_member(name, captured.findings)))


def _context_of(
    name: str, context: CaptureContext, named: Callable[[FileEntry], FileEntry]
) -> CaptureContext:
    """What a member is told: of its own past, and never to leave anything to another backup."""

    def past(manifest: Manifest | None) -> Manifest | None:
        known = manifest is not None and name in {member.name for member in manifest.members}
        return manifest.member(name) if manifest is not None and known else None

    return replace(
        context,
        previous=past(context.previous),
        restored=past(context.restored),
        base=None,
        file_done=lambda path, entry: context.file_done(path, named(entry)),
    )


def captured_of(members: Sequence[CapturedMember]) -> Captured:
    """Return what a capture of nothing but members produced."""
    return Captured(
        files=tuple(entry for item in members for entry in item.files),
        # The oldest: what was committed before it is in every member.
        data_as_of=min(item.member.data_as_of for item in members),
        method="members",
        measures=Measures(),
        findings=tuple(finding for item in members for finding in item.findings),
        members=tuple(item.member for item in members),
    )


def inspect_members(members: Members, payload: Payload) -> list[Finding]:
    """Return what each member's kind sees in its part of a stored payload."""
    found = []
    for member in payload.manifest.members:
        source = _known(members, member.name)
        found += of_member(member.name, source.inspect(payload.member(member.name, payload.folder)))
    return found


def room_to_load(members: Members, manifest: Manifest) -> int:
    """Return how many bytes the loaded members take together."""
    return sum(
        _known(members, member.name).room_to_load(manifest.member(member.name)) for member in manifest.members
    )


def _known(members: Members, name: str) -> Source:
    source = members.get(name)
    if source is None:
        message = f"the backup has a member {name!r}, and the source that is configured has none of that name"
        hint = f"its members: {', '.join(members)}; add it, or restore the others alone (BACKUP/MEMBER)"
        raise ConfigError(message, code="config.unknown_source", hint=hint)
    return source


@dataclass(frozen=True, slots=True)
class CompositeCopy:
    """The loaded members, by their names, below the folder `place`."""

    folder: Path
    members: Mapping[str, Copy]
    environment: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @property
    def place(self) -> str:
        """Return the folder in which members have folders of their own."""
        return str(self.folder)

    def expected(self, recorded: Measures) -> Measures:
        """Return all: members are compared one by one."""
        return recorded

    def check(self) -> list[Finding]:
        """Return which members there are; each is checked by itself."""
        message = f"{len(self.members)} members are loaded: {', '.join(self.members)}"
        return [Finding(severity=Severity.OK, code="members.loaded", message=message)]

    def measure(self, like: Measures) -> Measures:
        """Return nothing: what belongs to no member is nothing here."""
        del like
        return Measures()

    def count_rows(self, table: str) -> int:
        """Return the rows of a table, written MEMBER/TABLE; raises ConfigError."""
        copy, rest = self._asked(table)
        return copy.count_rows(rest)

    def newest(self, column: str) -> object:
        """Return the greatest value of a column, written MEMBER/TABLE.COLUMN; raises ConfigError."""
        copy, rest = self._asked(column)
        return copy.newest(rest)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Raise ConfigError: a statement does not say which member it is for."""
        hint = "ask by row_count or fresh with MEMBER/ in front, or by command"
        raise ConfigError(f"a backup of several sources cannot be asked {sql!r}", hint=hint)

    def _asked(self, text: str) -> tuple[Queryable, str]:
        name, _, rest = text.partition("/")
        copy = self.members.get(name)
        if copy is None or not rest or not isinstance(copy, Queryable):
            hint = f"put the member in front: {', '.join(f'{item}/TABLE' for item in self.members)}"
            raise ConfigError(f"no member answers for {text!r}", hint=hint)
        return copy, rest


@contextlib.contextmanager
def loaded_members(members: Members, payload: Payload, context: LoadContext) -> Iterator[CompositeCopy]:
    """Yield all members loaded, each in a private folder of its own; raises what their kinds raise."""
    copies: dict[str, Copy] = {}
    with contextlib.ExitStack() as stack:
        for number, member in enumerate(payload.manifest.members):
            folder = payload.folder / f"member-{number}"
            make_private_folder(folder)
            source = _known(members, member.name)
            copies[member.name] = stack.enter_context(
                source.load(payload.member(member.name, folder), context)
            )
        yield CompositeCopy(payload.folder, copies)
