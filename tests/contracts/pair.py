"""A kind that is made of others: what they are is captured, looked at and restored together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from ops.driverkit.composite import (
    CompositeCopy,
    capture_member,
    captured_of,
    inspect_members,
    loaded_members,
    room_to_load,
)
from ops.driverkit.composite_target import CompositeTarget
from ops.model.findings import Finding
from ops.model.manifest import Captured, Manifest, Payload, SourceInfo
from ops.model.series import Identified, Whereabouts
from ops.ports.source import CaptureContext, Form, LoadContext, Probe, Restorable, Source, Supports


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOptions:
    """What its table may say."""

    members: tuple[str, ...] = ()

    @classmethod
    def of_location(cls, location: str) -> PairOptions:
        """Default options for members that were recorded."""
        return cls(members=tuple(location.split("+")))


@dataclass(frozen=True, slots=True)
class PairSource:
    """Two sources, or more."""

    name: str
    options: PairOptions
    members: Mapping[str, Source] = field(default_factory=dict)

    kind: ClassVar[str] = "pair"
    options_type: ClassVar[type[PairOptions]] = PairOptions
    scope: ClassVar[str] = "full"
    selection: ClassVar[Mapping[str, object]] = {}
    form: ClassVar[Form] = Form("backup", ".pair", is_folder=True)
    supports: ClassVar[Supports] = Supports()

    @property
    def info(self) -> SourceInfo:
        """Name, kind and the names of the members."""
        return SourceInfo(self.name, self.kind, "+".join(self.members))

    @property
    def whereabouts(self) -> Whereabouts:
        """Where the members are."""
        return Whereabouts("members", "+".join(item.whereabouts.text for item in self.members.values()))

    def identify(self) -> Identified:
        """Who the members are."""
        return Identified("+".join(item.identify().text for item in self.members.values()))

    def estimate(self) -> int:
        """Those of all members."""
        return sum(item.estimate() for item in self.members.values())

    def probe(self) -> Probe:
        """A look at each."""
        probes = [item.probe() for item in self.members.values()]
        findings = [finding for probe in probes for finding in probe.findings]
        return Probe(", ".join(probe.text for probe in probes), self.estimate(), findings)

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """One after the other."""
        return captured_of([capture_member(name, item, into, context) for name, item in self.members.items()])

    def inspect(self, payload: Payload) -> list[Finding]:
        """By their kinds."""
        return inspect_members(self.members, payload)

    @contextlib.contextmanager
    def load(self, payload: Payload, context: LoadContext) -> Iterator[CompositeCopy]:
        """By their kinds."""
        with loaded_members(self.members, payload, context) as copy:
            yield copy

    def require_loadable(self, manifest: Manifest) -> Sequence[Finding]:
        """What the members need."""
        return [
            finding
            for member in manifest.members
            for finding in self.members[member.name].require_loadable(manifest.member(member.name))
        ]

    def room_to_load(self, manifest: Manifest) -> int:
        """Of all members."""
        return room_to_load(self.members, manifest)

    @contextlib.contextmanager
    def target(self, to: str | None) -> Iterator[CompositeTarget]:
        """The members' own places, or files of their names in a folder."""
        with contextlib.ExitStack() as stack:
            targets = {}
            for name, item in self.members.items():
                assert isinstance(item, Restorable)
                place = None if to is None else str(Path(to).absolute() / name)
                targets[name] = stack.enter_context(item.target(place))
            there = replace(self, members={name: target.source() for name, target in targets.items()})
            yield CompositeTarget(to or self.info.location, targets, there)

    def same_place(self, location: str) -> bool:
        """By the names."""
        return location == self.info.location
