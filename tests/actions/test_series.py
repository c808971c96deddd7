"""Whose a backup is: several machines, hosts, boots and places with one store, over many nights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.adopt import AdoptRequest, adopt
from ops.actions.copy import copy_missing
from ops.actions.prune import PruneRequest, prune
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import BackupError, ConfigError, RefusedError
from ops.formats.adoption import AdoptionRecord
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import SourceInfo
from ops.model.series import Identified, Whereabouts
from ops.ports.store import Store
from ops.repository.adoptions import put_record
from ops.repository.find import find_backup
from ops.repository.listing import list_backups
from ops.repository.own import of_source, own_backups
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import looked_at, stored_backup
from tests.sites import BEGIN, Site, everything

NewSite = Callable[..., Site]
OTHER = "backup.other_series"


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """One store, with files on this machine and without."""
    if request.param == "memory":
        return MemoryStore("local")
    return LocalStore("local", LocalOptions(path=tmp_path / "backups"))


@pytest.fixture
def site(source: SqliteSource, store: Store, scratch: Path) -> NewSite:
    """Makes machines that share source, path and store."""

    def make(host: str, **more: object) -> Site:
        return Site(source, store, scratch, host, **more)  # type: ignore[arg-type] # fields of Site

    return make


def night(number: float) -> datetime:
    """The moment of that night."""
    return BEGIN + timedelta(days=number)


def two_under_one_name(site: Site, moment: datetime) -> bool:
    """Whether it is said that two machines write under one name."""
    return "series.two_machines" in {item.code for item in site.own.alarms(moment)}


def codes(findings: tuple[Finding, ...] | list[Finding]) -> dict[str, Severity]:
    """The codes of what is no praise, and of what is said of series."""
    return {
        item.code: item.severity
        for item in findings
        if item.severity is not Severity.OK or item.code in {OTHER, "series.adopted"}
    }


def test_thirty_nights_of_two_machines(site: NewSite) -> None:
    """Each keeps, proves and deletes what it would have alone, and neither ever touches the other's."""
    alpha, beta = site("alpha"), site("beta", boot="other")
    seen: list[set[str]] = []
    for number in range(30):
        said = [codes(one.take(night(number)).taken.findings) for one in (alpha, beta)]
        assert said == [{}, {OTHER: Severity.WARNING} if number == 0 else {}]
        assert [one.drill(night(number)).verdict for one in (alpha, beta)] == [Verdict.PASSED] * 2
        for one, other in ((alpha, beta), (beta, alpha)):
            theirs = set(other.names())
            done = one.prune(night(number))
            assert codes(done.findings) == {OTHER: Severity.OK}
            assert set(other.names()) == theirs
            assert len(one.names()) == min(2, number + 1)
        seen.append(everything(alpha.store))
    assert len(seen[-1]) == 4
    assert {item.made_on for item in alpha.own.mine} == {"alpha"}
    assert all(item.proven for item in alpha.own.mine)


def test_a_host_that_another_has_given_up(site: NewSite) -> None:
    """A host that was renamed adopts its series: latest, drill and prune go on, and for 30 days nothing of it goes."""
    old, new = site("old"), site("new")
    for number in range(5):
        old.take(night(number))
    with pytest.raises(BackupError) as caught:
        new.drill(night(6))
    assert caught.value.code == OTHER
    assert "backup.adopt" in caught.value.choices[-1][0] or len(caught.value.choices) == 1
    series = old.own.own.current
    assert series is not None
    request = AdoptRequest(series=series[:8], whose=new.whose, stores=(new.repository,), yes=True)
    assert codes(adopt(request, Job(clock=lambda: night(7)))) == {"series.adopted": Severity.OK}
    assert new.drill(night(7)).verdict is Verdict.PASSED
    assert codes(new.take(night(8)).taken.findings) == {}
    assert len(new.names()) == 6
    assert new.prune(night(9)).deleted == ()
    assert new.drill(night(40)).verdict is Verdict.PASSED
    assert len(new.prune(night(40)).deleted) == 4
    # Whoever still runs under the old name finds a series that is another's now, and so does that one.
    old.take(night(41))
    for one in (old, new):
        assert {item.code for item in one.own.alarms(night(41))} == {"series.adopted_lives"}
        assert one.prune(night(80)).deleted == ()
    adopt(replace(request, undo=True), Job(clock=lambda: night(81)))
    for one in (old, new):
        assert one.own.alarms(night(81)) == []


def test_adopted_both_ways_and_twice(site: NewSite) -> None:
    """Neither a circle nor two adopters: each is refused with the reason; undone, it may be another's."""
    one, two, three = site("one"), site("two"), site("three")
    one.take(night(0))

    def give(whose: Site, to: Site, moment: datetime, **more: bool) -> None:
        series = whose.own.own.current
        assert series is not None
        request = AdoptRequest(series=series, whose=to.whose, stores=(to.repository,), yes=True, **more)
        adopt(request, Job(clock=lambda: moment))

    give(one, two, night(1))
    with pytest.raises(RefusedError, match="adopted it already"):
        give(one, three, night(2))
    two.take(night(3))
    with pytest.raises((RefusedError, ConfigError), match=r"adopted this source|got a backup|own already"):
        give(two, one, night(4))
    give(one, two, night(5), undo=True)
    assert len(two.names()) == 1
    give(one, three, night(6))
    assert len(three.names()) == 1
    with pytest.raises(ConfigError, match="has adopted no series"):
        give(one, two, night(7), undo=True)


def test_moved_there_and_back(site: NewSite) -> None:
    """Where both lived, a new declared series takes both."""
    one, two = site("one"), site("two")
    for number in range(4):
        (one, two)[number % 2].take(night(number))
    series = str(one.own.own.current)
    request = AdoptRequest(series=series, whose=two.whose, stores=(two.repository,), yes=True)
    with pytest.raises(RefusedError, match="it lives"):
        adopt(request, Job(clock=lambda: night(4)))
    shop = site("two", declared="shop")
    for each in (one, two):
        series = str(each.own.own.current)
        request = AdoptRequest(series=series, whose=shop.whose, stores=(shop.repository,), yes=True)
        adopt(request, Job(clock=lambda: night(4)))
    assert len(shop.names()) == 4
    assert codes(shop.take(night(5)).taken.findings) == {}


def test_a_store_that_is_away_gets_the_record_later(
    site: NewSite, source: SqliteSource, tmp_path: Path
) -> None:
    """One of two stores cannot be reached when a series is adopted: told, and made good by the next run."""
    from ops.actions.copy import copy_missing

    old, new = site("old"), site("new")
    for number in range(3):
        old.take(night(number))
    blocked = tmp_path / "away"
    blocked.write_bytes(b"")
    away = Repository(store=LocalStore("away", LocalOptions(path=blocked)), scratch=new.scratch)
    request = AdoptRequest(
        series=str(old.own.own.current), whose=new.whose, stores=(new.repository, away), yes=True
    )
    assert codes(adopt(request, Job(clock=lambda: night(4)))) == {
        "series.adopted": Severity.OK,
        "series.not_recorded": Severity.WARNING,
    }
    blocked.unlink()
    new.take(night(5))
    copy_missing(new.whose, new.repository, [away], Job(clock=lambda: night(5)))
    copies = Site(source, away.store, new.scratch, "new")
    assert copies.names() == new.names()
    assert len(copies.names()) == 4


class TestBoots:
    """The boot tells machines of one name apart."""

    def test_one_that_comes_back(self, site: NewSite) -> None:
        """After a restart nothing is said; a boot that comes back is two machines, and nothing is deleted until it ends."""
        one, clone = site("vm", boot="one"), site("vm", boot="clone")
        for number in range(3):
            one.take(night(number))
        clone.take(night(3))
        assert not two_under_one_name(one, night(3))
        one.take(night(4))
        assert two_under_one_name(one, night(4))
        done = one.prune(night(4))
        assert (done.deleted, codes(done.findings)) == (
            (),
            {"series.two_machines": Severity.CRITICAL},
        )
        # The clone was renamed: the window has no return any more after ten backups and 14 days.
        for number in range(5, 20):
            one.take(night(number))
        assert not two_under_one_name(one, night(19))
        assert codes(one.prune(night(19)).findings) == {}
        kept = {item.manifest.created_at for item in one.own.mine}
        assert {night(number) for number in range(5)} <= kept
        one.take(night(60))
        one.prune(night(60))
        assert len(one.names()) == 2

    def test_restarts_of_one_machine(self, site: NewSite) -> None:
        """A machine that is restarted each night never looks like two."""
        for number in range(15):
            box = site("vm", boot=f"boot {number}")
            assert codes(box.take(night(number)).taken.findings) == {}
            assert not two_under_one_name(box, night(number))
        assert len(box.prune(night(15)).deleted) == 13

    def test_a_container_leaves_alone_what_another_boot_wrote(self, site: NewSite) -> None:
        """Without a name of its own a machine deletes nothing that another boot wrote within seven days."""
        for number in range(10):
            site("", boot="one").take(night(number))
        other = site("", boot="two")
        other.take(night(10))
        other.prune(night(10))
        assert len(other.names()) == 7  # the new one, and those of nights 4 to 9


class TestVersionOne:
    """Backups of before: whose they are follows from name, kind, location, and where they were made."""

    def test_one_machine_goes_on(self, site: NewSite, source: SqliteSource, store: Store) -> None:
        """After an upgrade nothing changes and nothing is asked."""
        old = [
            looked_at(stored_backup(store, night(number), location=source.info.location))
            for number in range(4)
        ]
        one = site("alpha")
        assert one.names() == [item.name for item in reversed(old)]
        assert codes(one.take(night(5)).taken.findings) == {}
        done = one.prune(night(5))
        assert codes(done.findings) == {}
        assert set(done.deleted) == {item.name for item in old[:3]}

    def test_two_machines_whose_hosts_were_recorded(
        self, site: NewSite, source: SqliteSource, store: Store
    ) -> None:
        """What `create --verify` said of the host tells the backups apart."""
        for number, host in enumerate(["alpha", "beta"] * 3):
            made = stored_backup(store, night(number), location=source.info.location)
            looked_at(made, host=host, job_id=made.manifest.job_id)
        alpha, beta = site("alpha"), site("beta")
        assert len(alpha.names()) == len(beta.names()) == 3
        assert set(alpha.names()) & set(beta.names()) == set()
        assert len(alpha.prune(night(7)).deleted) == 1
        assert len(beta.names()) == 3

    def test_without_a_host_and_two_that_have_one(
        self, site: NewSite, source: SqliteSource, store: Store
    ) -> None:
        """Where nobody recorded the host and two have the location, it is nobody's: never latest, never pruned, until adopted."""
        lost = [stored_backup(store, night(number), location=source.info.location) for number in range(3)]
        alpha, beta = site("alpha"), site("beta", boot="other")
        assert len(alpha.names()) == 3
        alpha.take(night(4))
        beta.take(night(5))
        assert (len(alpha.names()), len(beta.names())) == (1, 1)
        for one in (alpha, beta):
            one.policy = Policy(keep_last=1)
            assert one.prune(night(6)).deleted == ()
        (foreign,) = [item for item in alpha.own.others(night(6)) if item.rows[0].name == lost[-1].name]
        request = AdoptRequest(series=foreign.shown, whose=alpha.whose, stores=(alpha.repository,), yes=True)
        adopt(request, Job(clock=lambda: night(6)))
        assert len(alpha.names()) == 4

    def test_a_generated_host_counts_as_none(self, site: NewSite, source: SqliteSource, store: Store) -> None:
        """A container's name in the evidence of before is no host."""
        made = stored_backup(store, night(0), location=source.info.location)
        looked_at(made, host="0123456789ab", job_id=made.manifest.job_id)
        assert site("alpha").names() == [made.name]

    def test_another_place(self, site: NewSite, store: Store) -> None:
        """Another location, kind or name is another series."""
        stored_backup(store, night(0), location="/elsewhere.db")
        stored_backup(store, night(1), kind="eventlog")
        assert site("alpha").names() == []


def test_a_declared_series_is_one_on_all_machines(site: NewSite) -> None:
    """Machines that stand in for each other give the source a series, and go on where the other one stopped."""
    one, two = site("one", declared="shop"), site("two", declared="shop", boot="other")
    for number in range(6):
        assert codes((one, two)[number % 2].take(night(number)).taken.findings) == {}
    assert len(one.names()) == 6
    assert one.names() == two.names()
    assert not two_under_one_name(one, night(6))
    assert len(two.prune(night(6)).deleted) == 4


def test_a_record_that_cannot_be_read_stops_prune(site: NewSite, store: Store) -> None:
    """Whether a series was separated again is not known then: nothing is deleted, and backups go on."""
    from tests.histories import put

    one = site("one")
    for number in range(4):
        one.take(night(number))
    put(store, ".drillbook/series/0000000000000000-1111111111111111-20260601T000000Z-12345678.json", b"{}")
    done = one.prune(night(5))
    assert done.deleted == ()
    assert codes(done.findings)["series.record_invalid"] is Severity.CRITICAL
    assert codes(one.take(night(6)).taken.findings) == {}
    assert one.drill(night(6)).verdict is Verdict.PASSED


def test_one_of_twenty(site: NewSite) -> None:
    """Twenty machines with one store are normal: the others are counted in one line, and are no warning."""
    sites = [site(f"host{number:02}", boot=str(number)) for number in range(20)]
    for one in sites:
        one.take(night(0))
    for one in sites:
        one.take(night(1))
        done = one.prune(night(1))
        (said,) = [item for item in done.findings if item.code == OTHER]
        assert said.severity is Severity.OK
        assert "19 other series" in said.message
        assert len(one.names()) == 2


@dataclass(frozen=True)
class Server(SqliteSource):
    """A database that says of itself what it is told to: on which server it is, and at which address."""

    address: str = "db:5432/shop"
    system: str = "1"

    @property
    def info(self) -> SourceInfo:
        """Its address."""
        return SourceInfo(self.name, self.kind, self.address)

    @property
    def whereabouts(self) -> Whereabouts:
        """Its address, which means the same on every machine."""
        return Whereabouts("postgres", self.address, local=False)

    def identify(self) -> Identified:
        """Its server and address."""
        return Identified(f"{self.system} {self.address}", self.system, "16384")


class TestServers:
    """Databases on servers that are cloned, moved, or made anew."""

    @pytest.fixture
    def at(self, source: SqliteSource, store: Store, scratch: Path) -> NewSite:
        """Makes the source at an address, on a server."""

        def make(address: str, system: str, host: str = "alpha") -> Site:
            server = Server("prices", source.options, address=address, system=system)
            return Site(server, store, scratch, host, boot=host)

        return make

    def test_from_any_machine(self, at: NewSite) -> None:
        """One database at one address is one series, from wherever it is backed up, and no boot is watched."""
        for number in range(4):
            one = at("db:5432/shop", "1", ("alpha", "beta")[number % 2])
            assert codes(one.take(night(number)).taken.findings) == {}
        assert not two_under_one_name(one, night(4))
        assert len(one.names()) == 4

    def test_a_failover_to_another_address(self, at: NewSite) -> None:
        """The same server's data at another address: nothing is done with its latest, create says what it looks like."""
        old, new = at("db1:5432/shop", "1"), at("db2:5432/shop", "1")
        old.take(night(0))
        old.drill(night(0))
        with pytest.raises(BackupError) as caught:
            new.drill(night(5))
        assert caught.value.code == OTHER
        assert [about.partition(": ")[2][:17] for _, about in caught.value.choices] == [
            "newest and proven",
            "",
        ]
        made = new.take(night(5)).taken
        assert codes(made.findings) == {OTHER: Severity.WARNING}
        (said,) = [item for item in made.findings if item.code == OTHER]
        assert "a clone, a server that moved" in said.message
        series = str(old.own.own.current)
        adopt(
            AdoptRequest(series=series, whose=new.whose, stores=(new.repository,)),
            Job(clock=lambda: night(9)),
        )
        assert len(new.names()) == 2

    def test_a_cluster_made_anew(self, at: NewSite) -> None:
        """At the same address another server: its first nightly backup is not what a restore means by the latest."""
        old, new = at("db:5432/shop", "1"), at("db:5432/shop", "2")
        for number in range(3):
            old.take(night(number))
        made = new.take(night(3)).taken
        assert codes(made.findings) == {OTHER: Severity.WARNING}
        (said,) = [item for item in made.findings if item.code == OTHER]
        assert "made anew, or upgraded" in said.message
        assert (len(new.names()), len(new.own.own.rivals)) == (1, 1)
        assert new.prune(night(4)).deleted == ()
        request = RestoreRequest(scratch=new.scratch, safety=new.repository, to=None, yes=True, in_full=False)
        latest = find_backup(new.store, "latest", whose=new.whose)
        with pytest.raises(RefusedError, match="cannot be told for sure"):
            restore_backup(latest, new.source, request, Job())
        series = next(iter(new.own.own.rivals))
        adopt(
            AdoptRequest(series=series, whose=new.whose, stores=(new.repository,)),
            Job(clock=lambda: night(9)),
        )
        assert (len(new.names()), new.own.own.rivals) == (4, frozenset())

    def test_over_a_server_that_is_another_now(self, at: NewSite) -> None:
        """The new cluster after a fire has no backup yet: the old one's go there only when that is said."""
        old, new = at("db:5432/shop", "1"), at("db:5432/shop", "2")
        backup = old.take(night(0)).taken.backup
        request = RestoreRequest(scratch=new.scratch, safety=new.repository, to=None, yes=True)
        with pytest.raises(RefusedError, match="is another source now") as caught:
            restore_backup(backup, new.source, request, Job())
        assert "--from-other-source" in caught.value.hint
        restore_backup(backup, new.source, replace(request, from_other=True), Job())


class TestGone:
    """A series whose machine is gone is cleared from another one."""

    @staticmethod
    def clear(on: Site, series: str, moment: datetime) -> tuple[str, ...]:
        """What was deleted of that series, but the last."""
        request = PruneRequest(whose=on.whose, policy=Policy(keep_last=1), series=series, many=True)
        return prune(on.repository, request, Job(clock=lambda: moment)).deleted

    def test_cleared_when_nobody_writes_it(self, site: NewSite) -> None:
        """While it may still be written nothing is deleted; later all but what a rule keeps goes, and nothing of the own."""
        gone, here = site("gone"), site("here")
        for number in range(4):
            gone.take(night(number))
            here.take(night(number))
        series, mine = str(gone.own.own.current)[:8], here.names()
        with pytest.raises(RefusedError, match="may still be written"):
            self.clear(here, series, night(4))
        assert len(self.clear(here, series, night(9))) == 3
        assert (len(gone.names()), here.names()) == (1, mine)

    def test_never_the_own_one(self, site: NewSite) -> None:
        """The own series, and digits that mean none or too many, are refused or change nothing."""
        here = site("here")
        for number in range(3):
            here.take(night(number))
        for series in (str(here.own.own.current)[:8], "1234"):
            with pytest.raises(RefusedError, match="is not another series"):
                self.clear(here, series, night(30))
        assert self.clear(here, "0123456789abcdef", night(30)) == ()
        assert len(here.names()) == 3


class TestBrokenByOutsiders:
    """Ways to lose backups, or to be refused, that people outside found."""

    def adopted(self, series: str, by: Site, *stores: Repository, at: float, **more: bool) -> None:
        """Make the series a part of the site's own."""
        request = AdoptRequest(
            series=series, whose=by.whose, stores=stores or (by.repository,), yes=True, **more
        )
        adopt(request, Job(clock=lambda: night(at)))

    def test_what_another_series_needs_stays(self, site: NewSite, source: SqliteSource, store: Store) -> None:
        """An increment of another machine may need a backup that was adopted for a while: no rule deletes it."""
        one = site("alpha")
        place = source.info.location
        base = looked_at(stored_backup(store, night(0), location=place))
        for number in (1, 2):
            looked_at(stored_backup(store, night(number), location=place))
        other = stored_backup(store, night(3), location="/elsewhere.db", needs=(base,))
        one.policy = Policy(keep_last=1)
        done = one.prune(night(5))
        assert base.name not in done.deleted
        assert len(done.deleted) == 1
        reasons = {
            item.candidate.name: item.reasons for plan in done.plans.values() for item in plan.decisions
        }
        assert f"needed by {other.name}" in reasons[base.name]

    def test_a_word_that_a_store_has_not_heard(
        self, site: NewSite, source: SqliteSource, tmp_path: Path
    ) -> None:
        """One that was separated while a store was away is not pruned there; nor while nobody can tell."""
        one, three = site("one"), site("three")
        away = Repository(store=MemoryStore("away"), scratch=one.scratch)
        for number in range(4):
            one.take(night(number))
        three.take(night(4))
        series = str(one.own.own.current)
        self.adopted(series, three, three.repository, away, at=5)
        for each in (one, three):
            copy_missing(each.whose, each.repository, [away], Job(clock=lambda: night(6)))
        self.adopted(series, three, three.repository, at=50, undo=True)
        there = Site(source, away.store, one.scratch, "three", policy=Policy(keep_last=1))
        request = PruneRequest(whose=there.whose, policy=Policy(keep_last=1), many=True)
        for elsewhere in (
            three.repository,
            Repository(store=LocalStore("gone", LocalOptions(path=tmp_path / "live" / "data.db"))),
        ):
            done = prune(away, replace(request, elsewhere=(elsewhere,)), Job(clock=lambda: night(60)))
            assert done.deleted == ()
        assert len(everything(away.store)) == 5

    def test_a_store_that_lacks_the_newest(self, site: NewSite) -> None:
        """Whether a series lives is told by the store that has its last backup, and a copy that comes later is no alarm."""
        one, two = site("one"), site("two")
        away = Repository(store=MemoryStore("away"), scratch=one.scratch)
        one.take(night(0))
        copy_missing(one.whose, one.repository, [away], Job(clock=lambda: night(0)))
        one.take(night(9))
        request = AdoptRequest(
            series=str(one.own.own.current), whose=two.whose, stores=(two.repository, away)
        )
        with pytest.raises(RefusedError, match="is young"):
            adopt(request, Job(clock=lambda: night(10)))
        adopt(replace(request, yes=True), Job(clock=lambda: night(10)))
        assert two.own.alarms(night(11)) == []
        copy_missing(two.whose, two.repository, [away], Job(clock=lambda: night(11)))
        assert own_backups(two.whose, away.store).alarms(night(11)) == []

    def test_an_adopted_series_is_not_cleared_by_a_third(self, site: NewSite) -> None:
        """What another machine adopted is its history."""
        one, three, two = site("one"), site("three"), site("two")
        for number in range(4):
            one.take(night(number))
        two.take(night(20))
        series = str(one.own.own.current)
        self.adopted(series, three, at=30)
        request = PruneRequest(whose=two.whose, policy=Policy(keep_last=1), series=series[:8], many=True)
        with pytest.raises(RefusedError, match="was adopted by"):
            prune(two.repository, request, Job(clock=lambda: night(90)))

    def test_several_at_once_each_week(self, site: NewSite) -> None:
        """Two backups in a minute once a week are no series that makes one each minute: it lives."""
        weekly, other = site("weekly"), site("other")
        for number in (0, 7, 14):
            weekly.take(night(number))
            weekly.take(night(number) + timedelta(minutes=1))
        other.take(night(15))
        (foreign,) = other.own.others(night(17))
        assert foreign.lives
        assert not other.own.others(night(40))[0].lives

    def test_another_scope_is_not_adopted(self, site: NewSite, source: SqliteSource, store: Store) -> None:
        """A backup of a part is never the latest of the whole."""
        stored_backup(store, night(0), location="/elsewhere.db", scope="schema")
        one = site("alpha")
        (foreign,) = one.own.others(night(9))
        with pytest.raises(RefusedError, match="another kind or scope"):
            self.adopted(foreign.series, one, at=9)

    def test_the_latest_of_the_first_version_is_of_the_own_scope(
        self, site: NewSite, source: SqliteSource, store: Store
    ) -> None:
        """Backups of before belong to the series whatever their scope is; the latest of the whole is a whole one."""
        place = source.info.location
        whole = stored_backup(store, night(0), location=place)
        stored_backup(store, night(1), location=place, scope="schema")
        one = site("alpha")
        assert len(one.names()) == 2
        assert find_backup(store, "latest", whose=one.whose).name == whole.name
        of = of_source(list_backups(store, None), store, one.whose, night(2))
        assert [row.name for row in of.rows] == [whole.name]
        assert of.others == []

    def test_a_series_that_is_taken_away_again(self, site: NewSite) -> None:
        """Both are told what to do, and it can be undone with the configuration of now."""
        one = site("alpha")
        one.take(night(0))
        named = Site(one.source, one.store, one.scratch, "alpha", declared="shop")
        named.take(night(1))
        series = str(one.own.own.current)
        (alarm,) = one.own.alarms(night(2))
        assert "--undo" in alarm.message
        self.adopted(series, one, at=3, undo=True)
        assert one.own.alarms(night(4)) == []
        assert (len(one.names()), len(named.names())) == (1, 1)

    def test_another_spelling_of_the_path(
        self, source: SqliteSource, store: Store, scratch: Path, tmp_path: Path
    ) -> None:
        """A path that was written as a link, and then as what it leads to, is one series, also before the next backup."""
        link = tmp_path / "link.db"
        link.symlink_to(source.options.path)
        by_link = SqliteSource("prices", replace(source.options, path=link))
        Site(by_link, store, scratch, "alpha").take(night(0))
        assert len(Site(source, store, scratch, "alpha").names()) == 1

    def test_a_record_of_the_last_day_that_there_is(self, site: NewSite, store: Store) -> None:
        """A time that leads out of the calendar ends nothing with a traceback."""
        one, two = site("one"), site("two")
        one.take(night(0))
        two.take(night(1))
        record = AdoptionRecord(
            adopted=str(one.own.own.current), adopted_place="", by=two.whose.place, source="prices", order=1,
            newest=2**62, undone=False, asked=True, recorded_at=datetime(9999, 12, 31, tzinfo=UTC), host="x", job_id="0" * 36,
        )  # fmt: skip
        put_record(store, record)
        assert two.prune(night(2)).deleted == ()


def test_a_deep_no_is_not_taken_back_by_a_shallow_yes(store: Store) -> None:
    """After a drill that failed, a look at the stored bytes makes nothing good; one as deep does."""
    backup = looked_at(
        stored_backup(store, night(0)), Verdict.FAILED, action="drill", after=timedelta(hours=1)
    )
    assert backup.good is False
    backup = looked_at(backup, level="quick", after=timedelta(hours=2))
    assert backup.good is False
    backup = looked_at(backup, level="full", after=timedelta(hours=3))
    assert backup.good is True
    backup = looked_at(backup, Verdict.FAILED, level="quick", after=timedelta(hours=4))
    assert backup.good is False
    assert looked_at(backup, level="quick", after=timedelta(hours=5)).good is True
