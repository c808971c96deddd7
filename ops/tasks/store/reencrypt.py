"""What `store.reencrypt` does with its flags."""

from __future__ import annotations

from dataclasses import replace

from ops.actions.reencrypt import ReencryptRequest, reencrypt
from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, OpsError, RefusedError
from ops.ports.cipher import Cipher
from ops.ports.store import Store
from ops.report.results.stores import StoreReencrypted
from ops.tasks.session import Session
from ops.tasks.store.commands import Reencrypt


def run(session: Session, wanted: Reencrypt) -> None:
    """Each store that holds sealed backups, or the one that is named, source by source, homes first.

    One that fails does not stop the others.
    """
    work = [
        (configured, store, cipher)
        for configured in session.chosen(wanted.source)
        for store, cipher in _sealed_stores(session, configured, wanted.store)
    ]
    if not work:
        message = f"store {wanted.store!r} does not seal" if wanted.store else "no store seals"
        hint = 'a store that seals says encrypt = "CIPHER", and so does one whose copies come from it'
        raise ConfigError(message, code="usage.bad_value", hint=hint)
    if not wanted.dry_run and not wanted.yes:
        hint = "look at it with --dry-run, then add --yes"
        message = "store.reencrypt deletes what it has sealed anew"
        raise RefusedError(message, code="refused.interactive_only", hint=hint)
    for configured, store, cipher in work:
        request = replace(_request(session, configured, store), dry_run=wanted.dry_run, wait_s=wanted.wait)
        repository = replace(session.repository(store), encryption=cipher)
        try:
            done = reencrypt(repository, request, session.job.of_source(configured.name))
        except OpsError as error:
            session.outcome.fail(error, configured.name)
            continue
        session.outcome.add(StoreReencrypted(done, wanted.dry_run))


def _sealed_stores(session: Session, configured: ConfiguredSource, name: str) -> list[tuple[Store, Cipher]]:
    """The source's stores that hold sealed backups, and by what: of their own, or as they come from their home."""
    config = session.config
    if name:
        config.store(name)
    of_home = config.settings_of(configured.stores[0]).cipher
    ciphers = {item: config.settings_of(item).cipher or of_home for item in configured.stores}
    return [
        (config.stores[item], cipher)
        for item, cipher in ciphers.items()
        if cipher is not None and (item == name if name else not session.absent([item]))
    ]


def _request(session: Session, configured: ConfiguredSource, store: Store) -> ReencryptRequest:
    own = session.config.settings_of(store.name)
    home = session.repository(session.config.home_of(configured))
    return ReencryptRequest(
        whose=session.whose(configured),
        source_of=session.source_of,
        elsewhere=home if own.cipher is None else None,
    )
