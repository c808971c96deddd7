"""Restoring on a machine that has nothing but the bucket, the key and the printed page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pyrage
import pytest

from tests.conftest import ask, execute, run_drillbook
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

_REPOSITORY: Final = Path(__file__).parents[2]
_PAGE: Final = _REPOSITORY / "docs/operations/encryption.md"
_SEALING: Final = """
[source.prices]
kind = "sqlite"
path = "{database}"
stores = ["local", "offsite"]
[store.local]
kind = "local"
path = "home"
[store.offsite]
kind = "s3"
bucket = "{bucket}"
endpoint_url = "{url}"
encrypt = "escrow"
[cipher.escrow]
kind = "age"
recipients = ["{recipient}"]
"""
_INSTALL: Final = "drillbook/bin/pip install 'drillbook[s3,age]'"
_MOST_LINES: Final = 6


def printed_commands() -> tuple[str, str]:
    """What the page says to type: to install, and to restore."""
    section = _PAGE.read_text().partition("\n## On a bare machine\n")[2].partition("\n## ")[0]
    install, restore = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return install, restore


def typed(script: str, folder: Path, environment: dict[str, str], given: str = "") -> str:
    """What bash prints when `script` is typed in `folder`, and `given` where something is asked."""
    (folder / "typed.sh").write_text(script)
    done = subprocess.run(
        ["/usr/bin/env", "-i", *(f"{name}={text}" for name, text in environment.items()), "bash", "-eu", "typed.sh"],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


def installed(install: str, folder: Path) -> None:
    """Follow the page with a wheel of this very tree, and with the packages that the lock files name."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=_REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = "drillbook/bin/pip --disable-pip-version-check install --quiet --no-compile"
    locks = " ".join(f"-r '{_REPOSITORY}/locks/{name}.txt'" for name in ("s3", "age"))
    ours = f"{pip} --require-hashes {locks}\n{pip} --no-deps '{wheel}'"
    assert _INSTALL in install
    # The way to the package index is this machine's.
    python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    typed(install.replace(_INSTALL, ours), folder, {**os.environ, **python})


def test_the_printed_page_is_enough(weed: Weed, database: Path, tmp_path: Path) -> None:
    """With the wheel and two extras, an empty environment and home, and a configuration of two lines, the page's commands restore."""
    bucket, identity = weed.bucket(), pyrage.x25519.Identity.generate()
    facts = {"database": database, "bucket": bucket, "url": weed.url, "recipient": identity.to_public()}
    execute(database, "INSERT INTO notes (body) VALUES ('from the machine that burned')")
    (tmp_path / "ops.toml").write_text(_SEALING.format(**facts))
    keys = {"AWS_ACCESS_KEY_ID": "AK-full", "AWS_SECRET_ACCESS_KEY": "SK-full"}
    created = run_drillbook("backup.create", "--verify", cwd=tmp_path, environment=keys)
    assert created.returncode == 0, (created.stdout, created.stderr)
    bare, home = tmp_path / "bare", tmp_path / "fresh"
    bare.mkdir()
    home.mkdir()
    install, restore = printed_commands()
    installed(install, bare)
    for printed, own in (('"backups"', f'"{bucket}"'), ("https://s3.example.org", weed.url)):
        assert printed in restore
        restore = restore.replace(printed, own)
    given = f"AK-full\nSK-full\n{identity}\n"
    said = typed(restore, bare, {"PATH": "/usr/bin:/bin", "HOME": str(home)}, given)
    assert re.search(r"^backup-\w+\.db\.age +prices ", said, re.MULTILINE)
    assert "drill: passed, proven" in said
    assert len((bare / "ops.toml").read_text().splitlines()) <= _MOST_LINES
    assert ask(bare / "restored.db", "SELECT count(*) FROM notes WHERE body LIKE '%burned'") == 1
    assert (bare / "escrow.key").stat().st_mode & 0o777 == 0o600
    packages = {
        path.name.partition("-")[0] for path in bare.glob("drillbook/lib/*/site-packages/*.dist-info")
    }
    assert {"drillbook", "boto3", "pyrage"} <= packages
    assert "psycopg" not in packages
