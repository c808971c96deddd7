"""The fixtures by the names that pages use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.docs import fixtures, hard_times, ingesting, machines, petshop, petshop_trouble
from tests.docs.place import Place

_ON_A_SERVER: Final[tuple[Callable[[Place], None], ...]] = (
    petshop.petshop,
    petshop.petshop_backed_up,
    petshop_trouble.petshop_role_missing,
    petshop_trouble.petshop_old_client,
    petshop_trouble.petshop_in_use,
    petshop_trouble.petshop_locked,
    petshop_trouble.petshop_other_collation,
    petshop_trouble.petshop_extension,
    petshop_trouble.petshop_stale,
    petshop_trouble.petshop_small_scratch,
    petshop_trouble.petshop_greedy,
    petshop_trouble.petshop_moved,
)

BUILDERS: Final[dict[str, Callable[[Place], None]]] = {
    builder.__name__.replace("_", "-"): builder
    for builder in (
        fixtures.empty,
        fixtures.demo,
        fixtures.backed_up,
        fixtures.proven,
        fixtures.old_backup,
        fixtures.future_backup,
        fixtures.missing_source,
        fixtures.damaged_payload,
        fixtures.damaged_snapshot,
        fixtures.no_manifest,
        fixtures.little_space,
        hard_times.full_disk,
        hard_times.locked_database,
        hard_times.lock_held,
        hard_times.no_state,
        hard_times.killed_run,
        hard_times.hot_journal,
        fixtures.corrupt_database,
        fixtures.deleted_database,
        fixtures.lost_rows,
        hard_times.application_running,
        fixtures.replaced,
        fixtures.red_drill,
        fixtures.open_question,
        fixtures.faulty_source,
        hard_times.dead_drill,
        fixtures.many_backups,
        fixtures.two_stores,
        fixtures.archive_away,
        fixtures.home_lost,
        fixtures.rotated,
        fixtures.event_log,
        fixtures.incremental_log,
        fixtures.log_cut,
        ingesting.ingested,
        ingesting.ingest_late,
        ingesting.ingest_lines,
        ingesting.ingest_no_index,
        ingesting.provider,
        ingesting.provider_limits,
        machines.shop,
        machines.shop_nights,
        machines.shop_of_web1,
        machines.shop_two_machines,
        machines.shop_renamed,
        fixtures.outside,
        fixtures.own_tasks,
        fixtures.misspelt,
        *_ON_A_SERVER,
    )
}
"""What a page may write in `<!-- fixture: NAME -->`."""

NEED_SERVER: Final = frozenset(builder.__name__.replace("_", "-") for builder in _ON_A_SERVER)
"""Those that need the PostgreSQL server which all pages share."""
