"""Which pg_restore can read an archive: its version and its compression decide, not the server's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ops.errors import ToolError
from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.connect.route import DirectRoute, Route
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs, discover


def archive_reader(installed: Sequence[Programs], needs: Needs, *, server_major: int = 0) -> Programs:
    """The programs that read the archive, nearest to the server's version, not older than it where possible.

    Raises ToolError when none here can.
    """
    codec = {needs.codec} & {"lz4", "zstd"}
    able = [item for item in installed if item.major >= needs.client_major and codec <= item.codecs]
    if not able:
        message = f"no pg_restore here can read an archive of pg_dump {needs.client_version} ({needs.codec})"
        hint = "install PostgreSQL of that version or newer, with that compression: pip install 'drillbook[postgres-drill]'"
        raise ToolError(message, code="tool.missing", hint=hint)
    return min(able, key=lambda item: (item.major < server_major, abs(item.major - server_major)))


def reading_route(route: Route, needs: Needs, options: PostgresOptions, *, server_major: int) -> Route:
    """The same way, with a pg_restore that can read the archive; a container has only its own."""
    if not isinstance(route, DirectRoute):
        return route
    installed = discover(options.pg_bindir, os.environ)
    return replace(route, programs=archive_reader(installed, needs, server_major=server_major))
