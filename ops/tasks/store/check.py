"""The task `store.check`: what a store promises, tried out; and a new store where another one was."""

from __future__ import annotations

from ops.errors import ConfigError, OpsError
from ops.report.results.stores import StoreChecked, StoreSkipped
from ops.repository.check_store import check_store
from ops.repository.identity import create_store, read_identity
from ops.tasks.session import Session
from ops.tasks.store.commands import Check


def run(session: Session, wanted: Check) -> None:
    """Try out each store, or the one that is named, which is begun first with `create`."""
    name = wanted.store
    if wanted.create and not name:
        raise ConfigError(
            "--create begins one store", code="usage.bad_value", hint="say which with --store NAME"
        )
    stores = [session.config.store(name)] if name else list(session.config.stores.values())
    absent = [] if name else session.absent(session.config.stores)
    for store in stores:
        if store.name in absent:
            session.outcome.add(StoreSkipped(store.name, "tried"))
            continue
        try:
            findings = create_store(store) if wanted.create else []
            read_identity(store)  # before anything is written where a disk should be mounted
            findings += check_store(store, session.job.of_source(""))
        except OpsError as error:
            session.outcome.fail(error)
            continue
        session.outcome.add(StoreChecked(store.name, store.location, tuple(findings)))
