from __future__ import annotations

from pathlib import Path

import pytest

from ops.sources.postgres.server.server import RunningServer
from tests.conftest import run_drillbook
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import dsn, psql

pytestmark = pytest.mark.long

CONFIG = """
[cipher.lock]
kind = "openssl"
passphrase_file = "secret"
[store.local]
kind = "local"
path = "backups"
encrypt = "lock"
[source.shop]
kind = "postgres"
dsn = "{dsn}"
min_size = 1
"""


def test_over_the_live_database(pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> None:
    """With the key here the safety backup in an encrypted store is tried as well, and the old database is dropped."""
    database = fresh_database(pg15)
    psql(pg15, database.name, "-c", "CREATE TABLE t AS SELECT 1 AS x")
    (tmp_path / "secret").write_text("a long enough passphrase")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "ops.toml").write_text(CONFIG.format(dsn=dsn(pg15, database.name)))
    listed = "SELECT datname FROM pg_database WHERE datname LIKE 'drillbook%' ORDER BY 1"
    before = psql(pg15, "postgres", "-c", listed)
    environment = {"OPS_STATE_DIR": str(tmp_path / "state")}
    for task in (("backup.create",), ("backup.restore", "--yes")):
        done = run_drillbook(*task, cwd=tmp_path, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    assert psql(pg15, "postgres", "-c", listed) == before
