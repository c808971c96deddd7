"""A backup of several sources: taken, looked at, drilled, restored and pruned as one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops import registry
from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.prune import PruneRequest, prune
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.config.reading import read_config, store_at
from ops.errors import ConfigError, LockHeldError, RefusedError
from ops.formats import evidence as evidence_files
from ops.formats.encrypted_manifest import is_closed
from ops.formats.names import manifest_key
from ops.model.evidence import Evidence, Level
from ops.model.findings import Verdict
from ops.model.requests import Assertion
from ops.model.series import Machine, Whose
from ops.ports.source import Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened
from ops.repository.find import find_backup
from ops.repository.locks import held_lock
from ops.repository.own import own_backups
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite import swap
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.tasks.program import main
from tests.conftest import ask, execute
from tests.contracts.pair import PairOptions, PairSource
from tests.contracts.sources import Subject, pair_subject
from tests.keys import Keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the live data is."""
    place = tmp_path / "live"
    place.mkdir()
    return place


@pytest.fixture
def pair(folder: Path) -> Subject:
    """A database and a file, together."""
    return pair_subject(folder)


def source_of(pair: Subject) -> PairSource:
    """The composite source."""
    assert isinstance(pair.source, PairSource)
    return pair.source


def taken(pair: Subject, store: LocalStore) -> Backup:
    """A backup in the store."""
    return take_backup(pair.source, Repository(store=store), BackupRequest(), Job()).backup


def drilled(backup: Backup, source: Source, scratch: Path, *assertions: Assertion) -> Evidence:
    """A drill of the backup."""
    return run_drill(backup, source, DrillRequest(scratch=scratch, assertions=assertions), Job())


def contents(pair: Subject) -> dict[str, object]:
    """What is in each member now."""
    found = pair.content()
    assert isinstance(found, tuple)
    return dict(zip(("numbers", "notes"), found, strict=True))


def verdicts(evidence: Evidence) -> dict[str, Verdict]:
    """The verdict on each member."""
    return {member.name: member.verdict for member in evidence.members}


def test_each_member_is_recorded(pair: Subject, store: LocalStore) -> None:
    """One manifest with a part for each, which is a manifest of its own."""
    manifest = find_backup(store, taken(pair, store).name).manifest
    assert [(member.name, member.source.kind) for member in manifest.members] == [
        ("numbers", "sqlite"),
        ("notes", "plain_file"),
    ]
    assert manifest.rows == 4
    alone = manifest.member("numbers")
    assert (alone.payload, [entry.path for entry in alone.files]) == ("backup.db", ["backup.db"])
    assert alone.measures.tables["t"].rows == 2


def test_a_drill_judges_each_member(pair: Subject, store: LocalStore, scratch: Path) -> None:
    """The evidence says of each member whether it is right, and is read back as it was kept."""
    backup = taken(pair, store)
    evidence = drilled(backup, pair.source, scratch, Assertion(row_count="numbers/t", min=2, max=2))
    assert evidence.proves, evidence.findings
    assert verdicts(evidence) == {"numbers": Verdict.PASSED, "notes": Verdict.PASSED}
    again = evidence_files.from_json(evidence_files.to_json(evidence), "evidence")
    assert again.members == evidence.members
    wrong = drilled(backup, pair.source, scratch, Assertion(row_count="numbers/t", min=3))
    assert wrong.verdict is Verdict.FAILED


def test_an_assertion_is_compared_with_what_its_member_recorded(
    pair: Subject, store: LocalStore, scratch: Path
) -> None:
    """The count of its table, and the moment of its own snapshot."""
    numbers = source_of(pair).members["numbers"]
    assert isinstance(numbers, SqliteSource)
    execute(numbers.options.path, "CREATE TABLE seen (at); INSERT INTO seen VALUES ('2026-03-01T12:00:00Z')")
    backup = taken(pair, store)
    first, second = backup.manifest.members
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    first, second = replace(first, data_as_of=noon + timedelta(hours=1)), replace(second, data_as_of=noon)
    manifest = replace(backup.manifest, members=(first, second), data_as_of=noon)
    backup = replace(backup, manifest=manifest)
    for asked, verdict in [
        (Assertion(row_count="numbers/t", tolerance=0.1), Verdict.PASSED),
        (Assertion(fresh="numbers/seen.at", max_age=timedelta(hours=1)), Verdict.PASSED),
        (Assertion(fresh="numbers/seen.at", max_age=timedelta(minutes=59)), Verdict.FAILED),
    ]:
        assert drilled(backup, pair.source, scratch, asked).verdict is verdict, asked


def test_rows_that_a_member_lost(pair: Subject, store: LocalStore, scratch: Path) -> None:
    """They are told as those of any source, and the last backup that has them is kept."""
    numbers = source_of(pair).members["numbers"]
    assert isinstance(numbers, SqliteSource)
    path = numbers.options.path
    execute(
        path,
        "INSERT INTO t SELECT value FROM json_each('[' || rtrim(replace(hex(zeroblob(999)), '00', '1,'), ',') || ']')",
    )
    full = taken(pair, store)
    assert full.manifest.tables["numbers/t"].rows > 1000
    execute(path, "DELETE FROM t")
    said = take_backup(pair.source, Repository(store=store), BackupRequest(), Job()).findings
    assert [item.where for item in said if item.code == "backup.rows_dropped"] == ["numbers/t"]
    for _ in range(2):
        backup = taken(pair, store)
        verify_backup(backup, pair.source, VerifyRequest(Level.QUICK, scratch), Job())
    plan = prune(
        Repository(store=store),
        PruneRequest(whose=Whose.of(pair.source, Machine()), policy=Policy(keep_last=1)),
        Job(),
    )
    assert store.path_of(full.name).exists(), plan


def test_one_member_that_is_not_as_recorded(pair: Subject, store: LocalStore, scratch: Path) -> None:
    """The whole fails, and so does that member; of the other it is said that it is right."""
    backup = taken(pair, store)
    numbers, notes = backup.manifest.members
    tables = {"t": replace(numbers.measures.tables["t"], rows=9)}
    lying = replace(numbers, measures=replace(numbers.measures, tables=tables))
    backup = replace(backup, manifest=replace(backup.manifest, members=(lying, notes)))
    look = verify_backup(backup, pair.source, VerifyRequest(Level.FULL, scratch, keep=False), Job())
    assert look.verdict is Verdict.FAILED
    assert verdicts(look) == {"numbers": Verdict.FAILED, "notes": Verdict.PASSED}


def test_a_damaged_byte_of_one_member(pair: Subject, store: LocalStore, scratch: Path) -> None:
    """The digests of the whole are compared before anything is loaded."""
    backup = taken(pair, store)
    path = store.path_of(backup.manifest.files[1].path)
    path.chmod(0o600)
    path.write_bytes(b"One\ntwo\n")
    assert drilled(backup, pair.source, scratch).verdict is Verdict.FAILED


@pytest.mark.parametrize("name", ["numbers", "notes"])
def test_a_member_is_restored_alone(pair: Subject, store: LocalStore, scratch: Path, name: str) -> None:
    """The other stays as it is now; what was there is kept as a backup of that member's own source."""
    backup = taken(pair, store)
    before = contents(pair)
    pair.change()
    changed = contents(pair)
    member = source_of(pair).members[name]
    request = RestoreRequest(
        scratch=scratch, safety=Repository(store=store), sources=[member, pair.source], member=name
    )
    rehearsed = restore_backup(backup, member, request, Job())
    assert f"{backup.name}/{name}" in str(rehearsed.next_command)
    done = restore_backup(backup, member, replace(request, yes=True), Job())
    assert contents(pair) == {**changed, name: before[name]}
    assert done.safety is not None
    assert find_backup(store, done.safety).manifest.source == member.info


def test_a_member_belongs_to_no_series_of_its_own(pair: Subject, store: LocalStore) -> None:
    """The backups of a member's own source are its own: the composite counts for none of them."""
    taken(pair, store)
    numbers = source_of(pair).members["numbers"]
    assert own_backups(Whose.of(numbers, Machine()), store).mine == []
    assert len(own_backups(Whose.of(pair.source, Machine()), store).mine) == 1


def test_members_are_locked(pair: Subject, store: LocalStore) -> None:
    """While another run works on a member, the whole is not taken."""
    to, job = Repository(store=store), Job()
    numbers = source_of(pair).members["numbers"]
    with held_lock(Whose.of(numbers, Machine()), to, 0, job), pytest.raises(LockHeldError):
        taken(pair, store)
    taken(pair, store)


def test_a_swap_that_fails_in_the_middle_says_so(
    pair: Subject, store: LocalStore, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members are replaced one after the other: which are new and which old is told, and how to go back."""
    members = dict(reversed([*source_of(pair).members.items()]))
    source = PairSource("both", PairOptions(members=tuple(members)), members)
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    pair.change()

    def refuse(*_: object, **__: object) -> None:
        raise RefusedError("it is open", code="refused.target_in_use")

    monkeypatch.setattr(swap, "swap_file", refuse)
    request = RestoreRequest(scratch=scratch, safety=Repository(store=store), sources=[source], yes=True)
    with pytest.raises(
        RefusedError, match="restored data already: notes; these are as they were: numbers"
    ) as caught:
        restore_backup(backup, source, request, Job())
    assert ".pair" in caught.value.hint


def test_encrypted_nothing_of_a_member_stands_in_clear(
    pair: Subject, tmp_path: Path, scratch: Path, keys: Keys
) -> None:
    """Names, places and counts of members are in the encrypted part; with the key it is drilled and restored."""
    store = store_at(tmp_path / "sealed")
    to = Repository(store=store, encryption=keys.sealing, scratch=scratch, plain_store=store_at)
    backup = make(pair.source, to, BackupRequest(), None, Job()).taken.backup
    text = b"".join(path.read_bytes() for path in (tmp_path / "sealed").rglob("*.json"))
    assert is_closed(find_backup(store, backup.name).manifest)
    for word in (b"numbers", b"notes", b"plain_file", str(tmp_path / "live").encode()):
        assert word not in text.replace(b'"both"', b"")
    known = replace(find_backup(store, backup.name), openers=(keys.opening,))
    evidence = drilled(known, pair.source, scratch)
    assert evidence.proves, evidence.findings
    assert verdicts(evidence) == {"numbers": Verdict.PASSED, "notes": Verdict.PASSED}
    assert len(opened(known, scratch).manifest.members) == 2


class TestCommands:
    """The same by the commands, with a kind that only these tests have."""

    @pytest.fixture(autouse=True)
    def kinds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation that has it."""
        from tests.contracts.plain_file import PlainFileOptions, PlainFileSource

        known = {
            **registry.SOURCES._imports,
            "pair": lambda: (PairOptions, PairSource),
            "plain_file": lambda: (PlainFileOptions, PlainFileSource),
        }
        monkeypatch.setattr(registry.SOURCES, "_imports", known)

    @pytest.fixture
    def config(self, folder: Path, tmp_path: Path) -> Path:
        """Two sources, and one that is made of them."""
        pair_subject(folder)
        path = tmp_path / "ops.toml"
        path.write_text(
            f"""
            [store.local]
            kind = "local"
            path = "{tmp_path}/store"
            [source.both]
            kind = "pair"
            members = ["numbers", "notes"]
            [source.numbers]
            kind = "sqlite"
            path = "{folder}/data.db"
            [source.notes]
            kind = "plain_file"
            path = "{folder}/notes.txt"
            """
        )
        return path

    def run(
        self, config: Path, capfd: pytest.CaptureFixture[str], *words: str
    ) -> tuple[int, dict[str, object]]:
        """Exit code and answer of a command."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["drillbook", *words, "--config", str(config), "--format", "json"])
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), json.loads(capfd.readouterr().out)

    def test_from_create_to_prune(
        self, config: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Created, listed, verified, drilled, a member restored, and pruned."""
        code, answer = self.run(config, capfd, "backup.create", "--source", "both", "--verify")
        assert code == 0, answer
        (name,) = [path.name for path in (tmp_path / "store").glob("*.pair")]
        code, answer = self.run(config, capfd, "backup.drill", "--source", "both")
        assert code == 0, answer
        execute(folder / "data.db", "DELETE FROM t")
        code, answer = self.run(config, capfd, "backup.restore", "--from", f"{name}/numbers", "--yes")
        assert code == 0, answer
        assert ask(folder / "data.db", "SELECT count(*) FROM t") == 2
        for words in (
            ("--from", f"{name}/other"),
            ("--from", f"{name}/numbers", "--to", f"{tmp_path}/new.db"),
        ):
            code, answer = self.run(config, capfd, "backup.restore", *words)
            assert code == (0 if "--to" in words else 2), answer
        assert ask(tmp_path / "new.db", "SELECT count(*) FROM t") == 2
        code, answer = self.run(config, capfd, "backup.prune", "--source", "both", "--yes")
        assert code == 0, answer
        assert (tmp_path / "store" / manifest_key(name)).exists()

    def test_a_member_by_path(self, config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """A backup in a folder is a folder itself, and its member is meant all the same; what is not there is told whole."""
        assert self.run(config, capfd, "backup.create", "--source", "both")[0] == 0
        (path,) = (tmp_path / "store").glob("*.pair")
        to = ("--to", f"{tmp_path}/new.db")
        code, answer = self.run(config, capfd, "backup.restore", "--from", f"{path}/numbers", *to)
        assert code == 0, answer
        assert ask(tmp_path / "new.db", "SELECT count(*) FROM t") == 2
        for reference in (f"{tmp_path}/no folder/backup.db", "local:backup-1.pair/numbers"):
            code, answer = self.run(config, capfd, "backup.restore", "--from", reference)
            assert code == 2
            assert f"no backup {reference!r}, and none " in str(answer)

    @pytest.mark.parametrize(
        ("members", "said"),
        [
            ('["numbers", "note"]', "did you mean 'notes'"),
            ('["numbers", "numbers"]', "named twice"),
            ("[]", "members is empty"),
            ('["both"]', "sources that can be members"),
        ],
    )
    def test_members_that_cannot_be(self, config: Path, members: str, said: str) -> None:
        """A name that is none, twice the same, none at all, a composite."""
        config.write_text(config.read_text().replace('["numbers", "notes"]', members))
        with pytest.raises(ConfigError) as caught:
            read_config(str(config), {}, config.parent)
        assert said in f"{caught.value.message} {caught.value.hint}"
