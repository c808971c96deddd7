"""What the operator says to know of is a warning, for one place and to its end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.errors import BackupError
from ops.model.complaints import Known
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import execute, run_drillbook
from tests.sick import (
    INDEX,
    ORPHANS,
    Case,
    Make,
    damage,
    of,
    unrecorded,
)

pytestmark = pytest.mark.long

KNOWN = Known(code="sqlite.foreign_key", where="c", reason="rows of 2009")
TODAY = datetime.now(UTC).date()


class TestKnown:
    """What the operator says to know of."""

    def test_damage_is_proven_only_with_it(self, make: Make) -> None:
        """The source's damage makes no proof, until it is known; the reason and the end are told."""
        case = make(INDEX)
        backup = case.create()
        assert case.drill(backup).verdict is Verdict.PASSED
        assert not case.again(backup).proven
        known = Known(code="sqlite.damaged", where="i", reason="bug 12", until=TODAY + timedelta(days=1))
        evidence = case.drill(case.again(backup), known)
        assert f"known: bug 12, until {known.until}" in of(evidence.findings, "sqlite.damaged").message
        assert case.again(backup).proven

    def test_it_does_not_stand_for_a_look_at_the_source(self, make: Make) -> None:
        """Damage that nobody saw in the source stays FAILED, whatever is known."""
        case = make(INDEX)
        backup = unrecorded(case, case.create())
        known = Known(code="sqlite.damaged", where="i", reason="bug 12")
        assert case.drill(backup, known).verdict is Verdict.FAILED

    @pytest.mark.parametrize("level", [Level.FULL, None])
    def test_a_critical_finding_becomes_a_warning(
        self, make: Make, level: Level | None, tmp_path: Path
    ) -> None:
        """Broken references that are known pass verify, drill and restore, with the reason."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        evidence = case.drill(backup, KNOWN) if level is None else case.verify(backup, level, KNOWN)
        found = of(evidence.findings, "sqlite.foreign_key")
        assert (evidence.verdict, found.severity, found.known) == (Verdict.PASSED, Severity.WARNING, True)
        assert found.message.endswith("known: rows of 2009")
        assert not found.inherited
        assert case.again(backup).good is True
        case.restore(backup, tmp_path / "new.db", known=(KNOWN,))
        assert (tmp_path / "new.db").exists()

    @pytest.mark.parametrize(
        "other",
        [
            replace(KNOWN, where="p"),
            replace(KNOWN, where="C"),
            replace(KNOWN, where=""),
            replace(KNOWN, code="sqlite.constraint"),
            replace(KNOWN, until=TODAY - timedelta(days=1)),
            replace(KNOWN, until=date(1970, 1, 1)),
        ],
    )
    def test_it_holds_for_one_place_and_to_its_end(self, make: Make, other: Known, tmp_path: Path) -> None:
        """Another place, another code, or an end that is past count for nothing."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        assert case.drill(backup, other).verdict is Verdict.FAILED
        with pytest.raises(BackupError):
            case.restore(backup, tmp_path / "new.db", known=(other,))

    def test_it_holds_on_its_last_day(self, make: Make) -> None:
        """The day of `until` is the last."""
        case = make(ORPHANS)
        backup = unrecorded(case, case.create())
        assert case.drill(backup, replace(KNOWN, until=TODAY + timedelta(days=1))).verdict is Verdict.PASSED
        assert not replace(KNOWN, until=TODAY).ended(TODAY)

    @pytest.mark.parametrize("code", ["backup.checksum_mismatch", "source.corrupt", "assert.failed"])
    def test_bytes_are_never_known(
        self, source: SqliteSource, store: LocalStore, scratch: Path, code: str
    ) -> None:
        """Wrong bytes stay FAILED, whatever anybody says."""
        case = Case(source, store, scratch)
        backup = case.create()
        damage(case, backup)
        assert case.drill(backup, Known(code=code, where=backup.name, reason="x")).verdict is Verdict.FAILED

    def test_a_difference_may_be_known(self, source: SqliteSource, store: LocalStore, scratch: Path) -> None:
        """Rows of a table that differ from the manifest, after a load that ended clean, may be known."""
        case = Case(source, store, scratch)
        backup = case.create()
        tables = {**backup.manifest.measures.tables}
        tables["notes"] = replace(tables["notes"], rows=199)
        measures = replace(backup.manifest.measures, tables=tables)
        other = case.rewrite(backup, measures=measures)
        known = Known(code="measure.rows_differ", where="notes", reason="x")
        assert case.drill(other, known).verdict is Verdict.PASSED
        assert case.drill(other, replace(known, where="prices")).verdict is Verdict.FAILED
        # A digest that is the head of a chain is more than rows.
        chained = replace(backup.manifest.measures, digest_algorithm="sha256-chain")
        assert case.drill(case.rewrite(backup, measures=chained)).verdict is Verdict.PASSED
        facts = replace(chained, facts={**measures.facts, "user_version": 99})
        known = Known(code="measure.fact_differs", where="user_version", reason="x")
        assert case.drill(case.rewrite(backup, measures=facts), known).verdict is Verdict.FAILED


class TestCommandLine:
    """Known and accepted, from the configuration to the exit code."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A source with a damaged index and broken references."""
        execute(tmp_path / "a.db", ORPHANS + INDEX)
        return tmp_path

    def run(self, folder: Path, *arguments: str, known: str = "") -> tuple[int, str, dict[str, Any]]:
        """Exit code, text, and JSON of the same task run again where it changes nothing."""
        source = f'[source.a]\nkind = "sqlite"\npath = "a.db"\n{known}'
        (folder / "ops.toml").write_text(source)
        ended = run_drillbook(*arguments, cwd=folder)
        document = run_drillbook(*arguments, "--format", "json", cwd=folder)
        return ended.returncode, ended.stdout, json.loads(document.stdout)

    ENTRY = '[[source.a.known]]\ncode = "sqlite.damaged"\nwhere = "i"\nreason = "bug 12"\n'

    def test_known(self, folder: Path) -> None:
        """Without an entry the drill passes and proves nothing; with one it does, and ends with 1."""
        assert self.run(folder, "backup.create")[0] == 1
        code, text, _ = self.run(folder, "backup.drill")
        assert (code, "0 of 1 restored, checked and proven" in text) == (1, True)
        code, text, document = self.run(folder, "backup.drill", known=f"{self.ENTRY}until = 2099-01-01\n")
        assert (code, "1 of 1 restored, checked and proven" in text) == (1, True)
        assert "known: bug 12, until 2099-01-01" in text
        (known,) = (item for item in document["results"][0]["findings"] if item.get("known"))
        assert (known["code"], known["where"], known["severity"]) == ("sqlite.damaged", "i", "warning")
        assert self.run(folder, "backup.verify", "--level", "full", known=self.ENTRY)[0] == 1

    def test_doctor_says_when_one_has_ended(self, folder: Path) -> None:
        """An entry that has ended counts for nothing, and `doctor` says so."""
        self.run(folder, "backup.create")
        known = f'{self.ENTRY}until = "2020-01-01"\n'
        assert "known.ended" in self.run(folder, "doctor", known=known)[1]
        assert "0 of 1" in self.run(folder, "backup.drill", known=known)[1]
        assert "known.ended" not in self.run(folder, "doctor", known=self.ENTRY)[1]

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ('code = "sqlite.foreign_keys"\nwhere = "c"\nreason = "x"', "did you mean 'sqlite.foreign_key'"),
            ('code = "backup.checksum_mismatch"\nwhere = "c"\nreason = "x"', "cannot be known"),
            ('code = "sqlite.foreign_key"\nreason = "x"', "'where' is needed"),
            ('code = "sqlite.foreign_key"\nwhere = "c"', "'reason' is needed"),
            ('code = "sqlite.foreign_key"\nwhere = " "\nreason = "x"', "where: it is empty"),
            ('code = "sqlite.foreign_key"\nwhere = "c"\nreason = ""', "reason: it is empty"),
            ('code = "sqlite.foreign_key"\nwhere = "c"\nreason = "x"\nuntil = "soon"', "until"),
            ('code = "sqlite.foreign_key"\nwhere = "c"\nreason = "x"\nuntil = 2027-01-01T10:00:00', "until"),
            ('code = "sqlite.foreign_key"\nwhere = "c"\nreason = "x"\nuntill = 2027-01-01', "'until'"),
        ],
    )
    def test_what_is_no_entry(self, folder: Path, entry: str, said: str) -> None:
        """A table that makes no sense stops every task, and says what was meant."""
        code, text, _ = self.run(folder, "backup.list", known=f"[[source.a.known]]\n{entry}\n")
        assert (code, said in text, "[source.a.known #1]" in text) == (2, True, True)

    def test_accept(self, folder: Path) -> None:
        """A wrong code ends with 2 and the list; a right one restores, says so in the first line, and ends with 1."""
        self.run(folder, "backup.create")
        for path in (folder / "backups").glob("*.manifest.json"):
            name = path.name.removesuffix(".manifest.json")
        code, _, document = self.run(folder, "backup.restore", "--from", name, "--accept", "nonsense")
        assert (code, document["errors"][0]["code"]) == (2, "usage.bad_value")
        assert "sqlite.foreign_key" in document["errors"][0]["hint"]
        content = bytearray((folder / "backups" / name).read_bytes())
        content[-1] ^= 1
        (folder / "backups" / name).write_bytes(content)
        ended = run_drillbook(
            "backup.restore",
            "--from",
            name,
            "--to",
            "new.db",
            "--accept",
            "backup.checksum_mismatch",
            cwd=folder,
        )
        assert ended.returncode == 1
        assert ended.stdout.startswith("Restore: NOT AS IT SHOULD BE, accepted: backup.checksum_mismatch")
        assert (folder / "new.db").read_bytes() == content
