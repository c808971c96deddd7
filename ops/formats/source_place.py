"""What tells two sources of one name apart without asking either: where they are configured to be. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

from ops.model.manifest import SourceInfo

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A source by its name and its place: 16 hexadecimal digits, equal for the same configuration on every machine."""

    name: str
    place: str

    @classmethod
    def of(cls, info: SourceInfo, scope: str) -> Self:
        """Return the place of a source that is described so, of which backups hold `scope`."""
        text = f"{info.name}\0{info.kind}\0{scope}\0{info.location}"
        return cls(info.name, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS])
