"""Whose backup it is: the machine, what a source is configured to be, what it is, and the series that follows. Pure.

A series is the backups of one source: told apart by name, kind, scope with its selection, and identity. `Whose` is a
configured source as verbs without a connection know it, `Origin` what a manifest records of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, Self

from ops.model.manifest import Origin, SourceInfo

DECLARED: Final = "declared"
"""What an identity goes by where the operator named the series."""
UNKNOWN: Final = "unknown"
"""What an identity goes by that a later version recorded."""
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """This machine. `host`: its name in the identity of what lies here, empty where the name was generated.

    `also`: further names that it is or was known by; `boot`: the kernel's boot id (None: there is none to ask).
    `given`: whether the operator gave the name.
    """

    host: str = ""
    also: tuple[str, ...] = ()
    boot: str | None = None
    given: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every name of this machine that is not empty."""
        return frozenset(name for name in (self.host, *self.also) if name)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a source is configured to be: what kind of place (`path`, `postgres`), in which words.

    `local`: the words mean something on one machine only. `real`: what is known of the source without asking it, in the
    words that it would answer with (empty: nothing).
    """

    by: str
    text: str
    local: bool = True
    real: str = ""


@dataclass(frozen=True, slots=True)
class Identified:
    """What a source said when it was asked who it is: a text that differs for another source.

    `system`: which server's data it is part of, wherever that runs (empty: none, or not told); `member`: which part of
    that it is, by a number that stays when it is renamed.
    """

    text: str
    system: str = ""
    member: str = ""


class Described(Protocol):
    """What of a source is known without asking it."""

    @property
    def info(self) -> SourceInfo:
        """Name, kind and place, free of secrets."""

    @property
    def scope(self) -> str:
        """How much of it a backup holds: `full`, or a word of the kind."""

    @property
    def selection(self) -> Mapping[str, object]:
        """Which part of it, where `scope` does not say it alone; empty: all of it. JSON values."""

    @property
    def whereabouts(self) -> Whereabouts:
        """Where it is configured to be; asks nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """A configured source, as verbs know it that do not ask the source itself.

    `location` is as manifests have it; `declared` the operator's word for the series. `whole`: the place of the configured
    source, where only a part of it is asked for; else empty.
    """

    name: str
    kind: str
    location: str
    scope: str = "full"
    selection: Mapping[str, object] = field(default_factory=dict)
    whereabouts: Whereabouts = field(default_factory=lambda: Whereabouts("path", ""))
    machine: Machine = field(default_factory=Machine)
    declared: str = ""
    whole: str = ""

    @classmethod
    def of(cls, source: Described, machine: Machine, declared: str = "") -> Self:
        """Return what is known of `source` on this machine."""
        info = source.info
        return cls(
            name=info.name,
            kind=info.kind,
            location=info.location,
            scope=source.scope,
            selection=source.selection,
            whereabouts=source.whereabouts,
            machine=machine,
            declared=declared,
        )

    @property
    def host(self) -> str:
        """The machine's name where the place means something there only; else empty."""
        return self.machine.host if self.whereabouts.local else ""

    @property
    def watched(self) -> bool:
        """Return whether the boot tells two machines of one name apart: nothing else does."""
        return self.whereabouts.local and not self.declared

    @property
    def place(self) -> str:
        """16 hexadecimal digits, equal wherever the same source is configured in the same words."""
        return self._digits(self.whereabouts.text)

    @property
    def real_series(self) -> str | None:
        """Return the series that the source is, where that is known without asking it: at another spelling of its path."""
        return self._digits(self.whereabouts.real) if self.whereabouts.real and not self.declared else None

    @property
    def former_places(self) -> frozenset[str]:
        """Return the places that the same configuration had before it got a `series` or a `host` of its own."""
        hosts = {*self.machine.names, ""}
        machines = (replace(self.machine, host=host) for host in hosts)
        return frozenset(replace(self, declared="", machine=machine).place for machine in machines)

    @property
    def boot(self) -> str | None:
        """SHA-256 of the kernel's boot id with the source's name; None where nothing is to be told apart by it."""
        if self.machine.boot is None or not self.watched:
            return None
        return hashlib.sha256(_bytes(f"{self.machine.boot}\0{self.name}")).hexdigest()

    def origin(self, found: Identified) -> Origin:
        """Return what a manifest records of a source that said this of itself."""
        return Origin(
            host=self.machine.host,
            boot=self.boot,
            series=self._digits(found.text),
            by=DECLARED if self.declared else self.whereabouts.by,
            text=self.declared or found.text,
            place=self.place,
            system=found.system,
            member=found.member,
            whole=self.whole,
        )

    def _digits(self, where: str) -> str:
        identity = (DECLARED, self.declared) if self.declared else (self.whereabouts.by, self.host, where)
        selection = json.dumps(self.selection, sort_keys=True, default=str) if self.selection else ""
        return _digest(self.name, self.kind, self.scope, selection, *identity)


def first_version_series(info: SourceInfo, host: str) -> str:
    """Return the series of a backup whose manifest names none: that of its name, kind, location and host (or empty)."""
    return _digest("version 1", info.name, info.kind, info.location, host)


def _digest(*parts: str) -> str:
    return hashlib.sha256(_bytes("\0".join(parts))).hexdigest()[:_DIGITS]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
