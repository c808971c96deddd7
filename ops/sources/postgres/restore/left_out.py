"""Extensions that the server of a restore cannot make, and what belongs to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ops.errors import ToolError
from ops.model.findings import Finding, Severity

LEFT_OUT: Final = "postgres.extension_left_out"
_CREATE: Final = re.compile(r'CREATE EXTENSION (?:IF NOT EXISTS )?(?:"(?P<quoted>[^"]+)"|(?P<plain>\w+))')
# What a server says that lacks a library, or has it loaded for another database.
_UNABLE: Final = re.compile(
    r'shared_preload_libraries|unrecognized configuration parameter "\w+\.\w+"|can only create extension in database'
    r"|could not (?:access file|load library)|extension \".*\" (?:is not available|has no installation script)"
)


@dataclass(frozen=True, slots=True)
class Extensions:
    """What of extensions may be missing in the copy: `schemas` and `tables` -> the extension that they are of.

    `left_out`: kept here, the extensions that the operator allows to be missing.
    """

    schemas: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def read(self, text: str, command: str, allowed: Mapping[str, str]) -> Finding | None:
        """Return a finding for an error that comes of an extension which is left out; None for any other error.

        Raises ToolError where the server cannot make an extension and nobody has allowed that.
        """
        made = _CREATE.match(command)
        if made is not None and _UNABLE.search(text):
            name = made["quoted"] or made["plain"]
            reason = next((why for words, why in allowed.items() if words in text or words in command), None)
            if reason is None:
                raise _cannot(name, text)
            self.left_out.add(name)
            message = (
                f"extension {name} was left out, with its rows and rights: {text} (allowed: {reason}); make it by hand where it"
                " is wanted"
            )
            return Finding(
                severity=Severity.OK, code="postgres.extension_left_out", message=message, where=name
            )
        owner = self._owner(text, command)
        if owner is None:
            return None
        message = f"{text} (allowed: it belongs to extension {owner}, which was left out)"
        return Finding(severity=Severity.OK, code="postgres.error_allowed", message=message, where=owner)

    def _owner(self, text: str, command: str) -> str | None:
        """The extension that was left out and to which an error belongs."""
        for name in self.left_out:
            if f'extension "{name}" does not exist' in text:
                return name
        for schema, name in self.schemas.items():
            missing = (f'schema "{schema}" does not exist', f'relation "{schema}.')
            if name in self.left_out and any(words in text for words in missing):
                return name
        for table, name in self.tables.items():
            if name in self.left_out and (
                f'relation "{table}" does not exist' in text or f" {table} " in command
            ):
                return name
        return None


def _cannot(name: str, text: str) -> ToolError:
    message = f"this server cannot make extension {name}: {text}"
    hint = (
        "in a drill, drill_settings can have its server load it (shared_preload_libraries, and what the extension asks for);"
        f" to leave it out with its rows: allowed_errors, 'EXTENSION IF NOT EXISTS {name}' = 'why'"
    )
    return ToolError(message, code="tool.extension_missing", hint=hint)
