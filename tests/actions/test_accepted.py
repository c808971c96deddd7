"""A restore puts up with what it was told to, and with nothing else."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make as make_backup
from ops.config.reading import store_at
from ops.errors import BackupError, ConfigError, RefusedError
from ops.formats.names import checksum_key
from ops.model.complaints import ACCEPTABLE
from ops.model.findings import Severity, Verdict
from ops.repository.backup import Backup
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.sources.sqlite.target import SqliteTarget
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute
from tests.keys import Keys
from tests.sick import (
    INDEX,
    ORPHANS,
    SICK,
    SICK_ONES,
    Case,
    Make,
    damage,
    unrecorded,
)


class TestAccepted:
    """What a restore is told to put up with."""

    @SICK_ONES
    def test_what_was_captured_can_be_restored(self, make: Make, sick: str, tmp_path: Path) -> None:
        """Exactly those bytes are restored, whatever SQLite complains of, and it is told in the first place."""
        script, code, _ = SICK[sick]
        case = make(script)
        backup = unrecorded(case, case.create())
        if code != "sqlite.foreign_key_mismatch":
            with pytest.raises(BackupError) as caught:
                case.restore(backup, tmp_path / "new.db")
            assert f"--accept {code}" in caught.value.hint
        restored = case.restore(backup, tmp_path / "new.db", code)
        assert (tmp_path / "new.db").read_bytes() == case.store.path_of(backup.name).read_bytes()
        if code != "sqlite.foreign_key_mismatch":
            assert restored.accepted == (code,)
            assert restored.findings[0].code == "restore.accepted"
        assert {item.severity for item in restored.findings} == {Severity.OK, Severity.WARNING}

    def test_over_the_live_data_and_back(self, make: Make) -> None:
        """What is accepted is put in the place of the live data, and what was there is kept as ever."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        execute(case.path, "DELETE FROM c")
        restored = case.restore(backup, None, "sqlite.foreign_key", yes=True)
        assert ask(case.path, "SELECT count(*) FROM c") == 2
        assert restored.safety is not None
        case.restore(find_backup(case.store, restored.safety), None, yes=True)
        assert ask(case.path, "SELECT count(*) FROM c") == 0

    def test_one_code_accepts_no_other(self, make: Make, tmp_path: Path) -> None:
        """Only what was named is put up with."""
        case = make(ORPHANS + INDEX)
        backup = unrecorded(case, case.create())
        with pytest.raises(BackupError):
            case.restore(backup, tmp_path / "new.db", "sqlite.foreign_key")
        restored = case.restore(backup, tmp_path / "new.db", "sqlite.foreign_key", "sqlite.damaged")
        assert restored.accepted == ("sqlite.damaged", "sqlite.foreign_key")

    def test_a_rehearsal_says_how_it_is_done(self, make: Make) -> None:
        """The rehearsal's command has what must be accepted; its evidence is what was seen."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        assert case.restore(backup, None).next_command is None
        restored = case.restore(backup, None, "sqlite.foreign_key", "sqlite.damaged")
        assert restored.next_command is not None
        assert f"{backup.name} --accept sqlite.foreign_key --yes" in restored.next_command
        assert restored.accepted == ("sqlite.foreign_key",)
        assert case.again(backup).good is False

    @pytest.mark.parametrize(
        "code",
        ["", "sqlite", "backup.manifest_invalid", "cipher.wrong_key", "eventlog.rewritten", "source.corrupt"],
    )
    def test_a_closed_list(self, make: Make, code: str, tmp_path: Path) -> None:
        """Another code is refused with the list."""
        case = make(ORPHANS)
        with pytest.raises(ConfigError) as caught:
            case.restore(case.create(), tmp_path / "new.db", code)
        assert caught.value.code == "usage.bad_value"
        assert all(known in caught.value.hint for known in ACCEPTABLE)

    @pytest.mark.parametrize("code", sorted(ACCEPTABLE))
    def test_wrong_bytes_are_not_accepted(
        self, source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path, code: str
    ) -> None:
        """None of what may be accepted lets wrong bytes through."""
        case = Case(source, store, scratch)
        backup = case.create()
        damage(case, backup)
        with pytest.raises(BackupError):
            case.restore(backup, tmp_path / "new.db", code)


class TestRemains:
    """What is left of a damaged only copy."""

    REMAINS = "backup.checksum_mismatch"

    @pytest.fixture
    def case(self, source: SqliteSource, store: LocalStore, scratch: Path) -> Case:
        """The healthy database."""
        return Case(source, store, scratch)

    def test_into_a_new_place(self, case: Case, tmp_path: Path) -> None:
        """It is taken out as it is, and told as damaged."""
        backup = case.create()
        left = damage(case, backup)
        restored = case.restore(backup, tmp_path / "new.db", self.REMAINS)
        assert (tmp_path / "new.db").read_bytes() == left
        assert self.REMAINS in restored.accepted
        assert "DAMAGED" in restored.findings[0].message
        assert {item.severity for item in restored.findings} == {Severity.OK, Severity.WARNING}

    def test_with_a_page_of_nothing(self, case: Case, tmp_path: Path) -> None:
        """What SQLite then says of it does not keep it in."""
        backup = case.create()
        path = case.store.path_of(backup.name)
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'notes'").fetchone()
        content = bytearray(path.read_bytes())
        content[(root - 1) * 4096 : root * 4096] = bytes(4096)
        path.write_bytes(content)
        restored = case.restore(backup, tmp_path / "new.db", self.REMAINS)
        assert (tmp_path / "new.db").read_bytes() == content
        assert ask(tmp_path / "new.db", "SELECT count(*) FROM prices") == 2
        assert {"sqlite.damaged", self.REMAINS} <= set(restored.accepted)

    @pytest.mark.parametrize("yes", [True, False])
    def test_never_over_anything(self, case: Case, tmp_path: Path, yes: bool) -> None:
        """A place where something is, the live data, and its place when it is gone: all are refused."""
        backup = case.create()
        damage(case, backup)
        (tmp_path / "there.db").write_bytes(b"mine")
        for place in (tmp_path / "there.db", case.path):
            before = place.read_bytes()
            with pytest.raises(RefusedError):
                case.restore(backup, place, self.REMAINS, yes=yes)
            assert place.read_bytes() == before
        case.path.unlink()
        with pytest.raises(RefusedError):
            case.restore(backup, case.path, self.REMAINS, yes=yes)
        with pytest.raises(ConfigError) as caught:
            case.restore(backup, None, self.REMAINS, yes=yes)
        assert caught.value.code == "usage.bad_value"
        assert not case.path.exists()

    def test_not_where_a_file_comes_meanwhile(
        self, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that appears in the new place while it is built is not replaced."""
        backup = case.create()
        damage(case, backup)
        really = SqliteTarget.build

        def late(self: SqliteTarget, *rest: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
            (tmp_path / "new.db").write_bytes(b"mine")
            return really(self, *rest, **more)

        monkeypatch.setattr(SqliteTarget, "build", late)
        with pytest.raises(RefusedError):
            case.restore(backup, tmp_path / "new.db", self.REMAINS, yes=True)
        assert (tmp_path / "new.db").read_bytes() == b"mine"

    @pytest.mark.parametrize("what", ["cut", "gone", "no database"])
    def test_what_nobody_can_take_out(self, case: Case, tmp_path: Path, what: str) -> None:
        """A payload that is gone or cut short, and one that SQLite does not know, are refused."""
        backup = case.create()
        path = case.store.path_of(backup.name)
        size = path.stat().st_size
        if what == "gone":
            path.unlink()
        elif what == "cut":
            os.truncate(path, size // 2)
        else:
            path.write_bytes(b"x" * size)
        with pytest.raises(BackupError):
            case.restore(backup, tmp_path / "new.db", self.REMAINS)
        assert not (tmp_path / "new.db").exists()

    def test_a_checksum_file_that_lies(self, case: Case, tmp_path: Path) -> None:
        """Where only the checksum file is wrong, the bytes come out as the manifest has them, with a warning."""
        backup = case.create()
        case.store.path_of(checksum_key(backup.name)).write_text(f"{'0' * 64}  {backup.name}\n")
        restored = case.restore(backup, tmp_path / "new.db")
        assert [item.code for item in restored.findings if item.severity is Severity.WARNING] == [
            "backup.checksum_file_mismatch"
        ]
        assert restored.accepted == ()
        assert (tmp_path / "new.db").read_bytes() == case.store.path_of(backup.name).read_bytes()

    def test_a_whole_one_needs_no_word(self, case: Case, tmp_path: Path) -> None:
        """Where nothing is damaged nothing is accepted."""
        restored = case.restore(case.create(), tmp_path / "new.db", self.REMAINS)
        assert restored.accepted == ()


class TestSealed:
    """A sealed backup: what was recorded goes along, and nothing is left of a damaged one."""

    @pytest.fixture
    def sealed(self, make: Make, keys: Keys) -> tuple[Case, Backup]:
        """A source with broken references, and its sealed backup, which can be opened here."""
        case = make(ORPHANS)
        home = Repository(
            store=case.store, encryption=keys.sealing, scratch=case.scratch, plain_store=store_at
        )
        taken = make_backup(case.source, home, BackupRequest(), None, Job()).taken
        return case, replace(taken.backup, openers=(keys.opening,))

    def test_complaints_are_kept(self, sealed: tuple[Case, Backup], tmp_path: Path) -> None:
        """What the source had is inherited by the sealed backup, and it is restored."""
        case, backup = sealed
        assert case.drill(backup).verdict is Verdict.PASSED
        case.restore(backup, tmp_path / "new.db")
        assert ask(tmp_path / "new.db", "SELECT count(*) FROM c") == 2

    def test_nothing_is_left_of_a_damaged_one(self, sealed: tuple[Case, Backup], tmp_path: Path) -> None:
        """Where sealed bytes are wrong nothing can be taken out, and nobody is told that it could."""
        case, backup = sealed
        damage(case, backup)
        with pytest.raises(BackupError) as caught:
            case.restore(backup, tmp_path / "new.db", "backup.checksum_mismatch")
        assert "--accept" not in caught.value.hint
        assert not (tmp_path / "new.db").exists()
