"""Filling an empty database of ours with a payload: the same for drills and restores."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from ops.model.complaints import damage_recorded_in
from ops.model.findings import Finding
from ops.model.manifest import Manifest, Payload
from ops.sources.postgres.catalog.requirements import Needs, needs_of
from ops.sources.postgres.catalog.scope import WHOLE
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.drill.copy import answering
from ops.sources.postgres.dump.payload import read_objects
from ops.sources.postgres.measure.check import Recorded
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.archive_reader import reading_route
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.left_out import LEFT_OUT
from ops.sources.postgres.restore.pg_restore import Restoration, restore_payload
from ops.sources.postgres.restore.role import role_of
from ops.sources.postgres.restore.single_tables import chosen_tables, recorded_of_tables


def fill_database(
    route: Route, holder: Session, payload: Payload, options: PostgresOptions, wanted: Restoration
) -> tuple[list[Finding], Recorded]:
    """Restore the payload into the database of `route`, in which `holder` is a session of ours.

    What was noticed, and what the copy must be compared with. Raises ToolError when the server stopped answering
    meanwhile: that says nothing about the backup; SpaceError when its disk is full.
    """
    manifest, needs = payload.manifest, needs_of(payload.manifest.extra)
    server, role = Release.of_server(holder.version), role_of(holder, needs)
    wanted = replace(wanted, role=role)
    spoken = route.in_english() if role.superuser else route
    if wanted.settings:
        spoken = spoken.with_settings(wanted.settings)
    reading = reading_route(spoken, needs, options, server_major=server.major)
    chosen: list[Table] = []

    def choose() -> list[Table]:
        chosen[:] = chosen_tables(holder, wanted.only)
        return chosen

    asked_for = choose if wanted.only else None
    findings = restore_payload(reading, payload.path, needs, wanted, server, asked_for)
    with answering():
        holder.rows("SELECT 1 AS alive")
    asked = wanted.options
    described = read_objects(payload.path)
    needs = without_extensions(needs, {item.where for item in findings if item.code == LEFT_OUT})
    if wanted.only:
        return findings, recorded_of_tables(needs, described, chosen, asked)
    recorded = Recorded(
        needs,
        described.objects,
        manifest.scope,
        described.definitions,
        damage_recorded_in(manifest),
        owners=not asked.no_owner,
        rights=not asked.no_acl,
        rows=not asked.schema_only,
        held=_held(manifest, needs),
    )
    return findings, recorded


def without_extensions(needs: Needs, left_out: AbstractSet[str]) -> Needs:
    """What is compared where extensions were left out: neither they nor what belongs to them."""
    if not left_out:
        return needs
    schemas = {schema: "" for schema, name in needs.extension_schemas.items() if name in left_out}
    return replace(
        needs,
        extensions={name: version for name, version in needs.extensions.items() if name not in left_out},
        extension_rows={
            name: rows for name, rows in needs.extension_rows.items() if rows.extension not in left_out
        },
        outside_keys={**needs.outside_keys, **dict.fromkeys(left_out, ""), **schemas},
    )


def _held(manifest: Manifest, needs: Needs) -> frozenset[str] | None:
    """The tables of which the backup has all rows; None: all that there are."""
    if manifest.scope in WHOLE:
        return None
    if manifest.scope not in {"tables", "schemas"}:
        return frozenset()
    return frozenset((*manifest.measures.tables, *needs.estimated, *needs.not_measured))
