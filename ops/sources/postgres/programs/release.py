"""Releases of PostgreSQL, such as 15.20. Pure.

Releases of different major versions cannot be compared by number: 17.10 is of May 2026, 15.20 of November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

OWN_OPTION_PREFIX: Final = "pg_"
"""How the options begin that a server keeps for itself; users cannot set any of that prefix.

Source: https://www.postgresql.org/docs/release/15.20/ (`pg_attver`, the first of them, for columns)
"""
_VERSION: Final = re.compile(r"(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Release:
    """One release; `minor` is 0 for development and beta versions."""

    major: int
    minor: int

    @classmethod
    def parse(cls, version: str) -> Release:
        """Return the release that a text such as `15.20 (Debian …)` begins with; raises ValueError for other texts."""
        found = _VERSION.match(version)
        if found is None:
            raise ValueError(version)
        return cls(int(found[1]), int(found[2] or 0))

    @classmethod
    def of_server(cls, number: int) -> Release:
        """Return the release of a server_version_num such as 150020."""
        return cls(number // 10000, number % 10000)

    def __str__(self) -> str:
        """As in `15.20`."""
        return f"{self.major}.{self.minor}"

    def is_older(self, other: Release) -> bool:
        """Return whether this is known to be the older one: of a lower major, or of a lower minor of the same."""
        return (self.major, self.minor) < (other.major, other.minor)

    def includes(self, other: Release) -> bool:
        """Return whether this one certainly knows all that `other` knows: the same major, not older."""
        return self.major == other.major and self.minor >= other.minor
