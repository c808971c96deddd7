"""Series that were adopted, as the stores of a source record it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ops.errors import BackupError, NotFoundError
from ops.formats.adoption import AdoptionRecord, from_json, to_json
from ops.model.findings import Finding
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.identity import read_identity
from ops.repository.integrity import critical
from ops.repository.transfer import put_text
from ops.units import format_stamp

PREFIX: Final = f"{OWN_PREFIX}series/"
_MOST_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Records:
    """Every record of a store by its key, and a finding for each that cannot be read."""

    by_key: Mapping[str, AdoptionRecord]
    findings: tuple[Finding, ...] = ()

    def with_those_of(self, other: Records) -> Records:
        """Return these and those of another store."""
        return Records({**self.by_key, **other.by_key}, (*self.findings, *other.findings))

    @property
    def in_force(self) -> list[AdoptionRecord]:
        """What counts: of each series and place the last word, where that was not undone."""
        return in_force(self.by_key.values())


def read_records(store: Store) -> Records:
    """Return the records of the store. Raises what the store raises."""
    found, findings = {}, []
    for key in sorted(stored.key for stored in store.list(PREFIX)):
        try:
            with store.open(key) as file:
                found[key] = from_json(file.read(_MOST_BYTES), key)
        except NotFoundError:
            continue
        except BackupError as error:
            findings.append(critical(error, key))
    return Records(found, tuple(findings))


def in_force(records: Iterable[AdoptionRecord]) -> list[AdoptionRecord]:
    """Return the last word on each series and place, where that was not undone."""
    last: dict[tuple[str, str], AdoptionRecord] = {}
    for record in records:
        before = last.get((record.adopted, record.by))
        if before is None or (before.order, before.undone) < (record.order, record.undone):
            last[record.adopted, record.by] = record
    return [record for record in last.values() if not record.undone]


def key_of(record: AdoptionRecord) -> str:
    """Return where the record lies in every store."""
    stamp = format_stamp(record.recorded_at)
    return f"{PREFIX}{record.adopted}-{record.by}-{stamp}-{record.job_id[:8]}.json"


def put_record(store: Store, record: AdoptionRecord) -> None:
    """Store the record; fine where it is there already. Raises StoreError, also where the store is not the one that was there."""
    read_identity(store)
    put_text(store, key_of(record), to_json(record))


def carry_adoptions(one: Store, other: Store) -> None:
    """Put into each of two stores the records that only the other one has. Raises what the stores raise.

    What is there and cannot be read is left as it is: it is told, and stops deletion.
    """
    first, second = read_records(one), read_records(other)
    for to, there, here in ((other, second, first), (one, first, second)):
        unread = {item.where for item in there.findings}
        for key, record in here.by_key.items():
            if key not in there.by_key and key not in unread:
                put_record(to, record)
