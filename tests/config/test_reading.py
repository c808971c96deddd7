from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.config.reading import read_config
from ops.errors import ConfigError
from ops.model.requests import Assertion
from ops.repository.retention import DEFAULT_POLICY

GOOD = """
scratch_dir = "scratch"

[source.prices]
kind = "sqlite"
path = "${DATA_DIR:-./dados}/data.db"
every = "24h"
drill_every = "30d"
rpo = "24h"
rto = "15m"
stores = ["second"]
tags = ["b3"]
min_free = "50GB"
owner = "market data"
busy_timeout = "5s"
digests = false
[[source.prices.assert]]
fresh = "prices.date"
max_age = "7d"
[[source.prices.assert]]
query = "select count(*) from prices where close < 0"
expect = 0
[[source.prices.assert]]
row_count = "prices"
tolerance = "5%"
[[source.prices.assert]]
command = ["true", "x"]
timeout = "1m"

[store.local]
kind = "local"
path = "${BACKUP_DIR:-./backups}"
[store.second]
kind = "local"
path = "/somewhere/else"
"""


def write(folder: Path, text: str) -> Path:
    """`ops.toml` in `folder`."""
    path = folder / "ops.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_configuration(tmp_path: Path) -> None:
    """Every key arrives as the typed value that it means; paths are relative to the file."""
    config = read_config(str(write(tmp_path, GOOD)), {}, Path("/"))
    source = config.source("prices")
    assert source.source.info.location == str(tmp_path / "dados" / "data.db")
    assert source.objectives.rto == timedelta(minutes=15)
    assert source.stores == ("second",)
    assert source.min_free == 50 * 10**9
    assert source.assertions == (
        Assertion(fresh="prices.date", max_age=timedelta(days=7)),
        Assertion(query="select count(*) from prices where close < 0", expect=0),
        Assertion(row_count="prices", tolerance=0.05),
        Assertion(command=("true", "x"), timeout=timedelta(minutes=1)),
    )
    assert config.stores["second"].location == "/somewhere/else"
    assert config.scratch == tmp_path / "scratch"


def test_environment_alone(tmp_path: Path) -> None:
    """Without a file there is one SQLite source and one local store, at the names of the environment."""
    config = read_config(None, {}, tmp_path)
    assert config.source("default").source.info.location == str(tmp_path / "dados" / "data.db")
    assert config.stores["local"].location == str(tmp_path / "backups")
    config = read_config(None, {"DATA_DIR": "/var/data", "BACKUP_DIR": "/var/backups"}, tmp_path)
    assert config.source("default").source.info.location == "/var/data/data.db"
    assert config.stores["local"].location == "/var/backups"


def test_where_the_file_is_found(tmp_path: Path) -> None:
    """--config comes before OPS_CONFIG, that before ops.toml; the names of the environment still count in a file."""
    write(tmp_path, GOOD)
    other = tmp_path / "other.toml"
    other.write_text('[source.other]\nkind = "sqlite"\npath = "${DATA_DIR:-x}/o.db"\n')
    assert list(read_config(None, {}, tmp_path).sources) == ["prices"]
    assert list(read_config(None, {"OPS_CONFIG": "other.toml"}, tmp_path).sources) == ["other"]
    found = read_config("other.toml", {"OPS_CONFIG": "ops.toml", "DATA_DIR": "/d"}, tmp_path)
    assert found.source("other").source.info.location == "/d/o.db"
    assert found.stores["local"].location == str(tmp_path / "backups")


SQLITE = '[source.a]\nkind = "sqlite"\npath = "a.db"\n'


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("[source", "config.invalid_toml", ["ops.toml"]),
        ("", "config.missing_key", ["no source"]),
        ("[sauce.x]\n", "config.unknown_key", ["'sauce'", "source"]),
        ("[source]\nx = 1\n", "config.invalid_value", ["source.x"]),
        ('source = "x"\n', "config.invalid_value", ["[source.NAME]"]),
        ('[source.a]\npath = "x"\n', "config.missing_key", ["[source.a]", "kind", "sqlite"]),
        ('[source.a]\nkind = "sqlight"\npath = "x"\n', "config.unknown_kind", ["[source.a]", "sqlight"]),
        ('[source.a]\nkind = "sqlite"\n', "config.missing_key", ["[source.a]", "path"]),
        (SQLITE + 'evry = "1d"\n', "config.unknown_key", ["[source.a]", "evry", "every"]),
        (SQLITE + 'policy = "x"\n', "config.unknown_policy", ["[source.a]", "'x'", "default"]),
        (
            SQLITE + '[store.l]\nkind = "local"\npath = "b"\npolicy = "x"\n',
            "config.unknown_policy",
            ["[store.l]", "'x'"],
        ),
        (SQLITE + "[policy.p]\n", "config.missing_key", ["[policy.p]", "keeps nothing", "keep_daily"]),
        (SQLITE + '[policy.p]\nkeep_dayly = "3d"\n', "config.unknown_key", ["[policy.p]", "keep_daily"]),
        (
            SQLITE + "[policy.p]\nkeep_daily = 30\n",
            "config.invalid_value",
            ["[policy.p]", "keep_daily", "30d"],
        ),
        (SQLITE + "[policy.p]\nkeep_last = -1\n", "config.invalid_value", ["[policy.p]", "keep_last"]),
        (
            SQLITE + '[store.l]\nkind = "local"\npath = "b"\nlimit = "much"\n',
            "config.invalid_value",
            ["[store.l]", "limit", "50GB"],
        ),
        (SQLITE + 'every = "soon"\n', "config.invalid_value", ["[source.a]", "every", "24h"]),
        (SQLITE + "every = 24\n", "config.invalid_value", ["every", "24"]),
        (SQLITE + 'digests = "no"\n', "config.invalid_value", ["digests"]),
        (SQLITE + 'foreign_keys = "maybe"\n', "config.invalid_value", ["foreign_keys"]),
        (SQLITE + 'min_free = "lots"\n', "config.invalid_value", ["min_free", "50GB"]),
        (SQLITE + 'password = "hunter2"\n', "config.secret_in_file", ["password_env", "password_file"]),
        (SQLITE + 'stores = ["x"]\n', "config.unknown_store", ["'x'"]),
        (
            SQLITE + 'stores = ["local", "local"]\n[store.local]\nkind = "local"\npath = "x"\n',
            "config.duplicate_place",
            ["[source.a]", "twice"],
        ),
        (
            SQLITE + '[store.a]\nkind = "local"\npath = "x"\n[store.b]\nkind = "local"\npath = "x"\n',
            "config.duplicate_place",
            ["stores 'a' and 'b'"],
        ),
        (SQLITE + 'stores = "local"\n', "config.invalid_value", ["stores"]),
        (SQLITE + SQLITE.replace("source.a", "source.b"), "config.duplicate_place", ["'a'", "'b'"]),
        (
            SQLITE + SQLITE.replace("source.a", "source.b").replace('path = "', 'path = "x/../'),
            "config.duplicate_place",
            ["'a'", "'b'"],
        ),
        (SQLITE.replace("a.db", "${NO_SUCH}/a.db"), "config.undefined_variable", ["NO_SUCH", "[source.a]"]),
        (SQLITE.replace("source.a", 'source."../a"'), "config.invalid_value", ["../a"]),
        (SQLITE.replace("a.db", "a\\u0000.db"), "config.invalid_value", ["path", "NUL"]),
        (SQLITE + "[[source.a.assert]]\n", "config.invalid_value", ["assert #1", "exactly one"]),
        (SQLITE + '[[source.a.assert]]\nquery = "x"\nfresh = "a.b"\n', "config.invalid_value", ["assert #1"]),
        (SQLITE + '[[source.a.assert]]\nfresh = "a.b"\n', "config.missing_key", ["max_age"]),
        (SQLITE + '[[source.a.assert]]\nquery = "x"\nmin = 1\n', "config.unknown_key", ["min"]),
        (SQLITE + '[[source.a.assert]]\nqery = "x"\n', "config.unknown_key", ["qery", "query"]),
        (SQLITE + "[[source.a.assert]]\ncommand = []\n", "config.invalid_value", ["command"]),
        (SQLITE + '[[source.a.assert]]\ncommand = "rm -rf"\n', "config.invalid_value", ["command"]),
        (SQLITE + '[store.s]\nkind = "sftp"\n', "config.unknown_kind", ["[store.s]", "s3", "local"]),
        (SQLITE + '[store.s]\nkind = "local"\npaht = "x"\n', "config.unknown_key", ["paht", "path"]),
        (SQLITE + "scratch_dir = 7\n", "config.unknown_key", ["scratch_dir"]),
        ("scratch_dir = 7\n" + SQLITE, "config.invalid_value", ["scratch_dir"]),
    ],
)
def test_what_can_not_be_used(tmp_path: Path, text: str, code: str, names: list[str]) -> None:
    """Every mistake is refused with its own code, and the message names file, table, key and what was meant."""
    with pytest.raises(ConfigError) as caught:
        read_config(str(write(tmp_path, text)), {}, tmp_path)
    told = f"{caught.value.message} {caught.value.hint}"
    assert caught.value.code == code, told
    assert "ops.toml" in told
    for name in names:
        assert name in told
    assert "hunter2" not in told


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_was_named_must_be_readable(tmp_path: Path, content: bytes | None) -> None:
    """A configuration that was asked for and cannot be read is an error, never the default instead."""
    path = tmp_path / "named.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config(str(path), {}, tmp_path)
    assert caught.value.code == "config.missing_file"


def test_ciphers(tmp_path: Path) -> None:
    """A store's `encrypt` names a cipher; one that is not there, is refused."""
    text = """
    [source.a]
    kind = "sqlite"
    path = "a.db"
    stores = ["local", "far"]
    [store.local]
    kind = "local"
    path = "backups"
    [store.far]
    kind = "local"
    path = "far"
    encrypt = "escrow"
    [cipher.escrow]
    kind = "age"
    recipients = ["age1x"]
    identity_file = "keys/escrow"
    """
    config = read_config(str(write(tmp_path, text)), {}, Path("/"))
    cipher = config.settings_of("far").cipher
    assert cipher is not None
    assert (cipher.name, cipher.kind, cipher.can_open) == ("escrow", "age", True)
    assert config.settings_of("local").cipher is None
    assert read_config(str(write(tmp_path, text.replace('"local", "far"', '"far"'))), {}, Path("/")).sources
    for wrong, code, names in (
        (
            text.replace("[cipher.escrow]", "[cipher.other]"),
            "config.unknown_cipher",
            ["[store.far]", "escrow"],
        ),
        (text.replace('kind = "age"', 'kind = "rot13"'), "config.unknown_kind", ["rot13", "age, gpg"]),
        (text.replace("identity_file", "passphrase"), "config.secret_in_file", ["passphrase_file"]),
    ):
        with pytest.raises(ConfigError) as caught:
            read_config(str(write(tmp_path, wrong)), {}, Path("/"))
        said = f"{caught.value.message} {caught.value.hint}"
        assert (caught.value.code, [name for name in names if name not in said]) == (code, [])


def test_policies_and_limits(tmp_path: Path) -> None:
    """A policy's spans are never shorter than the calendar's; a store's own policy stands before the source's."""
    text = """
    [source.a]
    kind = "sqlite"
    path = "a.db"
    policy = "short"
    [source.b]
    kind = "sqlite"
    path = "b.db"
    [policy.short]
    keep_last = 3
    keep_monthly = "3mo"
    keep_tagged = ["release"]
    [policy.cold]
    keep_yearly = "7y"
    [store.local]
    kind = "local"
    path = "backups"
    limit = "50GB"
    [store.cold]
    kind = "local"
    path = "cold"
    policy = "cold"
    """
    config = read_config(str(write(tmp_path, text)), {}, Path("/"))
    short = config.policy_of(config.source("a"), "local")
    assert (short.keep_last, short.keep_monthly, short.keep_tagged) == (3, timedelta(days=93), ("release",))
    assert config.policy_of(config.source("b"), "local") == DEFAULT_POLICY
    assert config.policy_of(config.source("a"), "cold").keep_yearly == timedelta(days=7 * 366)
    assert (config.settings_of("local").limit, config.settings_of("cold").limit) == (50 * 10**9, None)


def test_policies_by_scope(tmp_path: Path) -> None:
    """A source names policies for parts of it; a scope that its kind does not have, or an unknown policy, is refused."""
    text = """
    [source.a]
    kind = "postgres"
    dsn = "dbname=a"
    policies = {{ {scope} = "{policy}" }}
    [policy.week]
    keep_daily = "7d"
    """
    config = read_config(str(write(tmp_path, text.format(scope="schema", policy="week"))), {}, Path("/"))
    assert config.source("a").by_scope == {"schema": config.policies["week"]}
    for scope, policy, code in (
        ("shema", "week", "config.invalid_value"),
        ("data", "weak", "config.unknown_policy"),
    ):
        with pytest.raises(ConfigError) as raised:
            read_config(str(write(tmp_path, text.format(scope=scope, policy=policy))), {}, Path("/"))
        assert (raised.value.code, scope in raised.value.message or policy in raised.value.message) == (
            code,
            True,
        )
