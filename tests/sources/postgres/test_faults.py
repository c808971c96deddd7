"""Killed, cut off, out of room, damaged, raced: nothing is lost, nothing is half done, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import OpsError
from ops.fsio.scratch import remove_stale_scratch, scratch_folder
from ops.model.findings import Severity, Verdict
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.connect.route import Ran
from ops.sources.postgres.drill import scratch as scratch_module
from ops.sources.postgres.restore.messages import Reading, read_messages
from ops.sources.postgres.server.server import RunningServer, scratch_server
from ops.sources.postgres.source import PostgresSource
from ops.stores.local.store import LocalStore
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases, require_programs
from tests.sources.postgres.shop import (
    back_up,
    bad,
    drill,
    dsn,
    fill_with_petshop,
    psql,
    restore,
    source_of,
    store_in,
    verify,
)

pytestmark = pytest.mark.long

KILLS = 4
ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop(pg17: RunningServer, fresh_database: FreshDatabases) -> FreshDatabase:
    """A pet shop on PostgreSQL 17."""
    database = fresh_database(pg17)
    fill_with_petshop(pg17, database.name, scale=10)
    return database


def start(action: str, shop: FreshDatabase, folder: Path, name: str = "-") -> subprocess.Popen[bytes]:
    """The operation in a process of its own, at its beginning."""
    arguments = [
        "-m",
        "tests.sources.postgres.operation",
        action,
        dsn(shop.server, shop.name),
        str(folder),
        name,
    ]
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process


def duration(action: str, shop: FreshDatabase, folder: Path, name: str = "-") -> float:
    """How long the operation takes when nobody disturbs it."""
    started = time.monotonic()
    process = start(action, shop, folder, name)
    process.communicate(timeout=120)
    assert process.returncode == 0
    return time.monotonic() - started


def processes(words: str) -> list[int]:
    """Living processes whose command line holds `words`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if words in line and state != "Z":
                    found.append(int(entry.name))
    return found


def soon(condition: object) -> bool:
    """Whether the condition becomes true within some seconds."""
    for _ in range(100):
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


def test_create_killed_at_any_moment(shop: FreshDatabase, tmp_path: Path) -> None:
    """SIGKILL in the middle of a create leaves no half backup, no pg_dump and no open transaction."""
    store, longest = store_in(tmp_path), duration("create", shop, tmp_path)
    published = len(read_catalogue(store).backups)
    for number in range(KILLS):
        process = start("create", shop, tmp_path)
        time.sleep(random.uniform(0.05, longest))
        process.kill()
        process.communicate()
        assert soon(lambda: not processes(f"host='{shop.server.socket_dir}'")), number
        idle = (
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{shop.name}' AND pid <> pg_backend_pid()"
        )
        assert soon(lambda: psql(shop.server, shop.name, "-c", idle) == "0")  # noqa: B023 - asked at once
    source = source_of(shop.server, shop.name)
    back_up(source, store)
    catalogue = read_catalogue(store)
    assert len(catalogue.backups) > published
    assert [item.code for item in catalogue.findings] == []
    assert [path.name for path in store.options.path.iterdir() if path.name.startswith(".tmp-")] == []
    for backup in catalogue.backups:
        assert bad(verify(backup, source, tmp_path).findings) == []


def test_drill_killed_at_any_moment(shop: FreshDatabase, tmp_path: Path) -> None:
    """SIGKILL in the middle of a drill: its server ends by itself or with the next clean-up, its folder too."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    longest = duration("drill", shop, tmp_path, backup.name)
    for _ in range(KILLS):
        process = start("drill", shop, tmp_path, backup.name)
        time.sleep(random.uniform(0.05, longest))
        process.kill()
        process.communicate()
    remove_stale_scratch(tmp_path / "scratch")
    assert soon(lambda: not processes(str(tmp_path / "scratch")))
    assert list((tmp_path / "scratch").iterdir()) == []
    assert drill(backup, source, tmp_path).verdict is Verdict.PASSED


def test_restore_killed_at_any_moment(shop: FreshDatabase, tmp_path: Path) -> None:
    """SIGKILL in the middle of an overwrite: the database is the old or the new one, whole, and open to everybody."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    change, rows = "DELETE FROM pagamentos WHERE id <= 5", "SELECT count(*) FROM pagamentos"
    whole = int(psql(shop.server, shop.name, "-c", rows))
    longest = duration("restore", shop, tmp_path, backup.name)
    for _ in range(KILLS):
        psql(shop.server, shop.name, "-c", change)
        process = start("restore", shop, tmp_path, backup.name)
        time.sleep(random.uniform(0.05, longest))
        process.kill()
        process.communicate()
        assert int(psql(shop.server, shop.name, "-c", rows)) in {whole, whole - 5}
    done = restore(backup, source, tmp_path)
    assert [text for text in bad(done.findings) if "replaced_kept" not in text] == []
    assert int(psql(shop.server, shop.name, "-c", rows)) == whole
    listed = psql(shop.server, "postgres", "-c", "SELECT datname FROM pg_database").splitlines()
    assert [name for name in listed if name.startswith("drillbook_restore_")] == []
    for name in listed:
        # What a swap had replaced when it was killed is kept, because its safety backup is not compared yet.
        if name.startswith("drillbook_replaced_"):
            assert name in {item.where for item in source.probe().findings}
            assert psql(shop.server, name, "-c", rows) == str(whole - 5)
            psql(shop.server, "postgres", "-c", f'DROP DATABASE "{name}"')


@pytest.mark.parametrize("victim", ["pg_dump", "postgres"])
def test_a_partner_killed_during_create(tmp_path: Path, victim: str) -> None:
    """pg_dump or the server killed in the middle is a clear error, and nothing is published."""
    programs = require_programs(17)
    with scratch_folder(tmp_path) as folder, scratch_server(programs, folder) as server:
        psql(server, "postgres", "-c", "CREATE DATABASE shop")
        fill_with_petshop(server, "shop", scale=30)
        source, store = source_of(server, "shop"), store_in(tmp_path)
        stop = threading.Event()

        def kill() -> None:
            while not stop.is_set():
                if dumping := processes(f"host='{server.socket_dir}'"):
                    for pid in dumping if victim == "pg_dump" else [server.pid]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    return
                time.sleep(0.01)

        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill)
            with pytest.raises(OpsError) as caught:
                back_up(source, store)
            stop.set()
            killing.result()
        assert caught.value.code in {"tool.failed", "source.unreachable"}
        assert [stored.key for stored in store.list()] == []


def test_the_server_killed_during_a_drill(shop: FreshDatabase, tmp_path: Path) -> None:
    """A scratch server that dies in the middle says nothing about the backup: inconclusive."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            for pid in processes(f"-D {tmp_path / 'scratch'}"):
                time.sleep(0.5)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        evidence = drill(backup, source, tmp_path)
        stop.set()
        killing.result()
    assert evidence.verdict is Verdict.INCONCLUSIVE, bad(evidence.findings)
    assert drill(backup, source, tmp_path).verdict is Verdict.PASSED


def databases_of_drills(server: RunningServer) -> list[str]:
    """Those that are on the server now."""
    return psql(
        server,
        "postgres",
        "-c",
        "SELECT datname FROM pg_database WHERE starts_with(datname, 'drillbook_scratch_')",
    ).split()


def test_a_drill_on_a_named_server_killed_at_any_moment(shop: FreshDatabase, tmp_path: Path) -> None:
    """What SIGKILL leaves on somebody's server is told and removed by the next drill there, which passes."""
    source, store = source_of(shop.server, shop.name, scratch=dsn(shop.server, shop.name)), store_in(tmp_path)
    backup = back_up(source, store)
    longest = duration("drill-there", shop, tmp_path, backup.name)
    assert databases_of_drills(shop.server) == []
    for number in range(KILLS):
        process = start("drill-there", shop, tmp_path, backup.name)
        # The first one when its database is surely there.
        soon(lambda: databases_of_drills(shop.server) != []) if number == 0 else time.sleep(
            random.uniform(0.05, longest)
        )
        process.kill()
        process.communicate()
        assert soon(lambda: not processes(f"host='{shop.server.socket_dir}'")), number
        left = databases_of_drills(shop.server)
        assert number > 0 or left
    # A server needs a moment until it knows that a client is gone, and finishes making a database for it before.
    clients = (
        "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, 'drillbook_scratch_')"
        " OR starts_with(application_name, 'drillbook')"
    )
    assert soon(lambda: psql(shop.server, "postgres", "-c", clients) == "0")
    left = databases_of_drills(shop.server)
    evidence = drill(backup, source, tmp_path)
    assert evidence.verdict is Verdict.PASSED, bad(evidence.findings)
    assert {item.where for item in evidence.findings if item.code == "store.swept"} == set(left)
    assert databases_of_drills(shop.server) == []


def test_a_named_server_that_goes_during_a_drill(shop: FreshDatabase, tmp_path: Path) -> None:
    """Cut off in the middle of the load and of the look at it: inconclusive; the next drill passes and clears up."""
    proxy = Proxy(shop.server)
    scratch = f"postgresql://{shop.server.user}@127.0.0.1:{proxy.port}/{shop.name}?sslmode=disable"
    source, store = source_of(shop.server, shop.name, scratch=scratch), store_in(tmp_path)
    backup = back_up(source, store)
    assert drill(backup, source, tmp_path).verdict is Verdict.PASSED
    carried = proxy.carried
    for part in (0.1, 0.4, 0.7, 0.95):
        proxy.close()
        proxy = Proxy(shop.server)
        there = scratch_at(source, f"postgresql://{shop.server.user}@127.0.0.1:{proxy.port}/?sslmode=disable")
        enough, relay = int(carried * part), proxy

        def cut(enough: int = enough, relay: Proxy = relay) -> None:
            while relay.carried < enough:
                time.sleep(0.001)
            relay.cut()

        with ThreadPoolExecutor(1) as pool:
            cutting = pool.submit(cut)
            evidence = drill(backup, there, tmp_path)
            relay.carried = enough
            cutting.result()
        assert evidence.verdict is Verdict.INCONCLUSIVE, (part, bad(evidence.findings))
    proxy.close()
    near = scratch_at(source, dsn(shop.server, ""))
    clients = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, 'drillbook_scratch_')"
    assert soon(lambda: psql(shop.server, "postgres", "-c", clients) == "0")
    assert drill(backup, near, tmp_path).verdict is Verdict.PASSED
    assert databases_of_drills(shop.server) == []


def scratch_at(source: PostgresSource, address: str) -> PostgresSource:
    """The same source, which is drilled there."""
    return replace(source, options=replace(source.options, scratch=address))


class Proxy:
    """A TCP relay to a server's socket that can be cut."""

    def __init__(self, server: RunningServer) -> None:
        self.target = str(server.socket_dir / f".s.PGSQL.{server.port}")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.open: list[socket.socket] = []
        self.carried = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(self.target)
                self.open += [client, upstream]
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                self.carried += len(block)
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Reset every connection, and take no more."""
        self.listener.close()
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        self.cut()
        for one in self.open:
            one.close()


def test_the_network_is_cut(shop: FreshDatabase, tmp_path: Path) -> None:
    """A connection that breaks in the middle of the dump is an error, and nothing is published."""
    proxy = Proxy(shop.server)
    address = f"postgresql://{shop.server.user}@127.0.0.1:{proxy.port}/{shop.name}?sslmode=disable"
    source, store = source_of(shop.server, shop.name, dsn=address), store_in(tmp_path)
    back_up(source, store)
    enough = proxy.carried // 2
    proxy.carried = 0

    def cut() -> None:
        while proxy.carried < enough:
            time.sleep(0.001)
        proxy.cut()

    with ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut)
        with pytest.raises(OpsError) as caught:
            back_up(source, store)
        cutting.result()
    proxy.close()
    assert caught.value.code in {"source.unreachable", "tool.failed"}
    assert len(read_catalogue(store).backups) == 1
    assert [path.name for path in store.options.path.iterdir() if path.name.startswith(".tmp-")] == []


def test_every_file_of_a_payload_matters(shop: FreshDatabase, tmp_path: Path) -> None:
    """A flipped bit, a missing tail, a missing file, a strange file: each fails verify and drill, and says which."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    for entry in backup.manifest.files:
        path = store.path_of(entry.path)
        content = path.read_bytes()
        for damaged in (
            content[:-1],
            content[:5] + bytes([content[5] ^ 4]) + content[6:] if len(content) > 6 else None,
            None,
        ):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            evidence = verify(backup, source, tmp_path)
            assert evidence.verdict is Verdict.FAILED
            assert any(entry.path in item.message for item in evidence.findings)
            path.write_bytes(content) if damaged is not None else None
        path.write_bytes(content)
        path.chmod(0o600)
    assert verify(backup, source, tmp_path).verdict is Verdict.PASSED
    (store.path_of(backup.name) / "dump" / "9999.dat.zst").write_bytes(b"x")
    assert verify(backup, source, tmp_path).verdict is Verdict.FAILED


def resealed(backup: Backup, store: LocalStore, name: str, content: bytes) -> Backup:
    """The backup with one file replaced and manifest and checksums made to agree, as a liar would."""
    from dataclasses import replace
    from hashlib import sha256

    key = f"{backup.name}/{name}"
    store.path_of(key).write_bytes(content)
    files = tuple(
        replace(entry, size=len(content), sha256=sha256(content).hexdigest()) if entry.path == key else entry
        for entry in backup.manifest.files
    )
    manifest = replace(backup.manifest, files=files)
    from ops.formats.names import checksum_key, checksum_text

    store.path_of(checksum_key(backup.name)).write_text(checksum_text(files))
    return replace(backup, manifest=manifest)


def test_archives_that_lie(shop: FreshDatabase, tmp_path: Path) -> None:
    """A payload whose digests agree but whose archive is damaged or empty fails its drill, though pg_restore reads it."""
    source, store = source_of(shop.server, shop.name, jobs=1), store_in(tmp_path)
    backup = back_up(source, store)
    data = sorted(entry.path.partition("/")[2] for entry in backup.manifest.files if entry.size > 20_000)
    victim = next(name for name in data if name.endswith(".zst"))
    whole = store.path_of(f"{backup.name}/{victim}").read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:100] + bytes(50) + whole[150:]):
        liar = resealed(backup, store, victim, content)
        assert drill(liar, source, tmp_path).verdict is Verdict.FAILED
    liar = resealed(backup, store, victim, whole)
    objects = json.loads(store.path_of(f"{backup.name}/objects.json").read_bytes())
    objects["objects"].append(["table", "public.nie_da_gewesen", "petshop_app"])
    liar = resealed(liar, store, "objects.json", json.dumps(objects).encode())
    evidence = drill(liar, source, tmp_path)
    assert evidence.verdict is Verdict.FAILED
    assert "postgres.object_missing" in " ".join(bad(evidence.findings))


@pytest.mark.parametrize("exit_code", [0, 1])
def test_errors_of_pg_restore_count_whatever_its_exit_code(exit_code: int) -> None:
    """Each error and each skipped thing is a finding, also with exit code 0; a bad exit code without a word is one too."""
    messages = (
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 215; 1259 16390 TABLE vendas dono",
        'pg_restore: error: could not execute query: ERROR:  role "dono" does not exist',
        "Command was: ALTER TABLE vendas OWNER TO dono;",
        "pg_restore: warning: archive is compressed, but this installation does not support compression",
        "pg_restore: warning: errors ignored on restore: 1",
    )
    findings = read_messages(Ran("pg_restore", exit_code, messages), Reading())
    assert [item.severity for item in findings] == [Severity.CRITICAL, Severity.CRITICAL]
    assert findings[0].where == "215; 1259 16390 TABLE vendas dono"
    allowed = read_messages(
        Ran("pg_restore", exit_code, messages[:3]), Reading({'role "dono"': "it has no role here"})
    )
    assert [item.severity for item in allowed] == [Severity.OK]
    assert "it has no role here" in allowed[0].message
    (silent,) = read_messages(Ran("pg_restore", 1, ()), Reading())
    assert silent.severity is Severity.CRITICAL


def test_two_drills_at_once(shop: FreshDatabase, tmp_path: Path) -> None:
    """Two drills of one backup do not meet."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(drill, backup, source, tmp_path) for _ in range(2)]
        assert [future.result().verdict for future in both] == [Verdict.PASSED, Verdict.PASSED]


@pytest.fixture
def locked_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that asks for passwords."""
    programs = require_programs(17)
    with scratch_folder(tmp_path) as folder, scratch_server(programs, folder) as server:
        psql(server, "postgres", "-c", "CREATE DATABASE shop")
        fill_with_petshop(server, "shop")
        yield server


@pytest.mark.parametrize(
    "password", ["""Canary'"\\ %$:@/é""", "Canary'; DROP TABLE vendas; --", "Canary trailing "]
)
def test_passwords_are_never_shown(locked_server: RunningServer, tmp_path: Path, password: str) -> None:
    """A password with every odd character works, and stands in no argument, log, manifest, evidence or error."""
    server = locked_server
    quoted = password.replace("'", "''")
    psql(server, "postgres", "-c", f"CREATE ROLE ops LOGIN PASSWORD '{quoted}' IN ROLE pg_read_all_data")
    (server.data / "pg_hba.conf").write_text("local all ops scram-sha-256\nlocal all all trust\n")
    psql(server, "postgres", "-c", "SELECT pg_reload_conf()")
    secret = tmp_path / "secret"
    secret.write_text(password + "\n")
    source = source_of(server, "shop", dsn=dsn(server, "shop", "ops"), password_file=secret)
    store, seen, lines = store_in(tmp_path), set[str](), list[str]()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdecimal():
                    with contextlib.suppress(OSError):
                        seen.add((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        job = Job(tell=lambda event: lines.append(repr(event)))
        backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
        evidence = drill(backup, source, tmp_path)
    finally:
        stop.set()
        watcher.join()
    assert evidence.verdict is Verdict.PASSED
    assert any("pg_dump" in line for line in seen)
    secret.write_text("Canary wrong\n")
    with pytest.raises(OpsError) as caught:
        back_up(source, store)
    assert caught.value.code == "source.refused"
    stored = [path.read_bytes() for path in store.options.path.rglob("*") if path.is_file()]
    everything = [*seen, *lines, caught.value.message, caught.value.hint, repr(caught.value.__cause__)]
    assert not any("Canary" in text for text in everything)
    assert not any(b"Canary" in content for content in stored)


def test_an_expired_password_and_a_missing_secret(locked_server: RunningServer, tmp_path: Path) -> None:
    """A password that has expired is refused; a secret file that is not there is named."""
    server = locked_server
    psql(server, "postgres", "-c", "CREATE ROLE ops LOGIN PASSWORD 'x' VALID UNTIL '2020-01-01'")
    (server.data / "pg_hba.conf").write_text("local all ops scram-sha-256\nlocal all all trust\n")
    psql(server, "postgres", "-c", "SELECT pg_reload_conf()")
    secret = tmp_path / "secret"
    source = source_of(server, "shop", dsn=dsn(server, "shop", "ops"), password_file=secret)
    with pytest.raises(OpsError, match="secret") as caught:
        back_up(source, store_in(tmp_path))
    assert caught.value.code == "config.secret_unavailable"
    secret.write_text("x")
    with pytest.raises(OpsError) as caught:
        back_up(source, store_in(tmp_path))
    assert caught.value.code == "source.refused"


@pytest.mark.needs_root
@pytest.mark.parametrize("size_mib", [1, 4, 30, 60])
def test_a_disk_that_fills(
    shop: FreshDatabase,
    tmp_path: Path,
    size_mib: int,
    small_disk: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk too small for the dump, or for a drill's server at any stage: space.*, nothing half done."""
    disk, source = small_disk(size_mib << 20), source_of(shop.server, shop.name)
    with contextlib.suppress(OpsError):
        take_backup(source, Repository(store=store_in(disk)), BackupRequest(min_free=1), Job())
    for path in disk.rglob("*"):
        assert not path.name.startswith(".tmp-")
    shutil.rmtree(disk / "store", ignore_errors=True)
    backup = back_up(source, store_in(tmp_path))
    # The question beforehand would say no: here the disk is to fill in the middle.
    monkeypatch.setattr(PostgresSource, "room_to_load", lambda self, manifest: 1)
    evidence = drill(backup, source, disk)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert any(item.code.startswith("space.") for item in evidence.findings), bad(evidence.findings)
    assert list((disk / "scratch").iterdir()) == []


def test_a_drill_without_a_server_is_no_verdict(
    shop: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no server programs fit, a drill is inconclusive and says what is lacking."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    only_15 = tuple(item for item in (require_programs(15),))
    monkeypatch.setattr("ops.sources.postgres.source.discover", lambda *_: only_15)
    assert source.options.scratch == scratch_module.EPHEMERAL
    evidence = drill(backup, source, tmp_path)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "17" in " ".join(bad(evidence.findings))


@pytest.mark.parametrize("name", ["a b's", "new\nline", '$(x) `y` "z"', "-rf", "com,ma", "ação\\"])
def test_places_with_odd_names(shop: FreshDatabase, tmp_path: Path, name: str) -> None:
    """Store and scratch places of any name work; one that PostgreSQL itself refuses makes no verdict, with the reason."""
    place = tmp_path / name
    choices: list[dict[str, object]] = [{}, {"scope": "tenant", "tenant": 1}, {"format": "custom"}]
    for number, options in enumerate(choices):
        source = source_of(shop.server, shop.name, **options)
        backup = back_up(source, store_in(place / str(number)))
        assert bad(verify(backup, source, place).findings) == []
        evidence = drill(backup, source, place)
        if "\n" in name:
            assert evidence.verdict is Verdict.INCONCLUSIVE, bad(evidence.findings)
        else:
            assert bad(evidence.findings) == []


def test_a_backend_killed_during_a_drill(shop: FreshDatabase, tmp_path: Path) -> None:
    """A backend of the scratch server that is killed takes all sessions with it: inconclusive, though the server comes back."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                    mine = str(tmp_path) in os.readlink(entry / "cwd")
                    if (
                        mine
                        and line.startswith("postgres: ")
                        and ("COPY" in line or "CREATE" in line or "ALTER" in line)
                    ):
                        os.kill(int(entry.name), signal.SIGKILL)
                        return
            time.sleep(0.001)

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        evidence = drill(backup, source, tmp_path)
        stop.set()
        killing.result()
    assert evidence.verdict is Verdict.INCONCLUSIVE, bad(evidence.findings)


def test_amcheck_that_can_not_look(
    shop: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_amcheck that ends with an error of its own is no damage: inconclusive; with its code for damage it fails."""
    from ops.sources.postgres.connect.route import DirectRoute

    source = source_of(shop.server, shop.name, amcheck=True)
    backup = back_up(source, store_in(tmp_path))
    run = DirectRoute.run
    for code, verdict in ((1, Verdict.INCONCLUSIVE), (2, Verdict.FAILED)):

        def broken(
            self: DirectRoute, program: str, *arguments: str, code: int = code, **places: object
        ) -> Ran:
            if program == "pg_amcheck":
                return Ran(program, code, ("heap table: something",))
            return run(self, program, *arguments, **places)  # type: ignore[arg-type]

        monkeypatch.setattr(DirectRoute, "run", broken)
        assert drill(backup, source, tmp_path).verdict is verdict


def test_a_password_with_a_line_end(locked_server: RunningServer, tmp_path: Path) -> None:
    """A password that libpq's file cannot hold is refused with that reason."""
    secret = tmp_path / "secret"
    secret.write_text("one\ntwo\n")
    source = source_of(locked_server, "shop", password_file=secret)
    with pytest.raises(OpsError, match="line end"):
        back_up(source, store_in(tmp_path))
