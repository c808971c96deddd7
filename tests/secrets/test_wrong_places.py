"""A secret that somebody wrote where none may stand: refused, and not repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.config.reading import read_config
from ops.errors import ConfigError
from ops.host.secret import Secret, without_secrets
from ops.sources.postgres.connect.address import client_environment, parse_address

pytestmark = pytest.mark.long

_SECRET = "hunter2/with+slashes"
_IDENTITY = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ"
_POSTGRES = '[source.shop]\nkind = "postgres"\n'
_SQLITE = '[source.a]\nkind = "sqlite"\npath = "a.db"\n'
_S3 = _SQLITE + '[store.far]\nkind = "s3"\nbucket = "b"\n'
_AGE = _SQLITE + '[cipher.escrow]\nkind = "age"\n'
_GPG = _SQLITE + '[cipher.office]\nkind = "gpg"\n'
_OPENSSL = _SQLITE + '[cipher.legacy]\nkind = "openssl"\n'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (_POSTGRES + f'password = "{_SECRET}"', "config.secret_in_file"),
        (_POSTGRES + f'password_env = "{_SECRET}"', "config.invalid_value"),
        (_POSTGRES + f'password_env = ["{_SECRET}"]', "config.invalid_value"),
        (_POSTGRES + f'password_file = ["{_SECRET}"]', "config.invalid_value"),
        (_POSTGRES + f'password_command = "{_SECRET}"', "config.invalid_value"),
        (_POSTGRES + f'dsn = ["postgresql://ops:{_SECRET}@db/shop"]', "config.invalid_value"),
        (_S3 + f'secret_key = "{_SECRET}"', "config.secret_in_file"),
        (_S3 + f'access_key_env = "A"\nsecret_key_env = "{_SECRET}"', "config.invalid_value"),
        (_S3 + f'secret_key_command = "{_SECRET}"', "config.invalid_value"),
        (_S3 + f'session_token_env = "{_SECRET}"', "config.invalid_value"),
        (_S3 + f'endpoint_url = "https://me:{_SECRET}@s3.example.org"', "config.secret_in_file"),
        (_S3 + 'endpoint_url = "https://me:hunter2@s3.example.org"', "config.secret_in_file"),
        (_AGE + f'recipients = ["{_IDENTITY}"]', "config.secret_in_file"),
        (_AGE + f'recipients = "{_IDENTITY}"', "config.secret_in_file"),
        (_AGE + f'identity_file = "{_IDENTITY}"', "config.secret_in_file"),
        (_AGE + f'identity_env = "{_IDENTITY.lower()}"', "config.secret_in_file"),
        (_AGE + f'identity_command = ["echo", "{_IDENTITY}"]', "config.secret_in_file"),
        (_AGE + 'identity_env = "-----BEGIN OPENSSH PRIVATE KEY-----\\nhunter2"', "config.secret_in_file"),
        (_GPG + f'passphrase = "{_SECRET}"', "config.secret_in_file"),
        (_GPG + f'passphrase_env = "{_SECRET}"', "config.invalid_value"),
        (_OPENSSL + f'passphrase_command = "{_SECRET}"', "config.invalid_value"),
        (_OPENSSL + f'passphrase_file = ["{_SECRET}"]', "config.invalid_value"),
    ],
)
def test_in_the_configuration(tmp_path: Path, text: str, code: str) -> None:
    """Under every key where it could land by mistake, the error names the key and not the value."""
    (tmp_path / "ops.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(None, {}, tmp_path)
    told = f"{caught.value.message} {caught.value.hint}"
    assert caught.value.code == code, told
    assert "hunter2" not in told
    assert "QQQQ" not in told.upper()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ops:hunter2@db/shop",
        "postgresql://ops:hun/ter2@db/shop",
        "postgresql://ops:hunter2@x@db:port/shop",
        "postgresql://db/shop?password=hunter2",
        "postgresql://db/shop?sslpassword=hunter2",
        "host=db password=hunter2",
        "host=db sslpassword='hunter2'",
        "host=db password='hunter2",
    ],
)
def test_in_an_address(dsn: str) -> None:
    """A password in an address of PostgreSQL is refused, also one that breaks the address, and not shown."""
    with pytest.raises(ConfigError) as caught:
        parse_address(dsn)
    told = f"{caught.value.message} {caught.value.hint}"
    assert "hunter2" not in told
    assert "ter2" not in told


@pytest.mark.parametrize(("name", "shown"), [("SHOP_PASSWORD", True), ("hunter2", False)])
def test_as_the_name_of_a_variable(name: str, shown: bool) -> None:
    """A variable that is not there is named when its name looks like one; what could be a password is not."""
    with pytest.raises(ConfigError) as caught:
        Secret("password", env=name, environ={}).read()
    assert caught.value.code == "config.secret_unavailable"
    assert (name in f"{caught.value.message} {caught.value.hint}") is shown


def test_what_a_container_engine_is_not_given(tmp_path: Path) -> None:
    """Variables that boto3, libpq and the configuration know as secrets are taken away; all else and its own stays."""
    text = (
        _POSTGRES
        + 'password_env = "SHOP_WORD"\n'
        + '[cipher.g]\nkind = "gpg"\npassphrase_env = "WORD_OF_GPG"\n'
    )
    (tmp_path / "ops.toml").write_text(text)
    read_config(None, {}, tmp_path)
    other = {"PATH": "/bin", "DOCKER_HOST": "x", "AWS_PROFILE": "p", "PGHOST": "h", "COMPOSE_PASSWORD": "c"}
    secret = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "WORD_OF_GPG"), "x")
    own = {"SHOP_WORD": "mine"}
    assert without_secrets({**other, **secret, **own}) == other
    assert without_secrets({**other, **secret, **own}, own="SHOP_WORD") == {**other, **own}


def test_names_that_only_begin_like_those_of_libpq() -> None:
    """Clients get libpq's variables by their names; one that begins with PG may be the passphrase of gpg."""
    libpq = {"PGHOST": "h", "PGPASSFILE": "/f", "PGPASSWORD": "x", "PGSSLROOTCERT": "/c"}
    assert client_environment({**libpq, "PGP_PASSPHRASE": "hunter2", "PG_TOKEN": "hunter2"}) == libpq
    assert "PGPASSWORD" not in client_environment(libpq, with_password=False)


def test_a_program_that_tells_a_secret(tmp_path: Path) -> None:
    """What it prints is the secret, and stands in no file; what goes wrong with it is said without its words."""
    script = tmp_path / "tell"
    script.write_text('#!/bin/sh\necho hunter2 >&2\neval "$1"\n')
    script.chmod(0o755)

    def told(line: str) -> str | None:
        return Secret("password", command=(str(script), line), environ={"PATH": os.environ["PATH"]}).read()

    assert told("echo ação") == "ação"
    assert told("printf 'two\\nlines'") == "two\nlines"
    # One that leaves an agent behind, which holds its output, has answered all the same.
    assert told("echo word; sleep 60 & echo $! >'%s'" % (tmp_path / "pid")) == "word"
    os.kill(int((tmp_path / "pid").read_text()), 9)
    for line in ("echo hunter2; exit 3", "kill -9 $$", "printf '\\377'", "head -c 70000 /dev/zero"):
        with pytest.raises(ConfigError) as caught:
            told(line)
        assert caught.value.code == "config.secret_unavailable"
        assert "hunter2" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__}"
