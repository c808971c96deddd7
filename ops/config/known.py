"""What an operator knows to be wrong with the data of a source: `[[source.NAME.known]]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ops.config.tables import Place, build
from ops.errors import ConfigError
from ops.model.close_names import did_you_mean
from ops.model.complaints import KNOWABLE, Known


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTable:
    """The keys that such a table may have."""

    code: str
    where: str
    reason: str
    until: date | None = None


def read_known(values: Mapping[str, object], here: Place) -> Known:
    """Return what a table says is known; raises ConfigError for a code of which nobody may say that."""
    table = build(KnownTable, values, here)
    if table.code not in KNOWABLE:
        hint = did_you_mean(table.code, KNOWABLE) or f"one of: {', '.join(sorted(KNOWABLE))}"
        raise ConfigError(f"{here.at('code')}: {table.code!r} cannot be known", hint=hint)
    for key in ("where", "reason"):
        if not getattr(table, key).strip():
            hint = "where is what a finding says of the place (--format json), reason is for people"
            raise ConfigError(f"{here.at(key)}: it is empty", hint=hint)
    return Known(code=table.code, where=table.where, reason=table.reason, until=table.until)
