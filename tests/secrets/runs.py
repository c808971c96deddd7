"""All that a command line can ask for, with every secret in use; and all that goes wrong with one."""

from __future__ import annotations

import os

from tests.secrets.place import Place
from tests.stores.seaweed import free_ports


def take_backups(place: Place) -> None:
    """With every way to give a secret."""
    place.run("backup.create", "--source", "prices", "--verify")
    place.run("backup.create", "--source", "shop-file", "--format", "json")
    place.run("backup.create", "--source", "notes", LOG_FILE=None, LOG_FORMAT="json", LOG_LEVEL="DEBUG")
    place.run("backup.create", "--config", "ways.toml")
    # A password in a variable would come before those in files.
    place.run("backup.create", "--config", "files.toml", PGPASSWORD=None)


def look_at_them(place: Place) -> None:
    """Listed, shown, verified, drilled and restored, sealed copies too; stores and machine examined."""
    place.run("--debug", "backup.list")
    place.run("backup.show", "latest", "--source", "shop-boxed", "--config", "ways.toml", "--format", "json")
    place.run("backup.verify", "--all", "--source", "prices", "--level", "full")
    without = os.pathsep.join(
        filter(None, [str(place / "given/without-pyrage"), place.environment["PYTHONPATH"]])
    )
    place.run("backup.verify", "offsite:latest", "--source", "prices", "--level", "full", PYTHONPATH=without)
    command = f'identity_command = ["tell", "{place / "given/identity"}"]'
    told = place.configured("work/told.toml", command, key="identity_env")
    place.run("backup.drill", "--from", "offsite:latest", "--source", "prices", "--config", told)
    place.run("backup.drill", "--source", "shop-file", "--junit", "junit.xml", "--format", "json")
    place.run("backup.restore", "--from", "offsite:latest", "--source", "prices", "--to", "restored.db")
    place.run("backup.restore", "--from", "latest", "--source", "shop-file", "--to", "shop_copy")
    # Unlocking an identity takes seconds, and doctor would do it twice.
    unlocked = place.configured("work/unlocked.toml", 'identity_env = "ESCROW_IDENTITY"', key="identity_file")
    place.run("doctor", "--format", "json", "--config", unlocked, code=1)


def keep_house(place: Place) -> None:
    """Copied by hand, pinned, released, pruned; a store tried out."""
    place.run("store.check", "--store", "offsite")
    place.run("store.push", "--source", "notes", "--format", "json")
    place.run("store.pull", "s3-command:latest", "--source", "notes", "--store", "gpg-keys")
    kept = place.run("backup.keep", "latest", "--source", "notes", "--reason", "a test")
    place.run("backup.release", kept.stdout.split()[0])
    place.run("backup.prune", "--source", "prices", "--dry-run")
    place.run("store.reencrypt", "--source", "prices", "--dry-run")


def use_wrong_secrets(place: Place) -> None:
    """A wrong one in every place for one."""
    canaries, given = place.canaries, place / "given"
    password = f'password_command = ["tell", "{given}/wrong-password"]'
    nowhere = f'dsn = "host={place / "nowhere"} dbname=shop user=ops_env"'
    wrong = place.configured("work/wrong.toml", password, nowhere, of="ways.toml")
    word = canaries["wrong-password"]
    place.run(
        "backup.create", "--config", wrong, code=2, PGPASSWORD=word, PGSERVICEFILE=str(place / "nowhere")
    )
    place.run(*_show("offsite", "prices"), code=2, OFFSITE_SECRET=canaries["wrong-s3-secret"])
    token = f'access_key_file = "{given}/access-file"\nsession_token_env = "S3_TOKEN"'
    config = place.configured("work/token.toml", token)
    place.run(*_show("s3-file", "notes", config), code=2, S3_TOKEN=canaries["session-token"])
    place.run(*_show("s3-aws", "notes"), code=2, AWS_SESSION_TOKEN=canaries["aws-token"])
    openssl = f'passphrase_command = ["tell", "{given}/wrong-passphrase"]'
    gpg_key = f'passphrase_file = "{given}/wrong-passphrase"'
    words = place.configured("work/words.toml", openssl, gpg_key)
    verify = ("backup.verify", "--source", "prices", "--level", "full", "--config", words)
    word = canaries["wrong-passphrase"]
    place.run(*verify, "gpg:latest", code=1, PGP_PASSPHRASE=word)
    place.run(*verify, "gpg-keys:latest", code=1, PGP_PASSPHRASE=word)
    place.run(*verify, "openssl:latest", code=1)
    identity = f"AGE-SECRET-KEY-1{canaries['identity-wrong']}"
    place.run(*verify, "locked:latest", code=1, IDENTITY_WORD=word, ESCROW_IDENTITY=identity)


def take_them_away(place: Place) -> None:
    """Secrets that are not there, servers that are not there, and a secret where none may stand."""
    drill = ("backup.drill", "--from", "offsite:latest", "--source", "prices")
    place.run(*drill, code=1, ESCROW_IDENTITY=None)
    spill = f'passphrase_command = ["spill", "{place / "given/openssl-passphrase"}"]'
    spilt = place.configured("work/spilt.toml", spill)
    verify = ("backup.verify", "openssl:latest", "--source", "prices", "--level", "full")
    place.run(*verify, "--config", spilt, code=1)
    url = f'endpoint_url = "http://127.0.0.1:{free_ports(1)[0]}"'
    place.run(*_show("offsite", "prices", place.configured("work/away.toml", url)), code=2)
    inlined = f'password_env = "{place.canaries["postgres-env"]}"'
    create = ("backup.create", "--source", "shop-env", "--config")
    place.run(*create, place.configured("work/inlined.toml", inlined), code=2)


def _show(store: str, source: str, config: str = "ops.toml") -> tuple[str, ...]:
    return ("backup.show", f"{store}:latest", "--source", source, "--config", config)
