from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.program import Program

from ops import __version__
from ops.codes import CODES
from ops.errors import OpsError
from ops.tasks import collection
from tests.conftest import ask, execute, run_drillbook
from tests.schemas.answers import require_valid

ROOT = Path(__file__).parents[2]
TASKS = {
    "demo", "doctor", "explain", "backup.create", "backup.list", "backup.show", "backup.verify", "backup.restore", "backup.drill",
    "backup.prune", "backup.adopt", "backup.keep", "backup.release", "store.check", "store.push", "store.pull",
    "store.reencrypt", "snapshot.create", "snapshot.verify", "snapshot.purge", "snapshot.restore-verify", "logs",
    "metrics", "test-conn",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the demo but for its PostgreSQL part, as the present folder."""
    assert run_drillbook("demo", "--without", "petshop", cwd=tmp_path).returncode == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run tasks in this process as `drillbook` does; exit code and standard output."""
    code = 0
    try:
        Program(name="drillbook", binary="drillbook", version=__version__, namespace=collection()).run(
            ["drillbook", *arguments]
        )
    except SystemExit as end:
        code = int(end.code or 0)
    except Exit as end:
        code = end.code
    printed = capsys.readouterr().out
    require_valid(printed)
    return code, printed


def test_the_whole_way(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Create, list, show, verify, drill, restore and doctor on the demo: all OK, and each says so as JSON."""
    flags = ["--config", "demo/ops.toml", "--format", "json"]
    code, output = run("backup.create", "--verify", "--tag", "monthly", "--tag", "x", *flags, capsys=capfd)
    created = json.loads(output)
    assert (code, created["status"], len(created["results"])) == (0, "ok", 3)
    assert {result["verified"] for result in created["results"]} == {"passed"}
    name = created["results"][0]["name"]
    code, output = run("backup.list", *flags, capsys=capfd)
    listed = json.loads(output)["results"]
    assert {item["name"] for item in listed} == {item["name"] for item in created["results"]}
    assert listed[0]["tags"] == ["monthly", "x"]
    code, output = run("backup.show", name, *flags, capsys=capfd)
    assert json.loads(output)["results"][0]["manifest"]["measures"]["tables"]["prices"]["rows"] > 400
    for arguments in (
        ("backup.verify",),
        ("backup.verify", "--all", "--level", "full"),
        ("backup.verify", name),
        ("backup.verify", "latest", "--source", "audit"),
        ("backup.drill",),
        ("backup.drill", "--source", "audit"),
        ("backup.drill", "--from", name, "--junit", "out/junit.xml"),
        ("backup.restore", "--from", name),
        ("backup.restore", "--from", name, "--dry-run", "--yes"),
        ("backup.restore", "--from", name, "--to", "back.db"),
        ("doctor",),
    ):
        code, output = run(*arguments, *flags, capsys=capfd)
        document = json.loads(output)
        assert (code, document["status"], document["errors"]) == (0, "ok", []), arguments
    assert (place / "out" / "junit.xml").read_bytes().startswith(b"<?xml")
    code, output = run("backup.list", *flags, capsys=capfd)
    assert all(item["proven"] for item in json.loads(output)["results"])


def test_text_says_what_matters(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With --verbose, job, source, file, size, rows, checksum and duration have lines; the drill ends in its table."""
    flags = ["--config", "demo/ops.toml", "--verbose"]
    _, created = run("backup.create", *flags, capsys=capfd)
    for word in ("job", "source", "file", "size", "rows", "sha256", "duration"):
        assert re.search(rf"^  {word} ", created, re.MULTILINE), word
    _, drilled = run("backup.drill", *flags, capsys=capfd)
    assert "RTO (promised)" in drilled
    assert drilled.rstrip().endswith("3 of 3 restored, checked and proven.")
    _, shown = run("backup.show", "latest", "--source", "prices", *flags, capsys=capfd)
    assert "ingest_logs" in shown
    _, listed = run("backup.list", *flags, capsys=capfd)
    assert "never" in listed


def test_success_is_one_line_a_source(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where nobody looks, each source has one line with all that a record needs; what is wrong is told in full."""
    flags = ["--config", "demo/ops.toml"]
    tasks = (("backup.create",), ("backup.create", "--verify"), ("backup.verify",), ("backup.drill",))
    for words in tasks:
        code, said = run(*words, *flags, capsys=capfd)
        assert code == 0
        for source, line in zip(("prices", "audit", "journal"), said.splitlines(), strict=True):
            assert re.match(rf"{source}: backup-\S+, [\d.]+ KiB, \d+ rows, [\d.]+ s, ", line)
            assert re.search(r", job [0-9a-f-]{36}, sha256 [0-9a-f]{64}$", line)
            assert ("passed" in line) is (words != ("backup.create",))
    (place / "demo" / "dados" / "audit.db").unlink()
    code, said = run("backup.create", *flags, capsys=capfd)
    first, *error, last = said.splitlines()
    assert code == 2
    assert first.startswith("prices: ")
    assert last.startswith("journal: ")
    assert [line[:8] for line in error] == ["CRITICAL", "  code  ", "  next  "]
    assert run("backup.verify", "--quiet", *flags, capsys=capfd) == (0, "")


def test_older_habits(place: Path, tmp_path: Path) -> None:
    """`backup.create --from FILE --out FILE --verify --yes`, and its --dry-run, work without a configuration."""
    execute(place / "app.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    dry = run_drillbook("backup.create", "--from", "app.db", "--out", "kept.db", "--dry-run", cwd=place)
    assert dry.returncode == 0
    assert not (place / "kept.db").exists()
    real = run_drillbook(
        "backup.create", "--from", "app.db", "--out", "kept.db", "--verify", "--yes", cwd=place
    )
    assert real.returncode == 0, real.stdout
    assert ask(place / "kept.db", "SELECT a FROM t") == 1
    assert (place / "kept.db.checksum").exists()
    folder = place / "somewhere"
    folder.mkdir()
    assert run_drillbook("backup.create", "--from", "app.db", "--out", "somewhere", cwd=place).returncode == 0
    assert len(list(folder.glob("backup-*.db"))) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["backup.create", "--source", "nope"], "config.unknown_source"),
        (["backup.create", "--format", "xml"], "usage.bad_value"),
        (["backup.create", "--wait", "soon"], "usage.bad_value"),
        (["backup.create", "--out", "one.db"], "usage.bad_value"),
        (["backup.create", "--config", "nope.toml"], "config.missing_file"),
        (["backup.create", "--from", "nope.db"], "source.missing"),
        (["backup.verify", "nope.db"], "backup.not_found"),
        (["backup.verify", "--level", "deep"], "usage.bad_value"),
        (["backup.show", "latest"], "usage.bad_value"),
        (["backup.show", "latest", "--source", "prices"], "backup.not_found"),
        (["backup.show", "./nowhere/x.db"], "backup.not_found"),
        (["backup.drill"], "backup.not_found"),
        (["backup.restore"], "usage.bad_value"),
        (["backup.restore", "--source", "prices", "--yes"], "backup.not_found"),
        (["backup.list", "--source", "nope"], "config.unknown_source"),
        (["doctor", "--source", "nope"], "config.unknown_source"),
        (["demo", "--out", "demo/dados"], "refused.demo_folder_in_use"),
        (["demo", "--without", "prices"], "usage.bad_value"),
    ],
)
def test_what_can_not_be_done(place: Path, arguments: list[str], code: str) -> None:
    """A request that cannot be carried out ends with 2, one JSON document, and the error's stable code."""
    config = [] if "--config" in arguments else ["--config", "demo/ops.toml"]
    formatted = [] if "--format" in arguments else ["--format", "json"]
    done = run_drillbook(*arguments, *config, *formatted, cwd=place)
    assert done.returncode == 2, done.stdout
    if formatted:
        document = json.loads(done.stdout)
        assert code in {error["code"] for error in document["errors"]}
        assert document["status"] == "critical"
    else:
        assert code in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["backup.create", "--nope"], ["nope"], ["backup.show"], ["--nope"], ["backup.list", "stray"]],
)
def test_wrong_command_lines(tmp_path: Path, arguments: list[str]) -> None:
    """A command line that makes no sense ends with 2 under `drillbook`, and says why on standard error."""
    done = run_drillbook(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_table_needs_yes(place: Path) -> None:
    """One table changes an existing file: without --yes it is refused where nobody can be asked."""
    flags = ["--config", "demo/ops.toml"]
    assert run_drillbook("backup.create", *flags, cwd=place).returncode == 0
    done = run_drillbook("backup.restore", "--source", "prices", "--table", "prices", *flags, cwd=place)
    assert done.returncode == 2
    assert "refused.interactive_only" in done.stdout


def test_a_warning_is_one(place: Path) -> None:
    """A drill whose objective is missed works, and ends with 1."""
    config = place / "demo" / "ops.toml"
    flags = ["--config", "demo/ops.toml", "--source", "prices"]
    assert run_drillbook("backup.create", *flags, cwd=place).returncode == 0
    config.write_text(config.read_text().replace('rto = "15m"', 'rto = "1ms"'))
    done = run_drillbook("backup.drill", *flags, "--format", "json", cwd=place)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (1, "warning")


def test_several_sources_do_all_they_can(place: Path) -> None:
    """One source that cannot be backed up does not stop the others; the worst decides the exit code."""
    (place / "demo" / "dados" / "data.db").unlink()
    done = run_drillbook("backup.create", "--config", "demo/ops.toml", "--format", "json", cwd=place)
    document = json.loads(done.stdout)
    assert done.returncode == 2
    assert [result["source"] for result in document["results"]] == ["audit", "journal"]
    assert [error["source"] for error in document["errors"]] == ["prices"]


def test_log_lines(place: Path) -> None:
    """Each step is one JSON line with the agreed fields, where it was asked for; LOG_LEVEL=ERROR silences good news."""
    flags = ["--config", "demo/ops.toml", "--source", "prices"]
    done = run_drillbook("backup.create", *flags, cwd=place, environment={"LOG_FORMAT": "json"})
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["check space", "capture", "publish"]
    for line in lines:
        assert line.keys() == {
            "job_id", "event", "source", "started_at", "finished_at", "duration_ms", "rows", "bytes", "checksum",
            "status", "error_message",
        }  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["started_at"])
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", line["job_id"]
        )
    log = {"LOG_FILE": str(place / "log.jsonl")}
    done = run_drillbook("backup.create", *flags, cwd=place, environment=log)
    assert done.stderr == ""
    assert len((place / "log.jsonl").read_text().splitlines()) == 3
    assert (place / "log.jsonl").stat().st_mode & 0o777 == 0o600
    quiet = {"LOG_LEVEL": "ERROR", "LOG_FORMAT": "json"}
    assert run_drillbook("backup.create", *flags, cwd=place, environment=quiet).stderr == ""


def test_the_log_is_kept_in_the_state_folder(place: Path) -> None:
    """Where nothing else is said, the log is for whoever looks for it later, and no mail: it is in the state folder."""
    state = place / "state"
    flags = ["--config", "demo/ops.toml", "--source", "prices"]
    done = run_drillbook("backup.create", *flags, cwd=place, environment={"OPS_STATE_DIR": str(state)})
    assert done.stderr == ""
    events = [json.loads(line)["event"] for line in (state / "log.jsonl").read_text().splitlines()]
    assert events == ["check space", "capture", "publish"]
    assert (state / "log.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL=LOUD is not a level"),
        ({"LOG_FILE": "no/log"}, "LOG_FILE no/log cannot be written: No such file or directory"),
    ],
)
def test_a_log_that_is_set_up_wrong_stops_no_backup(
    place: Path, environment: dict[str, str], said: str
) -> None:
    """A mistake in where the log goes is a warning: the backup is made, and the exit code is its own."""
    flags = ["--config", "demo/ops.toml", "--source", "prices"]
    done = run_drillbook("backup.create", *flags, cwd=place, environment=environment)
    assert done.returncode == 0
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_list_and_version_and_completion(tmp_path: Path) -> None:
    """--list shows every task with help, --version the version, and the completion script names the program."""
    listed = run_drillbook("--list", cwd=tmp_path)
    shown = set(re.findall(r"^  (\S+) +\S", listed.stdout, re.MULTILINE))
    assert shown == TASKS
    assert run_drillbook("--version", cwd=tmp_path).stdout.strip() == f"drillbook {__version__}"
    for shell in ("bash", "zsh", "fish"):
        script = run_drillbook("--print-completion-script", shell, cwd=tmp_path)
        assert script.returncode == 0
        assert "drillbook" in script.stdout
    completed = run_drillbook("--complete", "--", "drillbook backup.", cwd=tmp_path)
    assert set(completed.stdout.split()) >= {"backup.create", "backup.drill"}


def test_every_option_has_help() -> None:
    """Every task has a line of help, and so has each of its options."""
    namespace = collection()
    assert set(namespace.task_names) == TASKS
    for name in TASKS:
        task = namespace[name]
        assert task.__doc__
        for argument in task.get_arguments():
            assert argument.help, (name, argument.name)


def test_invoke_shows_the_same_tasks() -> None:
    """`invoke` in the repository shows what `drillbook` shows."""
    listed = subprocess.run(
        [Path(sys.executable).with_name("invoke"), "--list"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    assert set(re.findall(r"^  (\S+) +\S", listed.stdout, re.MULTILINE)) == TASKS


def test_inside_another_namespace() -> None:
    """A project's own tasks.py can take the collection in under a name of its choice."""
    namespace = Collection()
    namespace.add_collection(collection("db"))
    assert "db.backup.create" in namespace.task_names


def test_listing_loads_nothing_heavy() -> None:
    """What `--list` imports does not include pydantic, rich, sh, sqlite3 or any driver."""
    script = "import sys, ops.tasks; ops.tasks.collection(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )
    heavy = {
        "pydantic",
        "rich",
        "sh",
        "sqlite3",
        "ops.config.reading",
        "ops.registry",
        "multiprocessing.pool",
    }
    assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("told", ["", "1"])
def test_bytecode_is_written_as_python_was_told(tmp_path: Path, told: str) -> None:
    """Invoke does not take away what makes the next start quick: whether bytecode is written is left to Python's own switch."""
    script = (
        "import sys, contextlib; from ops.tasks.program import main; sys.argv = ['drillbook', '--list']\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "sys.exit(sys.dont_write_bytecode)"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": told}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, check=False, capture_output=True
    )
    assert ended.returncode == (told == "1")


def test_log_on_a_full_disk_does_not_stop_a_backup(place: Path) -> None:
    """When log lines cannot be written, the backup is made all the same, and a warning says what was lost."""
    flags = ["--config", "demo/ops.toml", "--source", "prices"]
    done = run_drillbook("backup.create", *flags, cwd=place, environment={"LOG_FILE": "/dev/full"})
    assert done.returncode == 0, done.stderr
    assert "a log line could not be written" in done.stderr
    assert len(list((place / "demo" / "backups").glob("*.manifest.json"))) == 1


def test_result_on_a_full_disk_is_no_success(place: Path) -> None:
    """When the answer itself cannot be written, that is exit code 2 and one sentence, not a traceback."""
    console = str(Path(sys.executable).with_name("drillbook"))
    command = [console, "backup.create", "--config", "demo/ops.toml"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=place, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 2
    assert "the result could not be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_survives_a_closed_pipe(place: Path) -> None:
    """A reader that goes away early does not turn the answer into a traceback."""
    command = f"{Path(sys.executable).with_name('drillbook')} backup.list --config demo/ops.toml | head -c 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=place, capture_output=True, check=False, text=True, env=os.environ
    )
    assert "Traceback" not in done.stderr


def test_codes_are_complete() -> None:
    """Every code that is raised anywhere is in the table, and every code of the table is raised somewhere."""
    text = "\n".join(
        path.read_text()
        for path in (ROOT / "ops").rglob("*.py")
        if path.name not in {"codes.py", "errors.py"} or path.parent.name != "ops"
    )
    raised = set(
        re.findall(
            r'"((?:backup|cipher|config|demo|ingest|lock|refused|series|snapshot|source|space|store|tool|usage)\.[a-z_]+)"',
            text,
        )
    )
    defaults = {cls.default_code for cls in OpsError.__subclasses__()}
    assert {code for code in CODES if code not in raised | defaults} == set()
    errors = set(re.findall(r'code="([a-z]+\.[a-z_]+)"', text))
    families = {code.split(".")[0] for code in CODES}
    assert {code for code in errors if code.split(".")[0] in families} - set(CODES) - {
        "cipher.key_ended", "config.unused", "store.can_delete", "store.created", "store.place", "backup.base_other_keys", "backup.checksum", "backup.checksum_file", "backup.failed", "backup.former_closed", "backup.needed", "backup.needed_elsewhere", "backup.opened", "backup.own_manifest", "backup.overdue", "backup.rows_dropped", "series.adopted", "series.not_recorded", "series.two_machines", "source.recreated", "backup.sealed",
        "snapshot.manifest_replaced", "snapshot.not_in_manifest", "snapshot.only_bytes_differ", "snapshot.purge_refused",
        "snapshot.restored", "snapshot.right", "snapshot.source_equal", "ingest.failures", "ingest.index",
        "ingest.line_cut", "ingest.line_invalid", "ingest.no_index", "store.in_use", "store.leftover",
        "store.no_identity", "store.swept",
    } == set()  # fmt: skip


def test_no_network_keeps_to_this_machine(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A source elsewhere is not contacted and that is said with exit code 2; one that is here is backed up."""
    with (place / "demo/ops.toml").open("a", encoding="utf-8") as file:
        file.write('[source.far]\nkind = "postgres"\ndsn = "postgresql://db.invalid/shop"\n')
    flags = ["--config", "demo/ops.toml", "--format", "json", "--no-network"]
    code, output = run("backup.create", "--source", "far", *flags, capsys=capfd)
    (error,) = json.loads(output)["errors"]
    assert (code, error["code"]) == (2, "tool.network_forbidden")
    assert "db.invalid" in error["message"]
    code, output = run("backup.create", "--source", "audit", *flags, capsys=capfd)
    assert (code, json.loads(output)["status"]) == (0, "ok")


def test_prune_keep_and_release(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Pruning is refused unasked, shows its plan, keeps pinned backups, warns while the newest is doubtful."""
    with (place / "demo/ops.toml").open("a", encoding="utf-8") as file:
        file.write("\n[policy.default]\nkeep_last = 1\n")
    flags = ["--config", "demo/ops.toml", "--format", "json"]
    chosen = ["--source", "audit", *flags]
    names = []
    for _ in range(3):
        _, output = run("backup.create", "--verify", *chosen, capsys=capfd)
        names.append(json.loads(output)["results"][0]["name"])
    code, output = run("backup.prune", *chosen, capsys=capfd)
    assert (code, json.loads(output)["errors"][0]["code"]) == (2, "refused.interactive_only")
    code, output = run("backup.keep", names[0], *flags, capsys=capfd)
    assert (code, json.loads(output)["errors"][0]["code"]) == (2, "usage.bad_value")
    for until in ("yesterday", "2020-01-01", "0d"):
        code, output = run("backup.keep", names[0], "--reason", "x", "--until", until, *flags, capsys=capfd)
        assert (code, json.loads(output)["errors"][0]["code"]) == (2, "usage.bad_value"), until
    code, output = run("backup.keep", names[0], "--reason", " why ", "--until", "90d", *flags, capsys=capfd)
    assert (code, json.loads(output)["results"][0]["reason"]) == (0, "why")
    code, output = run("backup.prune", "--dry-run", *chosen, capsys=capfd)
    (plan,) = json.loads(output)["results"]
    assert (code, plan["doomed"], plan["deleted"], plan["dry_run"]) == (0, [names[1]], [], True)
    code, output = run("backup.prune", "--yes", *chosen, capsys=capfd)
    assert (code, json.loads(output)["results"][0]["deleted"]) == (0, [names[1]])
    code, output = run("backup.release", names[0], *flags, capsys=capfd)
    assert (code, len(json.loads(output)["results"][0]["released"])) == (0, 1)
    run("backup.create", *chosen, capsys=capfd)
    code, output = run("backup.prune", "--yes", *chosen, capsys=capfd)
    (result,) = json.loads(output)["results"]
    assert (code, result["deleted"]) == (1, [])
    assert [finding["code"] for finding in result["findings"]] == ["prune.refused"]
    assert "not verified" in result["groups"][0]["refusal"]


def test_a_store_with_a_limit(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Above 80 % of its limit a store is a warning of create and doctor; beyond it nothing is written."""
    config = place / "demo/ops.toml"
    text = config.read_text(encoding="utf-8")
    flags = ["--config", "demo/ops.toml", "--format", "json", "--source", "audit"]
    for limit, expected in (("1MB", None), ("70kB", "capacity.high")):
        config.write_text(
            text.replace("[store.local]", f'[store.local]\nlimit = "{limit}"'), encoding="utf-8"
        )
        code, output = run("backup.create", "--verify", *flags, capsys=capfd)
        codes = [finding["code"] for finding in json.loads(output)["results"][0]["findings"]]
        assert (code, codes) == ((1, [expected]) if expected else (0, []))
    code, output = run("doctor", *flags, capsys=capfd)
    assert code == 1
    found = [item for result in json.loads(output)["results"] for item in result["findings"]]
    assert "capacity.high" in {item["code"] for item in found}
    code, output = run("backup.create", *flags, capsys=capfd)
    assert (code, json.loads(output)["errors"][0]["code"]) == (2, "space.limit")
    code, output = run("backup.list", *flags, capsys=capfd)
    assert len(json.loads(output)["results"]) == 2


def test_copies_in_further_stores(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each backup is copied; a store that is away is exit code 1 and the next run repairs; a lost home is pulled back."""
    config = place / "demo/ops.toml"
    text = config.read_text(encoding="utf-8").replace('stores = ["local"]', 'stores = ["local", "far"]')
    config.write_text(text + '\n[store.far]\nkind = "local"\npath = "far"\n', encoding="utf-8")
    flags = ["--config", "demo/ops.toml", "--format", "json"]
    chosen = [*flags, "--source", "audit"]
    (place / "demo/far").write_bytes(b"")
    code, output = run("backup.create", "--verify", *chosen, capsys=capfd)
    (created,) = json.loads(output)["results"]
    assert (code, [item["code"] for item in created["copies"]]) == (1, ["copy.failed"])
    code, output = run("backup.list", *chosen, capsys=capfd)
    document = json.loads(output)
    assert (code, document["errors"][0]["code"]) == (2, "store.unreadable")
    assert document["results"][0]["stores"] == ["local"]
    (place / "demo/far").unlink()
    code, output = run("store.push", *chosen, capsys=capfd)
    assert (code, [item["code"] for item in json.loads(output)["results"][0]["findings"]]) == (
        0,
        ["copy.made"],
    )
    code, output = run("backup.list", *chosen, capsys=capfd)
    assert json.loads(output)["results"][0]["stores"] == ["local", "far"]
    code, output = run("backup.drill", "--from", "far:latest", *chosen, capsys=capfd)
    assert (code, json.loads(output)["results"][0]["verdict"]) == (0, "passed")
    for path in (place / "demo/backups").glob("backup-*"):
        path.unlink()
    code, output = run("store.pull", f"far:{created['name']}", *flags, capsys=capfd)
    assert code == 0
    code, output = run("backup.verify", "--level", "full", *chosen, capsys=capfd)
    assert (code, json.loads(output)["results"][0]["verdict"]) == (0, "passed")
    for wrong in (["store.push", "--store", "nowhere"], ["store.check", "--store", "nowhere"]):
        code, output = run(*wrong, *flags, capsys=capfd)
        assert (code, json.loads(output)["errors"][0]["code"]) == (2, "config.unknown_store")
    code, output = run("store.check", *flags, capsys=capfd)
    assert (code, len(json.loads(output)["results"])) == (0, 2)
