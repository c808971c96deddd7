from __future__ import annotations

from pathlib import Path

from tests.conftest import execute, run_drillbook


def test_a_kind_without_parts(tmp_path: Path) -> None:
    """Of an SQLite file a backup always takes all; a flag that asks for less is refused, not passed over."""
    execute(tmp_path / "a.db", "CREATE TABLE t (x)")
    done = run_drillbook("backup.create", "--from", "a.db", "--table", "t", cwd=tmp_path)
    assert done.returncode == 2
    assert "of which a backup always takes all" in done.stderr + done.stdout
    assert not list(tmp_path.glob("backups/*"))
