"""What an operator promised or asks for: assertions, objectives, options of a restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ops.model.findings import Finding
from ops.model.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One expectation of the operator about restored data; exactly one of the four kinds is set."""

    row_count: str | None = None
    fresh: str | None = None
    query: str | None = None
    command: tuple[str, ...] | None = None
    min: int | None = None
    max: int | None = None
    tolerance: float | None = None
    max_age: timedelta | None = None
    expect: str | float | int | bool | None = None
    timeout: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Advisory:
    """An assertion that can only warn, and why."""

    assertion: Assertion
    why: str


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is asked of restored data.

    `binding`: one that does not hold makes a drill FAILED. `advisory`: one that does not hold, or cannot be asked, is a
    warning. `not_asked`: warnings about what is not asked at all.
    """

    binding: Sequence[Assertion] = ()
    advisory: Sequence[Advisory] = ()
    not_asked: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the operator promised about a source; None where nothing was promised."""

    every: timedelta | None = None
    verify_every: timedelta | None = None
    drill_every: timedelta | None = None
    rpo: timedelta | None = None
    rto: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a source a backup is to take: a `scope` by the kind's word, or what is named. A kind refuses what it cannot do."""

    scope: str = ""
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    tenant: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether anything of it was said."""
        return self != Part()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """What of a backup is restored, and how. A kind refuses what it cannot do.

    `tables`: only these, into a target that is there; `truncate`: in the place of the rows that such a table
    has. `schema_only`: structure without rows. `no_owner`, `no_acl`: everything belongs to who restores it,
    with default rights.
    """

    tables: tuple[str, ...] = ()
    truncate: bool = False
    schema_only: bool = False
    no_owner: bool = False
    no_acl: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTarget:
    """How the data that a restore replaces is kept.

    `safety` is the manifest of its verified safety backup, `mark` the target's change mark before that was
    taken; `damaged` is where it is kept instead when it cannot be backed up any more. `doubt`: restores the safety backup
    into a temporary place, and returns why it is not proven, empty when it is; whoever drops the old data asks it first.
    """

    safety: Manifest | None = None
    mark: str | None = None
    damaged: str | None = None
    doubt: Callable[[], str] = str
