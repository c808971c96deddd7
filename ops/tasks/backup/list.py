"""What `backup.list` does with its flags."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence

from ops.config.model import ConfiguredSource
from ops.errors import OpsError
from ops.fsio.user_cache import cache_folder
from ops.model.findings import Finding
from ops.report.listing import NONE, NONE_OF_OURS, UNLISTED, UNREAD
from ops.report.results.listed import CopiesListed, Copy, RowsListed
from ops.repository.listing import Listing, list_backups, unread_manifests
from ops.repository.listing_row import Rows
from ops.repository.locks import in_use
from ops.repository.own import Glance, OfSource, of_source
from ops.tasks.backup.commands import List
from ops.tasks.collector import without_collector
from ops.tasks.session import Session


def run(session: Session, wanted: List) -> None:
    """The backups of all stores, newest first; without those of other series, unless `everything` is asked for."""
    for name in wanted.source:
        session.config.source(name)
    source, everything = wanted.source, wanted.all
    with without_collector():
        listings = _read_all(session)
        said, foreign = _apart(session, listings, source)
        foreign = set() if everything else foreign
        empty = NONE_OF_OURS if foreign else NONE
        said += [
            item for configured in _chosen(session, source) for item in session.said_of_absent(configured)
        ]
        if len(listings) < len(session.config.stores):
            empty = UNLISTED
        if _unread(listings):
            empty = UNREAD
        rows = None if source or foreign or everything else _single(session, listings)
        if rows is not None:
            (store,) = listings
            session.outcome.add(RowsListed(store=store, rows=rows, now=session.job.clock(), empty=empty))
        else:
            backups = _together(listings, source, foreign)
            session.outcome.add(_listed(session, backups, empty=empty, hosts=everything))
    session.outcome.notice([*said, *(item for listing in listings.values() for item in listing.findings)])
    _tell_who_is_at_work(session, listings)


def _tell_who_is_at_work(session: Session, listings: Mapping[str, Listing]) -> None:
    """Who reads or deletes in the stores now: shown, and no warning."""
    try:
        found = [item for name in listings for item in in_use(session.config.stores[name])]
    except OpsError as error:
        session.outcome.fail(error)
        return
    session.outcome.say(found)


def _apart(
    session: Session, listings: Mapping[str, Listing], sources: Sequence[str]
) -> tuple[list[Finding], set[tuple[str, str]]]:
    """What there is to say of other series of the configured names, and those series by name of the source."""
    said: list[Finding] = []
    foreign: set[tuple[str, str]] = set()
    ours: set[tuple[str, str]] = set()
    chosen = _chosen(session, sources)
    for name, listing in listings.items():
        mine = [item for item in chosen if name in item.stores]
        try:
            glance = Glance.at(listing, session.config.stores[name])
            wanted = [item for item in mine if glance.needs_a_look(session.whose(item))]
            # What is ours where backups are made is ours in every store, also where the record of it has not come yet.
            home = [item for item in mine if name == item.stores[0]]
            ours |= {(item.name, series) for item in home for series in glance.own(session.whose(item)).ids}
            found = {item.name: _of_source(session, item, name, listing) for item in wanted}
        except OpsError as error:
            session.outcome.fail(error)
            continue
        foreign |= {(source, item.series) for source, of in found.items() for item in of.others}
        said += [finding for item in wanted if name == item.stores[0] for finding in found[item.name].said]
    return said, foreign - ours


def _chosen(session: Session, sources: Sequence[str]) -> list[ConfiguredSource]:
    return session.chosen(sources) if session.config.sources else []


def _of_source(session: Session, configured: ConfiguredSource, name: str, listing: Listing) -> OfSource:
    whose = session.whose(configured)
    return of_source(listing, session.config.stores[name], whose, session.job.clock())


def _read_all(session: Session) -> dict[str, Listing]:
    """What each store says; one that cannot be read is an error, and the others may be the only ones left."""
    cache, listings = cache_folder(os.environ), {}
    away = session.absent(session.config.stores)
    for name, store in session.config.stores.items():
        if name in away:
            continue
        try:
            listings[name] = list_backups(store, cache)
        except OpsError as error:
            session.outcome.fail(error)
    return listings


def _single(session: Session, listings: Mapping[str, Listing]) -> Rows | None:
    """The rows of the only store, when each is a backup of its own: as they are, without looking at each."""
    if len(session.config.stores) != 1 or not listings:
        return None
    (listing,) = listings.values()
    plain = listing.rows.column("plain")
    return listing.rows if len(set(plain)) == len(plain) else None


def _together(
    listings: Mapping[str, Listing], sources: Sequence[str], foreign: Container[tuple[str, str]]
) -> list[list[Copy]]:
    """The copies of each backup, newest backup first, without those of series that are `foreign`."""
    copies = [
        Copy(name, row)
        for name, listing in listings.items()
        for row in listing.rows.as_list()
        if (not sources or row.source in sources) and (row.source, row.series) not in foreign
    ]
    copies.sort(key=lambda copy: (copy.row.sequence, copy.row.created), reverse=True)
    places: dict[tuple[str, str], list[Copy]] = {}
    for copy in copies:
        # The same in each copy of a backup, sealed or not.
        places.setdefault((copy.row.plain, copy.row.job_id), []).append(copy)
    return list(places.values())


def _unread(listings: Mapping[str, Listing]) -> bool:
    return any(map(unread_manifests, listings.values()))


def _listed(session: Session, backups: list[list[Copy]], *, empty: str, hosts: bool) -> CopiesListed:
    config = session.config
    stores = {configured.name: configured.stores for configured in config.sources.values()}
    return CopiesListed(
        backups=backups,
        now=session.job.clock(),
        empty=empty,
        expected=stores if len(config.stores) > 1 else None,
        choosy=frozenset(name for name in config.stores if config.settings_of(name).policy is not None),
        hosts=hosts,
    )
