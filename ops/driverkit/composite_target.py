"""The places of all members of a composite source, replaced together."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ops.driverkit.composite import CompositeCopy, of_member
from ops.errors import OpsError, RefusedError, SourceError
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding
from ops.model.manifest import Manifest, Payload
from ops.model.requests import KeptTarget, RestoreOptions
from ops.ports.source import Copy, Source, Target
from ops.run.progress import Progress


@dataclass(slots=True)
class CompositeTarget:
    """The targets of the members by their names; `there`: the composite source that a backup of them is taken as.

    Each member is replaced in one step, one after the other: while that goes on some are the old data and some the new.
    """

    location: str
    targets: Mapping[str, Target]
    there: Source
    scratch: Path | None = None
    _marks: dict[str, str | None] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)

    def exists(self) -> bool:
        """Return whether any member is there."""
        return any(target.exists() for target in self.targets.values())

    def source(self) -> Source:
        """Return the source with all its members here."""
        return self.there

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """Return the steps of each member."""
        return [
            f"{name}: {step}"
            for name, target in self._of(manifest).items()
            for step in target.plan(manifest.member(name), options, safety)
        ]

    def _of(self, manifest: Manifest) -> dict[str, Target]:
        names = [member.name for member in manifest.members]
        if missing := sorted(set(names) - self.targets.keys()):
            message = f"members {', '.join(missing)} of the backup are not configured here"
            hint = "add them to the source, or restore the others alone (BACKUP/MEMBER)"
            raise RefusedError(message, code="refused.prerequisites", hint=hint)
        return {name: self.targets[name] for name in names}

    def check(self, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """Return when nothing stands in the way of any member; what was noticed."""
        found = []
        for name, target in self._of(manifest).items():
            found += of_member(name, target.check(manifest.member(name), options))
        return found

    def build_folder(self, scratch: Path) -> Path:
        """Return any folder: each member is built beside its own place."""
        self.scratch = scratch
        return scratch

    @contextlib.contextmanager
    def build(self, payload: Payload, options: RestoreOptions, progress: Progress) -> Iterator[CompositeCopy]:
        """Yield all members built beside their places."""
        copies: dict[str, Copy] = {}
        with contextlib.ExitStack() as stack:
            for name, target in self._of(payload.manifest).items():
                beside = stack.enter_context(
                    scratch_folder(target.build_folder(self.scratch or payload.folder))
                )
                member = payload.member(name, beside)
                moved = Path(shutil.move(member.path, beside / member.path.name))
                built = target.build(replace(member, path=moved), options, progress)
                copies[name] = stack.enter_context(built)
            yield CompositeCopy(payload.folder, copies)

    def settle(self) -> None:
        """Let each kind finish what a writer left half done."""
        for target in self.targets.values():
            target.settle()

    def change_mark(self) -> str | None:
        """Return a value that differs after any change of a member that tells it; keep those of each."""
        self._marks = {name: target.change_mark() for name, target in self.targets.items()}
        return repr(sorted(self._marks.items()))

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """Keep every member that is there as it is; where, and the commands that undo."""
        kept = {name: target.keep_damaged(stamp) for name, target in self.targets.items() if target.exists()}
        self._damaged = {name: where for name, (where, _) in kept.items()}
        return ", ".join(self._damaged.values()), " && ".join(undo for _, undo in kept.values())

    def swap(self, built: Copy, kept: KeptTarget) -> Sequence[Finding]:
        """Put each member in its place; raises RefusedError that says which are the new data already."""
        if not isinstance(built, CompositeCopy):
            raise TypeError(built)
        found, done = [], list[str]()
        for name, copy in built.members.items():
            try:
                found += of_member(name, self.targets[name].swap(copy, self._kept(name, kept)))
            except OpsError as error:
                if not done:
                    raise
                rest = [item for item in built.members if item not in done]
                message = (
                    f"member {name!r} could not be replaced: {error.message}; these are the restored data already:"
                    f" {', '.join(done)}; these are as they were: {', '.join(rest)}"
                )
                safety = kept.safety.payload if kept.safety else kept.damaged
                hint = f"restore again when the reason is gone, or go back to what is kept as {safety}"
                raise RefusedError(message, code=error.code, hint=hint) from error
            done.append(name)
        return found

    def _kept(self, name: str, kept: KeptTarget) -> KeptTarget:
        names = {member.name for member in kept.safety.members} if kept.safety else set()
        return KeptTarget(
            safety=kept.safety.member(name) if kept.safety and name in names else None,
            mark=self._marks.get(name) if kept.mark is not None else None,
            damaged=self._damaged.get(name) if kept.damaged is not None else None,
            doubt=kept.doubt,
        )

    def has_tables(self, tables: Sequence[str]) -> bool:
        """Return false: tables belong to members."""
        del tables
        return False

    def replace_tables(self, built: Copy, options: RestoreOptions) -> Sequence[Finding]:
        """Raise SourceError: tables belong to members."""
        del built, options
        raise SourceError("single tables belong to a member: restore that alone (BACKUP/MEMBER)")
