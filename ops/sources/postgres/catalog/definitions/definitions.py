"""All definitions of a database, and in what those of two databases differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.sources.postgres.catalog.definitions.database import DATABASE
from ops.sources.postgres.catalog.definitions.parts import Group
from ops.sources.postgres.catalog.definitions.relations import RELATIONS
from ops.sources.postgres.catalog.definitions.routines import ROUTINES
from ops.sources.postgres.catalog.definitions.types import TYPES
from ops.sources.postgres.connect.session import Session

FACT: Final = "definitions"
"""Under this name manifests have the `fact` of what was defined in the source."""
FORM: Final = 1
"""How definitions are printed; of another form only those are compared that are printed alike everywhere."""
_GROUPS: Final = (*RELATIONS, *ROUTINES, *TYPES, *DATABASE)
_PUBLIC: Final = "public"
_SCHEMA_RIGHTS: Final = "rights on schema"
_BY_NAME: Final = {group.name: group for group in _GROUPS}


@dataclass(frozen=True, slots=True)
class Definitions:
    """Definitions by group and subject, as a server of the major version `major` prints them."""

    major: int
    groups: Mapping[str, Mapping[str, str]]
    form: int = FORM

    def to_document(self) -> dict[str, Any]:
        """As they stand in a payload."""
        return {"form": self.form, "server": self.major, "groups": self.groups}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Definitions:
        """Return what a payload holds; raises KeyError, TypeError or ValueError when it is something else."""
        groups = {
            str(name): {str(subject): str(text) for subject, text in found.items()}
            for name, found in dict(document["groups"]).items()
        }
        return cls(int(document["server"]), groups, int(document["form"]))

    @property
    def fact(self) -> str:
        """Return how many there are, and a digest of them: equal where nothing was changed."""
        texts = json.dumps([self.form, self.major, self.groups], sort_keys=True)
        count = sum(map(len, self.groups.values()))
        return f"{count} {hashlib.sha256(texts.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is defined in another way; `expected` None: it is new, `found` None: it is missing.

    `told`: whether the texts may be shown.
    """

    group: str
    subject: str
    expected: str | None
    found: str | None
    told: bool = True


def read_definitions(session: Session) -> Definitions:
    """Return the definitions of all that is the database's own, and no part of an extension or of the system."""
    groups = {}
    for group in _GROUPS:
        if session.version < group.since:
            continue
        rows = session.rows(group.sql)
        found = {
            str(row["subject"]): str(row["definition"] or "")
            for row in rows
            if row["subject"] is not None and (row["definition"] or not group.rights)
        }
        if found:
            groups[group.name] = dict(sorted(found.items()))
    return Definitions(session.version // 10000, groups)


def differences(
    recorded: Definitions, found: Definitions, *, rights: bool, rows: bool, left_out: Iterable[str]
) -> Iterator[Difference]:
    """Yield in what `found` is not what was recorded, group by group.

    Between different versions of the server only those texts are compared that every version prints alike. `rights`, `rows`:
    whether they were restored; `left_out`: subjects that were left out on purpose.
    """
    same = recorded.major == found.major and recorded.form == found.form
    ignored = frozenset(left_out)
    if _PUBLIC not in recorded.groups.get(_SCHEMA_RIGHTS, {}):
        # Where it was dropped no dump says so, and a new database has it.
        ignored |= {_PUBLIC}
    for name in sorted(recorded.groups.keys() | found.groups.keys()):
        group = _BY_NAME.get(name)
        if group is None or (group.rights and not rights) or (group.rows and not rows):
            continue  # of a later version of this program, or not asked for
        if not same and (group.rights or group.since):
            continue  # other versions give other rights by default, or do not have it
        yield from _in_group(
            group, recorded.groups.get(name, {}), found.groups.get(name, {}), ignored, same=same
        )


def _in_group(
    group: Group, before: Mapping[str, str], now: Mapping[str, str], ignored: frozenset[str], *, same: bool
) -> Iterator[Difference]:
    for subject in sorted(before.keys() | now.keys()):
        expected, found = before.get(subject), now.get(subject)
        if subject in ignored or expected == found:
            continue
        if expected is None or found is None or same or group.alike:
            yield Difference(group.name, subject, expected, found, group.told)
