"""Sources that are made of others: which those are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ops.config.tables import Place
from ops.errors import ConfigError
from ops.model.close_names import close_or_all
from ops.ports.source import Source

MEMBERS: Final = "members"
"""The option of kinds that are made of others: the names of those."""


def chosen_members(options: Any, sources: Mapping[str, Source], place: Place) -> dict[str, dict[str, Source]]:  # noqa: ANN401 - of any kind
    """Return what a driver gets beside its options: nothing for a kind that has no members.

    Raises ConfigError for a name that no source has, that has members itself, or that is named twice.
    """
    names: tuple[str, ...] | None = getattr(options, MEMBERS, None)
    if names is None:
        return {}
    if not names:
        raise ConfigError(f"{place}: members is empty", code="config.missing_key", hint="name other sources")
    for name in names:
        if name not in sources:
            hint = close_or_all(name, sources, "sources that can be members")
            raise ConfigError(
                f"{place.at('members')}: no source {name!r}", code="config.unknown_source", hint=hint
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"{place.at('members')}: a source is named twice", code="config.duplicate_place")
    return {MEMBERS: {name: sources[name] for name in names}}
