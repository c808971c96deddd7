"""What `backup.prune`, `backup.keep` and `backup.release` do with their flags."""

from __future__ import annotations

import sys

from ops.actions.prune import Pruned, PruneRequest, prune
from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, OpsError, RefusedError
from ops.report.results.stores import StorePruned, StoreSkipped
from ops.tasks.backup.commands import Prune
from ops.tasks.session import Session


def run(session: Session, wanted: Prune) -> None:
    """Prune each chosen source in each of its stores; one that fails does not stop the others."""
    if not wanted.dry_run and not wanted.yes and not _confirmed(session, wanted):
        hint = "look at it with --dry-run, then add --yes"
        raise RefusedError("backup.prune deletes backups", code="refused.interactive_only", hint=hint)
    # Who has seen the plan and typed yes has been asked.
    many = wanted.many or not wanted.yes
    for configured in _chosen(session, wanted):
        absent = session.absent(configured.stores)
        for store in configured.stores:
            if store in absent:
                session.outcome.add(StoreSkipped(store, "looked at", configured.name))
                continue
            try:
                pruned = _prune_one(session, configured, store, wanted, dry_run=wanted.dry_run, many=many)
            except OpsError as error:
                session.outcome.fail(error, configured.name)
                continue
            session.outcome.add(StorePruned(pruned, session.job.clock(), wanted.dry_run))


def _chosen(session: Session, wanted: Prune) -> list[ConfiguredSource]:
    """The sources whose backups, or whose name's other series, are pruned."""
    if not wanted.series:
        if wanted.policy:
            raise ConfigError("--policy goes with --series", code="usage.bad_value")
        return session.chosen(wanted.source)
    if wanted.policy not in session.config.policies:
        hint = f"say by which policy with --policy, one of: {', '.join(sorted(session.config.policies))}"
        raise ConfigError(
            f"no policy {wanted.policy!r}" if wanted.policy else "--series needs a policy",
            code="config.unknown_policy",
            hint=hint,
        )
    return session.one(session.only("--series", wanted.source))


def _prune_one(
    session: Session,
    configured: ConfiguredSource,
    store: str,
    wanted: Prune,
    *,
    dry_run: bool,
    many: bool = False,
) -> Pruned:
    own = session.config.settings_of(store).policy
    if wanted.series:
        own = session.config.policies[wanted.policy]
    request = PruneRequest(
        whose=session.whose(configured),
        policy=own or configured.policy,
        by_scope={} if own else configured.by_scope,
        named=session.config.policies,
        many=many,
        dry_run=dry_run,
        wait_s=wanted.wait,
        series=wanted.series.lower(),
        elsewhere=tuple(
            session.repository(session.config.stores[name]) for name in configured.stores if name != store
        ),
    )
    job = session.job.of_source(configured.name)
    return prune(session.repository(session.config.stores[store]), request, job)


def _confirmed(session: Session, wanted: Prune) -> bool:
    """Show a person at a terminal what would go, and ask; False where nobody can be asked."""
    if not sys.stdin.isatty():
        return False
    now = session.job.clock()
    for configured in _chosen(session, wanted):
        absent = session.absent(configured.stores)
        for store in (name for name in configured.stores if name not in absent):
            plan = _prune_one(session, configured, store, wanted, dry_run=True)
            sys.stderr.write(StorePruned(plan, now, dry_run=True).text() + "\n\n")
    sys.stderr.write("Delete them? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"
