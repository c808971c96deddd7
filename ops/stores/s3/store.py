"""The store `s3`: a bucket, or a folder in one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Self, cast

from ops.errors import RefusedError
from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER, translated_write_errors
from ops.fsio.durable import fsync_descriptor
from ops.fsio.growing_file import GrowingFile
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding
from ops.ports.removal import BucketProtection, ObjectProtection
from ops.ports.stamps import Stamps
from ops.ports.store import OWN_PREFIX, StoredFile
from ops.run.progress import Progress
from ops.stores.s3.abort_stale import abort_stale, abort_uploads
from ops.stores.s3.age import age_of
from ops.stores.s3.connection import Connection
from ops.stores.s3.delete import remove_objects
from ops.stores.s3.download import ObjectStream
from ops.stores.s3.examine import examine_bucket
from ops.stores.s3.folder import listed, put_folder, put_large, remove_folder
from ops.stores.s3.keys import is_key, object_name, top_object_name
from ops.stores.s3.list_pages import top_stamps, visible
from ops.stores.s3.offers import Offers, try_offers
from ops.stores.s3.options import S3Options
from ops.stores.s3.parts import measured
from ops.stores.s3.protection import (
    bucket_protection,
    has_versions,
    locked_until,
    object_locked,
    object_protection,
)
from ops.stores.s3.sent_folder import SentFolder, sent_folder
from ops.stores.s3.stored import is_there, name_taken, require_gone
from ops.stores.s3.upload import send
from ops.stores.s3.upload_stream import send_growing

_BLOCK: Final = 1 << 20
Names = list[str]
"""(Inside the class the word `list` means the port's method.)"""


@dataclass(frozen=True, slots=True)
class S3Store:
    """Objects in a bucket, each put once. The bucket must be there; nothing is contacted before it is needed."""

    name: str
    options: S3Options
    _connection: Connection = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "s3"
    options_type: ClassVar[type[S3Options]] = S3Options

    def __post_init__(self) -> None:
        """Keep one connection for all that is asked."""
        object.__setattr__(self, "_connection", Connection(self.options, self.name))

    @property
    def location(self) -> str:
        """`s3://bucket/prefix`, and the server where it is not AWS."""
        place = f"s3://{self.options.bucket}/{self.options.folder}".rstrip("/")
        return f"{place} at {self.options.server}" if self.options.server else place

    @contextlib.contextmanager
    def stage(self, key: str, *, folder: bool = False) -> Iterator[Path]:
        """A private file or folder on this machine."""
        top_object_name(self.options.folder, key)
        with scratch_folder(self.options.staging_dir or Path(tempfile.gettempdir())) as place:
            staged = place / "content"
            with translated_write_errors(staged):
                staged.mkdir(PRIVATE_FOLDER) if folder else staged.touch(PRIVATE_FILE)
            yield staged

    def put(self, key: str, file: Path) -> None:
        """Send the file, or all files of the folder; what a killed run had sent of the same is not sent again."""
        name = top_object_name(self.options.folder, key)
        is_folder = file.is_dir()
        if key.startswith(OWN_PREFIX) and not is_folder:
            send(self._connection, name, measured(file, self.options.part_size))
            return
        self._require_free(key, name, folder=not is_folder)
        if is_folder:
            put_folder(self._connection, key, file)
            return
        content = measured(file, self.options.part_size)
        if len(content.parts) > 1:
            put_large(self._connection, key, name, content)
        else:
            send(self._connection, name, content)

    def put_growing(self, key: str, file: GrowingFile) -> str:
        """Send the file part by part as it is written."""
        name = top_object_name(self.options.folder, key)
        self._require_free(key, name, folder=True)
        return send_growing(self._connection, key, name, file).sha256

    @contextlib.contextmanager
    def begin_folder(self, key: str) -> Iterator[SentFolder]:
        """Send the files of a folder as they come."""
        self._require_free(key, top_object_name(self.options.folder, key), folder=True)
        with sent_folder(self._connection, key) as folder:
            yield folder

    def _require_free(self, key: str, name: str, *, folder: bool) -> None:
        """Raise RefusedError when there is an object `name`, or (`folder`) something in a folder of that name."""
        if is_there(self._connection, name) or (folder and any(self._connection.objects(f"{name}/"))):
            raise name_taken(key, self.name)

    def open(self, key: str) -> BinaryIO:
        """The object as a stream that makes broken connections anew."""
        name = object_name(self.options.folder, key)
        return cast("BinaryIO", ObjectStream(self._connection, name, key))

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Fetch the object into the new file `into`, which is gone again when that fails."""
        name = object_name(self.options.folder, key)
        with ObjectStream(self._connection, name, key) as source:
            with translated_write_errors(into):
                try:
                    target = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
                except FileExistsError:
                    raise RefusedError(f"{into} exists", code="refused.name_taken") from None
            try:
                return _copy(source, target, into, progress)
            except BaseException:
                into.unlink(missing_ok=True)
                raise
            finally:
                os.close(target)

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """The objects below the prefix, without those of half-sent folders, hidden ones and what no key can name."""
        folder, hidden = self.options.folder, prefix.startswith(".")
        if hidden:
            # Only files are put there, never folders that could be half sent.
            objects = self._connection.objects(folder + prefix)
        else:
            found_all = visible(self._connection) if not prefix else self._connection.objects(folder + prefix)
            objects = listed(self._connection, found_all)
        for found in objects:
            key = found["Key"].removeprefix(folder)
            if is_key(key) and (hidden or not key.startswith(".")):
                yield StoredFile(key, found["Size"])

    def stamps(self, suffix: str, known: Callable[[], Sequence[str]]) -> Stamps:
        """What the bucket's listing tells of each object; folders are not looked into."""
        return top_stamps(self._connection, suffix, known)

    def delete(self, key: str) -> None:
        """Remove the object, or those of the folder.

        Raises StoreError: `store.object_locked` when one of them is held or locked, then nothing is removed;
        `store.unwritable` when the server says that it removed what is still there. In a bucket with versions the
        former content stays as a version, until a rule of the bucket removes it: see `bucket_protection`.
        """
        name = object_name(self.options.folder, key)
        if key.startswith(OWN_PREFIX):
            remove_objects(self._connection, [name])
            return
        names = self._names_of(name)
        # A plain delete in a bucket with versions hides a locked object without any error.
        looked_at = names if has_versions(self._connection) is not False else names[:1]
        for each, protection in object_protection(self._connection, looked_at).items():
            if protection.holds:
                raise object_locked(self._connection, each, protection)
        remove_folder(self._connection, key, names)
        require_gone(self._connection, names[:1])

    def age(self, key: str) -> timedelta | None:
        """By the server's clock: when it answers, and when it got the object."""
        return age_of(self._connection, object_name(self.options.folder, key))

    def keeps_versions(self) -> bool | None:
        """Whether versioning is on, or was, in the bucket."""
        return has_versions(self._connection)

    def clock_ahead(self) -> timedelta | None:
        """By the `Date` of the server's last answer, which tells whole seconds."""
        return self._connection.clock_ahead

    def reconnect(self) -> Self:
        """One with connections of its own."""
        return replace(self)

    def _names_of(self, name: str) -> Names:
        """The object `name` and those in a folder of that name."""
        alone = [name] if is_there(self._connection, name) else []
        return [*alone, *(found["Key"] for found in self._connection.objects(f"{name}/"))]

    def bucket_protection(self) -> BucketProtection:
        """Ask the bucket how it keeps what is removed: versions, its lock, its rules. Raises StoreError."""
        return bucket_protection(self._connection)

    def protection_of(self, key: str) -> ObjectProtection:
        """Return what keeps `key` from being removed: a legal hold, a lock; of a folder the latest lock. Raises StoreError."""
        names = self._names_of(object_name(self.options.folder, key))
        found = object_protection(self._connection, names).values()
        return ObjectProtection(locked_until(found), any(each.held for each in found))

    @property
    def in_pieces(self) -> int:
        """Files above the size of a part are sent in several."""
        return int(self.options.part_size)

    def examine(self) -> Sequence[Finding]:
        """What the server offers, and what the bucket does with what is removed."""
        return examine_bucket(self._connection)

    def try_offers(self, key: str) -> Offers:
        """Try out under the free `key` what the server offers beside storing; nothing stays. Raises StoreError."""
        return try_offers(self._connection, top_object_name(self.options.folder, key))

    def abort_uploads(self, key: str) -> Sequence[str]:
        """Give up every unfinished upload of the file `key`, or of files of that folder; their keys. Raises StoreError."""
        return abort_uploads(self._connection, key)

    def abort_stale_uploads(self, older_than: timedelta) -> Sequence[str]:
        """Give up uploads that were begun longer ago and never finished; their keys. Raises StoreError."""
        return abort_stale(self._connection, datetime.now(UTC) - older_than)


def _copy(source: ObjectStream, target: int, into: Path, progress: Progress) -> str:
    """Write all of `source`; the SHA-256 of what was written."""
    progress.step(f"fetching {into.name}", source.size)
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        with translated_write_errors(into):
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(target, rest) :]
        progress.advance(len(block))
    with translated_write_errors(into):
        fsync_descriptor(target)
    return digest.hexdigest()
