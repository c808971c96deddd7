"""What the table of an S3 store may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from ops.errors import ConfigError
from ops.units import Size, format_size

LEAST_PART: Final = 5 << 20
"""What S3 takes as a part that is not the last one."""
MOST_PARTS: Final = 10_000
_USUAL_PART: Final = Size(16 << 20)
_ARCHIVES: Final = {"GLACIER", "DEEP_ARCHIVE"}
_PAIRS: Final = ("env", "file", "command")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """What the table of an S3 store may say.

    Where it is: `bucket`, a `prefix` in it, `endpoint_url` for a server that is not AWS, `region`, `addressing`
    (whether the bucket stands in the path or in the host name), `ca_bundle`, `verify_tls`.

    Who asks: `access_key_*` with `secret_key_*` (and `session_token_*`), or `profile`, or boto3's own search: `AWS_*`,
    its files, the role of the machine.

    How objects are kept: `sse` with `sse_kms_key_id`, `storage_class`, `object_lock` for `object_lock_for`.

    How they are sent: in parts of `part_size`, `parallel` at once. No answer within `connect_timeout` or
    `read_timeout`, a dropped connection and a busy server are tried again `retries` times.
    `staging_dir`: where a backup is built before it is sent; empty: the system's folder for temporary files.

    Raises ConfigError when the values contradict each other.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    profile: str | None = None
    access_key_env: str | None = None
    access_key_file: Path | None = None
    access_key_command: tuple[str, ...] | None = None
    secret_key_env: str | None = None
    secret_key_file: Path | None = None
    secret_key_command: tuple[str, ...] | None = None
    session_token_env: str | None = None
    session_token_file: Path | None = None
    session_token_command: tuple[str, ...] | None = None
    sse: Literal["AES256", "aws:kms"] | None = None
    sse_kms_key_id: str | None = None
    storage_class: str | None = None
    object_lock: Literal["GOVERNANCE", "COMPLIANCE"] | None = None
    object_lock_for: timedelta | None = None
    part_size: Size = _USUAL_PART
    parallel: int = 4
    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(seconds=60)
    retries: int = 4
    ca_bundle: Path | None = None
    verify_tls: bool = True
    staging_dir: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is contacted."""
        self._check_place()
        self._check_credentials()
        self._check_keeping()
        if self.part_size < LEAST_PART:
            raise _unfit(
                "part_size", f"{format_size(self.part_size)} is below the {format_size(LEAST_PART)} of S3"
            )
        if self.parallel < 1 or self.retries < 0:
            raise _unfit("parallel" if self.parallel < 1 else "retries", "the number is too small")

    def _check_place(self) -> None:
        if not self.bucket or "/" in self.bucket:
            raise _unfit("bucket", f"{self.bucket!r} is no name of a bucket; a folder in it is the prefix")
        parts = self.prefix.strip("/").split("/") if self.prefix.strip("/") else []
        if any(part in {"", ".", ".."} for part in parts) or "\0" in self.prefix:
            raise _unfit("prefix", f"{self.prefix!r} is no path inside a bucket")
        if self.endpoint_url is None:
            return
        # Wherever it stands: a password with a slash in it ends the part that holds a user.
        if "@" in self.endpoint_url:
            message = "an S3 store's endpoint_url holds a user or a password"
            hint = "remove it, and name the keys with access_key_env and secret_key_env"
            raise ConfigError(message, code="config.secret_in_file", hint=hint)
        if not _is_address(self.endpoint_url):
            raise _unfit("endpoint_url", "write it like https://s3.example.org")

    def _check_credentials(self) -> None:
        access, secret, token = (
            sum(getattr(self, f"{name}_{form}") is not None for form in _PAIRS)
            for name in ("access_key", "secret_key", "session_token")
        )
        if max(access, secret, token) > 1:
            raise _unfit("access_key_*", "give each key in one of the forms _env, _file, _command")
        if access != secret or token > access:
            raise _unfit("access_key_*", "access_key_* and secret_key_* are needed together")

    def _check_keeping(self) -> None:
        if self.sse_kms_key_id and self.sse != "aws:kms":
            raise _unfit("sse_kms_key_id", 'it needs sse = "aws:kms"')
        if (self.object_lock is None) != (self.object_lock_for is None):
            raise _unfit("object_lock", "object_lock and object_lock_for are needed together")
        if self.storage_class in _ARCHIVES:
            hint = "use GLACIER_IR, or let a lifecycle rule move backups that nobody will need in a hurry"
            raise _unfit("storage_class", f"what lies in {self.storage_class} cannot be read at once", hint)

    @property
    def folder(self) -> str:
        """What stands before every key: empty, or the prefix with one slash at its end."""
        inside = self.prefix.strip("/")
        return f"{inside}/" if inside else ""

    @property
    def server(self) -> str:
        """Host and port of a server that is not AWS; empty for AWS."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else ""


def _is_address(url: str) -> bool:
    try:
        split = urlsplit(url)
        return split.scheme in {"http", "https"} and bool(split.hostname) and split.port != 0
    except ValueError:
        return False


def _unfit(key: str, why: str, hint: str = "") -> ConfigError:
    return ConfigError(f"the keys of an S3 store, {key}: {why}", hint=hint or "see docs: s3")
