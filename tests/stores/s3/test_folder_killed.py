"""A backup of a folder that is killed, or has no room, while its files are sent one by one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.errors import SpaceError
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from tests.contracts.sources import tree_source
from tests.keys import Keys
from tests.repository.test_upload import sealed_into
from tests.repository.test_upload_folders import require_right
from tests.stores.conftest import NewStore
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

SENDING = "tests.stores.s3.folder_sending"


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_a_killed_run_sent_is_removed(
    new_store: NewStore, weed: Weed, tmp_path: Path, keys: Keys, scratch: Path, encrypted: bool
) -> None:
    """It is never listed, and the next run removes it from the bucket and from the temporary folder."""
    store = new_store()
    recipient = keys.recipient if encrypted else ""
    words = (weed.url, store.options.bucket, store.options.prefix, tmp_path, tmp_path, scratch, recipient)
    with subprocess.Popen(
        [sys.executable, "-m", SENDING, *map(str, words)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "waiting\n"
        run.kill()
    there = {item["Key"] for item in store._connection.objects(store.options.folder)}
    assert any("/backup-" in name for name in there), "something was sent"
    assert [item.key for item in store.list() if not item.key.startswith(".")] == []
    source = tree_source(tmp_path)
    to = sealed_into(store, keys, scratch) if encrypted else Repository(store=store, scratch=scratch)
    taken = make(source, to, BackupRequest(), None, Job()).taken
    require_right(store, source, keys, scratch)
    name = taken.backup.name
    left = {item["Key"] for item in store._connection.objects(store.options.folder)}
    assert {key for key in left & there if "/backup-" in key and name not in key} == set()
    assert list(scratch.iterdir()) == []


def test_no_room_to_encrypt(
    new_store: NewStore, tmp_path: Path, keys: Keys, small_disk: Callable[[int], Path]
) -> None:
    """Temporary files that find no room end the backup with that, and nothing is there."""
    store, scratch = new_store(), small_disk(1 << 20)
    with pytest.raises(SpaceError):
        make(tree_source(tmp_path), sealed_into(store, keys, scratch), BackupRequest(), None, Job())
    assert read_catalogue(store).backups == ()
    assert [item.key for item in store.list() if not item.key.startswith(".")] == []
    assert list(scratch.iterdir()) == []
