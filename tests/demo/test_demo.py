"""The demo: same bytes everywhere, sound databases, a folder that is never taken from somebody else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tomllib
from contextlib import closing
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.codes import CODES
from ops.demo import catalogue, databases, texts, writer
from ops.demo.catalogue import DemoCatalogue, DemoDatabase
from ops.demo.databases import raw_checksum
from ops.demo.texts import fixtures_folder
from ops.errors import ConfigError, RefusedError, StoreError

pytestmark = [pytest.mark.alone, pytest.mark.long]

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = (
    "import sys, pathlib; from ops.demo.catalogue import build_demo;"
    " build_demo(pathlib.Path(sys.argv[1]), without=['petshop'])"
)
KNOWN_CHECKSUM = "af69f698640a5133199d968eb7e9b66864125345372aceeb341b1a3c39fad0e2"
"""printf 'PETR4|2025-01-02|None|None|None|None|None|None' | sha256sum"""
JOURNAL_FILES = {
    "dados/journal/event-log-snapshot.json",
    *(f"dados/journal/event-log/segment-00000{number}.json" for number in (1, 2, 3)),
}
ORPHANED_RETURNS = """
    SELECT count(*) FROM returns LEFT JOIN prices USING (ticker, date) WHERE prices.source IS NULL
"""
PRICES_WITHOUT_LOG = """
    SELECT count(*) FROM prices WHERE source = 'demo-writer' AND (ticker, fetched_at) NOT IN (
        SELECT ticker, finished_at FROM ingest_logs WHERE provider = 'demo-writer')
"""


def build_demo(out: Path) -> DemoCatalogue:
    """The demo without its PostgreSQL part, which has tests of its own."""
    return catalogue.build_demo(out, without=["petshop"])


def sqlite_of(demo: DemoCatalogue) -> list[DemoDatabase]:
    """The SQLite databases of a demo."""
    return [database for database in demo.databases if database.source != catalogue.JOURNAL]


@pytest.fixture
def demo(tmp_path: Path) -> DemoCatalogue:
    """A freshly built demo."""
    return build_demo(tmp_path / "demo")


@pytest.fixture
def prices_path(demo: DemoCatalogue) -> Path:
    """The demo's price database."""
    return demo.databases[0].path


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Puts the signal handlers back that a writer in this process replaces."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """All rows of one query, text as bytes where it is no UTF-8."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        return connection.execute(sql).fetchall()


def scalar(path: Path, sql: str) -> object:
    """The first value of the first row."""
    return query(path, sql)[0][0]


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder` with the digest of its content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def start_writer(path: Path, *options: str) -> subprocess.Popen[str]:
    """A writer process that has begun: its first line was read."""
    command = [sys.executable, "-m", "ops.demo.writer", str(path), *options]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ended"] is False
    return process


def end_writer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Ask a writer to end; its last line, after it left with exit code 0."""
    process.terminate()
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    last: dict[str, Any] = json.loads(output.splitlines()[-1])
    return last


def assert_writers_invariants(path: Path) -> None:
    """What holds in every consistent copy of a database that writers work on."""
    assert scalar(path, "SELECT sum(amount) FROM demo_accounts") == writer.ACCOUNTS * writer.OPENING_AMOUNT
    assert scalar(path, PRICES_WITHOUT_LOG) == 0
    assert scalar(path, "PRAGMA integrity_check") == "ok"


class TestBuild:
    def test_same_bytes_under_other_environments(self, tmp_path: Path) -> None:
        """Two processes with other time zone, locale, hash seed, umask and folder build equal files."""
        environments = [
            {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1", "PYTHONUTF8": "0"},
            {"TZ": "America/Sao_Paulo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
        ]
        folders = [tmp_path / "one", tmp_path / "another place" / "two"]
        for environment, folder, umask in zip(environments, folders, (0o000, 0o077), strict=True):
            subprocess.run(
                [sys.executable, "-c", BUILD, folder],
                env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY)},
                cwd=tmp_path,
                umask=umask,
                check=True,
            )
        assert tree(folders[0]) == tree(folders[1])
        expected = {texts.MARKER, "ops.toml", "dados/audit.db", "dados/data.db", *JOURNAL_FILES}
        assert set(tree(folders[0])) == expected
        assert private(folders[0])
        assert private(folders[1])

    def test_says_what_it_built(self, demo: DemoCatalogue) -> None:
        """Folder, configuration, sources and row counts are those on disk and in ops.toml."""
        config = tomllib.loads(demo.config_path.read_text(encoding="utf-8"))
        assert [database.source for database in demo.databases] == list(config["source"])
        for database in demo.databases:
            assert demo.folder / config["source"][database.source]["path"] == database.path
            assert database.name == database.path.name
        for database in sqlite_of(demo):
            for table, rows in database.rows.items():
                assert scalar(database.path, f'SELECT count(*) FROM "{table}"') == rows > 0
        assert demo.databases[0].rows["prices"] == 488
        assert demo.databases[0].rows["returns"] == 480

    def test_permissions_under_umask_000(self, tmp_path: Path) -> None:
        """Folders are 0700 and files 0600 whatever the umask, even where the folder was there before."""
        folder = tmp_path / "demo"
        folder.mkdir(mode=0o755)
        before = os.umask(0)
        try:
            build_demo(folder)
        finally:
            os.umask(before)
        assert private(folder)

    def test_rebuild_gives_the_same_and_keeps_the_rest(self, demo: DemoCatalogue) -> None:
        """A second build restores a demo that was changed or damaged, and leaves the backups alone."""
        first = tree(demo.folder)
        backup = demo.folder / "backups" / "prices" / "backup.db"
        backup.parent.mkdir(parents=True)
        backup.write_bytes(b"kept")
        with closing(sqlite3.connect(demo.databases[0].path)) as connection, connection:
            connection.execute("DELETE FROM prices")
        demo.databases[1].path.write_bytes(b"damaged" * 1000)
        journal = demo.databases[2].path
        (journal / "event-log/segment-000004.json").write_bytes(b"[]")
        (journal / "event-log-snapshot.json").unlink()
        demo.config_path.write_text("[source.other]\n", encoding="utf-8")
        build_demo(demo.folder)
        assert backup.read_bytes() == b"kept"
        backup.unlink()
        assert tree(demo.folder) == first

    def test_rebuild_never_plays_an_old_journal(self, demo: DemoCatalogue, prices_path: Path) -> None:
        """What a writer that was killed left in its -wal, or a build in its own, is gone afterwards."""
        first = tree(demo.folder)
        process = start_writer(prices_path, "--rate", "0")
        process.kill()
        process.communicate()
        assert prices_path.with_name("data.db-wal").stat().st_size > 0
        prices_path.with_name(".tmp-data.db").write_bytes(b"left by a build that was killed")
        prices_path.with_name(".tmp-data.db-wal").write_bytes(b"and its journal")
        build_demo(demo.folder)
        assert tree(demo.folder) == first


class TestRefusals:
    @pytest.mark.parametrize("content", ["file", "folder", "hidden"])
    def test_refuses_a_folder_with_something_else(self, tmp_path: Path, content: str) -> None:
        """A folder that holds anything and was not made by the demo is refused and left as it is."""
        out = tmp_path / "out"
        out.mkdir(mode=0o755)
        if content == "folder":
            (out / "dados").mkdir()
        else:
            (out / ("data.db" if content == "file" else ".hidden")).write_bytes(b"precious")
        with pytest.raises(RefusedError) as caught:
            build_demo(out)
        assert caught.value.code == "refused.demo_folder_in_use"
        assert caught.value.code in CODES
        assert len(list(out.iterdir())) == 1
        assert stat.S_IMODE(out.stat().st_mode) == 0o755

    def test_refuses_a_file(self, tmp_path: Path) -> None:
        """A file where the folder should be is refused and kept."""
        out = tmp_path / "out"
        out.write_bytes(b"precious")
        with pytest.raises(RefusedError):
            build_demo(out)
        assert out.read_bytes() == b"precious"

    def test_reports_a_place_that_can_not_be_written(self, tmp_path: Path) -> None:
        """A parent that is a file ends in a clear error."""
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError):
            build_demo(tmp_path / "file" / "demo")

    def test_refuses_while_a_program_has_the_database_open(
        self, demo: DemoCatalogue, prices_path: Path
    ) -> None:
        """A rebuild under a living connection would split it from its file, so it is refused."""
        with closing(sqlite3.connect(prices_path)) as connection:
            assert connection.execute("SELECT count(*) FROM prices").fetchone() == (488,)
            with pytest.raises(RefusedError) as caught:
                build_demo(demo.folder)
        assert caught.value.code == "refused.target_in_use"
        assert build_demo(demo.folder) == demo

    def test_missing_fixtures(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation without the text sources says so; one with them beside the module finds them."""
        assert fixtures_folder() == REPOSITORY / "fixtures" / "demo"
        package = tmp_path / "site" / "ops" / "demo"
        (package / "fixtures").mkdir(parents=True)
        monkeypatch.setattr(texts, "__file__", str(package / "texts.py"))
        with pytest.raises(ConfigError) as caught:
            build_demo(tmp_path / "out")
        assert caught.value.code == "demo.fixtures_missing"
        assert caught.value.code in CODES
        assert not (tmp_path / "out").exists()
        (package / "fixtures" / "ops.toml").touch()
        assert fixtures_folder() == package / "fixtures"


class TestPrices:
    def test_sound(self, demo: DemoCatalogue) -> None:
        """SQLite finds nothing wrong in either database, foreign keys included."""
        for database in sqlite_of(demo):
            assert query(database.path, "PRAGMA integrity_check") == [("ok",)]
            assert query(database.path, "PRAGMA foreign_key_check") == []

    def test_shape(self, prices_path: Path) -> None:
        """WAL mode, page size, user_version and columns are those of the application."""
        assert prices_path.read_bytes()[18:20] == b"\x02\x02"
        expected = {"user_version": 2, "application_id": 0, "page_size": 4096, "auto_vacuum": 0}
        for pragma, value in expected.items():
            assert scalar(prices_path, f"PRAGMA {pragma}") == value
        columns = query(prices_path, "SELECT name, type, \"notnull\", pk FROM pragma_table_info('prices')")
        assert columns[:3] == [("ticker", "TEXT", 1, 1), ("date", "DATE", 1, 2), ("open", "REAL", 0, 0)]
        assert query(prices_path, "SELECT * FROM metadata") == [("schema_version", "2")]
        index = "SELECT name FROM pragma_index_info('idx_ingest_logs_ticker_started_at')"
        assert query(prices_path, index) == [("ticker",), ("started_at",)]

    def test_raw_checksums(self, prices_path: Path) -> None:
        """Every price row carries the digest of its own values, with NULL written as None."""
        columns = ("ticker", "date", "open", "high", "low", "close", "volume", "source")
        rows = query(prices_path, f"SELECT {', '.join(columns)}, raw_checksum FROM prices")
        assert any(None in row for row in rows)
        for *values, checksum in rows:
            text = "|".join(map(str, values))
            assert checksum == hashlib.sha256(text.encode()).hexdigest()

    def test_raw_checksum_of_known_row(self) -> None:
        """The rule gives the digest that was computed by another program for one row."""
        row = dict.fromkeys(("ticker", "date", "open", "high", "low", "close", "volume", "source"))
        row |= {"ticker": "PETR4", "date": "2025-01-02"}
        assert raw_checksum(row) == KNOWN_CHECKSUM

    def test_plausible(self, prices_path: Path) -> None:
        """High and low hold open and close, volumes are positive, days are working days, moves are small."""
        rows = query(prices_path, "SELECT date, open, high, low, close, volume FROM prices")
        for day, opening, high, low, close, volume in rows:
            inside = [close] if opening is None else [opening, close]
            assert 0 < low <= min(inside) <= max(inside) <= high
            assert volume is None or volume > 0
            assert date.fromisoformat(day).weekday() < 5
        assert scalar(prices_path, "SELECT max(abs(return_value)) < 0.1 FROM returns") == 1
        for column in ("open", "volume"):
            assert scalar(prices_path, f"SELECT count(*) FROM prices WHERE {column} IS NULL") in {3, 4}

    def test_returns(self, prices_path: Path) -> None:
        """Each return is close / former close - 1 to the last bit, and every return has its price."""
        expected = """
            SELECT count(*) FROM returns JOIN (
                SELECT ticker, date, close / lag(close) OVER (PARTITION BY ticker ORDER BY date) - 1 AS value
                FROM prices WHERE close IS NOT NULL) USING (ticker, date)
            WHERE return_value = value AND return_type = 'daily'
        """
        assert scalar(prices_path, expected) == scalar(prices_path, "SELECT count(*) FROM returns") == 480
        assert scalar(prices_path, ORPHANED_RETURNS) == 0

    def test_ingest_logs_fit_the_prices(self, prices_path: Path) -> None:
        """Each price was fetched when a successful attempt of its ticker finished; some attempts failed."""
        unlogged = """
            SELECT count(*) FROM prices WHERE NOT EXISTS (
                SELECT 1 FROM ingest_logs AS log WHERE log.ticker = prices.ticker
                AND log.finished_at = prices.fetched_at AND log.status = 'success')
        """
        assert scalar(prices_path, unlogged) == 0
        assert scalar(prices_path, "SELECT count(*) > 10 FROM ingest_logs WHERE status = 'error'") == 1
        assert scalar(prices_path, "SELECT count(*) > 0 FROM ingest_logs WHERE retry_after IS NOT NULL") == 1

    def test_snapshot_digest(self, prices_path: Path) -> None:
        """The digest of the PETR4 snapshot is that of the canonical CSV of the rows in the database."""
        columns = "close,date,fetched_at,high,low,open,raw_checksum,source,ticker,volume"
        rows = query(prices_path, f"SELECT {columns} FROM prices WHERE ticker = 'PETR4' ORDER BY date")
        lines = [columns, *(",".join(map(csv_text, row)) for row in rows)]
        content = "".join(f"{line}\n" for line in lines).encode()
        stored = query(prices_path, "SELECT checksum, size_bytes, rows FROM snapshots WHERE rows IS NOT NULL")
        assert stored == [(hashlib.sha256(content).hexdigest(), len(content), len(rows))]

    def test_generated_sources_are_current(self, tmp_path: Path) -> None:
        """The generator gives exactly the CSV files that are checked in."""
        fixtures = fixtures_folder()
        subprocess.run([sys.executable, fixtures / "generate.py", tmp_path], check=True)
        assert len(tree(tmp_path)) == 3
        for made in tmp_path.iterdir():
            assert made.read_bytes() == (fixtures / "b3" / made.name).read_bytes()

    def test_assertion_queries_hold(self, demo: DemoCatalogue) -> None:
        """Every query that the demo's ops.toml asserts has its expected result."""
        config = tomllib.loads(demo.config_path.read_text(encoding="utf-8"))
        asked = 0
        for database in sqlite_of(demo):
            for assertion in config["source"][database.source]["assert"]:
                if "query" in assertion:
                    assert scalar(database.path, assertion["query"]) == assertion["expect"]
                    asked += 1
        assert asked == 3


class TestAudit:
    def test_storage_classes(self, demo: DemoCatalogue) -> None:
        """Every storage class and every awkward value is there as it was written."""
        path = demo.databases[1].path
        values = dict(query(path, "SELECT what, value FROM storage_classes"))
        assert values["null"] is None
        assert values["largest integer"] == 2**63 - 1
        assert values["smallest integer"] == -(2**63)
        assert str(values["real minus zero"]) == "-0.0"
        assert values["text with NUL"] == "before\0after"
        assert values["text that is not UTF-8"] == "ok \udcff \udcc3("
        assert values["blob with all kinds of bytes"] == b"\x00\x01\x7f\x80\xfe\xff"
        kinds = {row[0] for row in query(path, "SELECT typeof(value) FROM storage_classes")}
        assert kinds == {"null", "integer", "real", "text", "blob"}

    def test_schema(self, demo: DemoCatalogue) -> None:
        """Journal mode, header values, generated columns, trigger and view are in place and work."""
        path = demo.databases[1].path
        expected = {"journal_mode": "delete", "page_size": 1024, "auto_vacuum": 2, "user_version": 7}
        for pragma, value in expected.items():
            assert scalar(path, f"PRAGMA {pragma}") == value
        assert scalar(path, "SELECT count(*) FROM actions WHERE total = quantity * price") == 5
        assert scalar(path, "SELECT group_concat(DISTINCT side) FROM actions") == "buy,sell"
        assert scalar(path, "SELECT count(*) FROM action_log") == 5
        assert scalar(path, "SELECT count(*) FROM positions") == 3
        with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute("DELETE FROM action_log")

    def test_full_text(self, demo: DemoCatalogue) -> None:
        """Full-text search finds a note, where SQLite has FTS5."""
        if "notes" not in demo.databases[1].rows:
            pytest.skip("this SQLite library has no FTS5")
        found = "SELECT title FROM notes WHERE notes MATCH 'producao'"
        assert query(demo.databases[1].path, found) == [("PETR4",)]

    def test_builds_without_fts5(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where SQLite has no FTS5 the demo is built without the full-text table."""
        monkeypatch.setattr(databases, "_has_fts5", lambda: False)
        assert "notes" not in build_demo(tmp_path / "demo").databases[1].rows


class TestJournal:
    def test_is_chained_as_the_format_says(self, demo: DemoCatalogue) -> None:
        """Every event follows the one before it, across segments, by a hash that plain SHA-256 gives."""
        events = journal_events(demo)
        assert demo.databases[2].rows == {"events": 60}
        assert (len(events), events[0]["previous_hash"]) == (60, None)
        for before, event in pairwise(events):
            assert event["previous_hash"] == before["current_hash"]
        for event in events:
            names = ("timestamp", "actor", "evento", "entidade", "entidade_id", "payload_hash")
            text = "|".join([event["previous_hash"] or "", *(event[name] for name in names)])
            assert event["current_hash"] == hashlib.sha256(text.encode()).hexdigest()
        assert len({event["id"] for event in events}) == 60

    def test_snapshot_names_the_end_of_the_last_full_segment(self, demo: DemoCatalogue) -> None:
        """The snapshot is the one that was written when the second segment was full."""
        events = journal_events(demo)
        snapshot = json.loads((demo.databases[2].path / "event-log-snapshot.json").read_bytes())
        assert (snapshot["last_segment"], snapshot["last_index_in_segment"]) == (2, 24)
        assert (snapshot["total_events"], snapshot["last_current_hash"]) == (50, events[49]["current_hash"])

    def test_a_build_that_was_killed_is_cured(self, demo: DemoCatalogue) -> None:
        """A kill between the two renames leaves no journal, and the next build leaves nothing but the journal."""
        first = tree(demo.folder)
        journal = demo.databases[2].path
        journal.rename(journal.with_name(".tmp-journal.former"))
        (journal.with_name(".tmp-journal") / "event-log").mkdir(parents=True)
        build_demo(demo.folder)
        assert tree(demo.folder) == first
        assert sorted(path.name for path in journal.parent.iterdir()) == ["audit.db", "data.db", "journal"]


def journal_events(demo: DemoCatalogue) -> list[dict[str, Any]]:
    """All events of the journal, in their order."""
    segments = sorted((demo.databases[2].path / "event-log").iterdir())
    return [event for segment in segments for event in json.loads(segment.read_bytes())]


class TestWriter:
    def test_keeps_its_invariants_in_every_copy(self, prices_path: Path, tmp_path: Path) -> None:
        """Copies made while two writers work at full speed all hold; SIGTERM ends both with exit code 0."""
        processes = [start_writer(prices_path, "--rate", "0") for _ in range(2)]
        try:
            for number in range(20):
                copy = tmp_path / f"copy-{number}.db"
                with closing(sqlite3.connect(prices_path)) as live, closing(sqlite3.connect(copy)) as target:
                    live.backup(target)
                assert_writers_invariants(copy)
            reports = [end_writer(process) for process in processes]
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                process.communicate()
        assert_writers_invariants(prices_path)
        done = sum(report["transactions"] for report in reports)
        logged = "SELECT count(*) FROM ingest_logs WHERE provider = 'demo-writer'"
        assert scalar(prices_path, logged) == done > 0
        assert all(report["ended"] for report in reports)

    def test_in_the_background(self, prices_path: Path) -> None:
        """Started deaf to Ctrl-C, as a shell starts what its script runs in the background, it writes on through it."""
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = start_writer(prices_path)
        finally:
            signal.signal(signal.SIGINT, heard)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert end_writer(process)["ended"] is True

    def test_a_killed_writer_leaves_whole_transactions(self, prices_path: Path) -> None:
        """After SIGKILL the next connection sees the invariants."""
        process = start_writer(prices_path, "--rate", "0")
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.communicate()
        assert_writers_invariants(prices_path)

    def test_leaves_the_demo_rows_alone(
        self, prices_path: Path, capsys: pytest.CaptureFixture[str], kept_signals: None
    ) -> None:
        """The demo's own prices and returns stay; the writer's rows obey the same rules."""
        own = "SELECT * FROM prices WHERE source = 'yfinance' ORDER BY ticker, date"
        before = query(prices_path, own)
        assert writer.main([str(prices_path), "--seconds", "0.4", "--rate", "100"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["ended"] for line in lines] == [False, True]
        assert 0 < lines[-1]["transactions"] <= 60
        assert query(prices_path, own) == before
        assert scalar(prices_path, ORPHANED_RETURNS) == 0
        assert_writers_invariants(prices_path)
        TestPrices().test_raw_checksums(prices_path)

    def test_a_failed_transaction_is_undone(self, prices_path: Path, kept_signals: None) -> None:
        """When a statement fails in the middle, nothing of the transaction stays."""
        assert writer.main([str(prices_path), "--seconds", "0.1"]) == 0
        with closing(sqlite3.connect(prices_path, isolation_level=None)) as connection:
            connection.execute("DROP TABLE ingest_logs")
            before = connection.execute("SELECT id, amount FROM demo_accounts").fetchall()
            with pytest.raises(sqlite3.OperationalError):
                writer.move(connection, 1, clock=lambda: datetime(2025, 4, 1, tzinfo=UTC), job_id="none")
            assert connection.execute("SELECT id, amount FROM demo_accounts").fetchall() == before

    def test_refuses_other_databases(
        self, demo: DemoCatalogue, capsys: pytest.CaptureFixture[str], kept_signals: None
    ) -> None:
        """A missing file and a database without prices end with exit code 2 and are not touched."""
        before = tree(demo.folder)
        assert writer.main([str(demo.folder / "missing.db")]) == 2
        assert writer.main([str(demo.databases[1].path)]) == 2
        assert "no such table: prices" in capsys.readouterr().err
        assert tree(demo.folder) == before

    @pytest.mark.parametrize("rate", ["-1", "nan", "inf", "fast"])
    def test_refuses_bad_rates(self, rate: str) -> None:
        """A rate that is no number from 0 upwards is a usage error."""
        with pytest.raises(SystemExit) as caught:
            writer.main(["data.db", f"--rate={rate}"])
        assert caught.value.code == 2


def private(folder: Path) -> bool:
    """Whether `folder` and all folders in it are 0700 and all files 0600."""
    return all(
        stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        for path in (folder, *folder.rglob("*"))
    )


def csv_text(value: object) -> str:
    """A value as the application's canonical CSV writes it."""
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
