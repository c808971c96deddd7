"""One bucket, and the client that talks to it: made when it is first needed, shared by threads."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ops import __version__
from ops.errors import ConfigError, ToolError
from ops.host.network import require_allowed
from ops.stores.s3 import answers, page
from ops.stores.s3.errors import answer_of, bad_answer, expected, translated
from ops.stores.s3.options import S3Options
from ops.stores.s3.page_order import PageOrder
from ops.stores.s3.ways import Ways

_AWS_HOST: Final = "the AWS host of the bucket"
_ELSEWHERE: Final = (
    "assume-role",
    "assume-role-with-web-identity",
    "container-role",
    "iam-role",
    "login",
    "sso",
)
"""botocore's ways to credentials that ask another machine."""
_WITHOUT_REASON: Final = {"400", "403"}
"""What botocore makes of the status of an answer that has no body."""
_POOL: Final = 4
"""Connections beside those that send parts."""


class Connection:
    """A bucket that answers; every failure is an error for the operator.

    What the server has refused (`ways`) is not asked for again; `versions` holds what it answered when it was asked.
    """

    def __init__(self, options: S3Options, store: str) -> None:
        self.options = options
        self.store = store
        self._lock = threading.Lock()
        self._client: Any = None
        self.clock_ahead: timedelta | None = None
        self.ways = Ways()
        self.takes_small_pages = True
        self.versions: tuple[bool | None] | None = None

    def call(
        self,
        operation: str,
        step: str,
        *,
        expect: Collection[str] = (),
        writing: bool = False,
        **parameters: Any,  # noqa: ANN401 - each operation has its own
    ) -> dict[str, Any]:
        """Return what the server answers to `operation` on the bucket; `step` says for errors what is being tried.

        Raises ExpectedAnswerError for an answer that is among `expect`, else StoreError (`store.bad_answer` when something
        else than the store has answered) or SpaceError.
        """
        client = self._ready_client()
        with self.translating(step, expect=expect, writing=writing):
            answer: dict[str, Any] = _asked(client, operation, Bucket=self.options.bucket, **parameters)
        if what := answers.nonsense(operation, answer, str(parameters.get("Key", ""))):
            raise bad_answer(f"{step} in store {self.store!r}", what)
        return answer

    @contextlib.contextmanager
    def translating(
        self, step: str, *, expect: Collection[str] = (), writing: bool = False
    ) -> Iterator[None]:
        """Turn what the libraries raise while the block runs into our errors."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        # The last ones are what botocore's parsers run into when an answer lacks something, or holds nonsense.
        senseless = (ResponseParserError, HTTPException, AttributeError, LookupError, TypeError, ValueError)
        try:
            yield
        except (BotoCoreError, ClientError, HTTPError, *senseless) as error:
            answer = answer_of(error)
            if answer and answer in expect:
                raise expected(error, answer) from error
            raise translated(error, f"{step} in store {self.store!r}", writing=writing) from error

    def objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield name, size, tag and time (as text) of the objects whose names begin with `prefix`, in no order.

        Pages are asked for as they are needed. Raises StoreError (`store.bad_listing`) when something else than a listing comes, or one without an end.
        """
        for found in self.pages(Prefix=prefix):
            yield from found.get("Contents", ())

    def pages(self, order: PageOrder | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - those of list_objects_v2
        """Yield the pages of one listing, asked for as they are needed; raises as `objects` does.

        `order` notes whether they came in the order of the names.
        """
        order = order or PageOrder(self, parameters.get("Prefix", ""))
        while True:
            found = self.call("list_objects_v2", "list the bucket", **parameters)
            order.take(found)
            yield found
            if not found.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = order.next_token(found, parameters.get("ContinuationToken"))

    def _ready_client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        with self._lock:
            if self._client is None:
                _require_contact(urlsplit(self.options.endpoint_url or "").hostname or _AWS_HOST, self.store)
                _require_library(self.store)
                with self.translating("prepare the connection"):
                    self._client = _new_client(self.options, self.store)
                self._client.meta.events.register("after-call.s3", self._note_time)
        # An address can also come from the environment or boto3's own files.
        _require_contact(urlsplit(self._client.meta.endpoint_url).hostname or "", self.store)
        return self._client

    def _note_time(self, http_response: Any, **_: Any) -> None:  # noqa: ANN401 - as botocore calls it
        """Note what time the server says it is. Source: RFC 9110, 6.6.1."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            told = parsedate_to_datetime(http_response.headers["Date"])
            self.clock_ahead = told - datetime.now(UTC)


def _asked(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - made at run time
    """What the server answers. A HEAD is refused without a reason: that of the same GET is told instead."""
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = getattr(client, operation)(**parameters)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if operation != "head_object" or code not in _WITHOUT_REASON:
            raise
        parameters.pop("ChecksumMode", None)
        client.get_object(Range="bytes=0-0", **parameters)["Body"].close()
        raise
    return answer


def _require_contact(host: str, store: str) -> None:
    require_allowed([host], f"store {store!r}")


def _require_library(store: str) -> None:
    try:
        importlib.import_module("boto3")
    except ImportError as error:
        message = f"store {store!r} needs boto3, which is not installed"
        hint = "pip install 'drillbook[s3]'"
        raise ToolError(message, code="tool.missing", hint=hint) from error


def _new_client(options: S3Options, store: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    import boto3
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(profile=options.profile)
    with contextlib.suppress(ToolError):
        require_allowed([_AWS_HOST], store)
        return _client(boto3.session.Session(botocore_session=core), Config, options)
    resolver = core.get_component("credential_provider")
    for name in _ELSEWHERE:
        resolver.remove(name)
    return _client(boto3.session.Session(botocore_session=core), Config, options)


def _client(session: Any, config: Any, options: S3Options) -> Any:  # noqa: ANN401 - as above
    client = session.client(
        "s3",
        region_name=options.region or session.region_name or "us-east-1",
        endpoint_url=options.endpoint_url,
        verify=_verification(options),
        config=config(
            connect_timeout=options.connect_timeout.total_seconds(),
            read_timeout=options.read_timeout.total_seconds(),
            retries={"mode": "standard", "total_max_attempts": options.retries + 1},
            max_pool_connections=options.parallel + _POOL,
            s3={"addressing_style": options.addressing},
            signature_version="s3v4",
            user_agent_extra=f"drillbook/{__version__}",
            # We send SHA-256 ourselves; other servers do not know the checksums that botocore adds unasked.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
        **_keys(options),
    )
    client.meta.events.register(page.EVENT, page.parse_contents)
    client.meta.events.register(answers.EVENT, answers.stop_at_redirect)
    return client


def _verification(options: S3Options) -> bool | str | None:
    """None leaves it to boto3, which knows AWS_CA_BUNDLE and its own files."""
    if not options.verify_tls:
        return False
    return str(options.ca_bundle) if options.ca_bundle else None


def _keys(options: S3Options) -> dict[str, str | None]:
    """The keys that the options name; nothing when boto3 is to find them."""
    access = _read("access_key", options.access_key_env, options.access_key_file, options.access_key_command)
    if access is None:
        return {}
    return {
        "aws_access_key_id": access,
        "aws_secret_access_key": _read(
            "secret_key", options.secret_key_env, options.secret_key_file, options.secret_key_command
        ),
        "aws_session_token": _read(
            "session_token",
            options.session_token_env,
            options.session_token_file,
            options.session_token_command,
        ),
    }


def _read(name: str, env: str | None, file: Path | None, command: tuple[str, ...] | None) -> str | None:
    from ops.host.secret import Secret

    value = Secret(name, env, file, command).read()
    if value == "":
        message = f"the {name} of an S3 store is empty"
        raise ConfigError(message, code="config.secret_unavailable")
    return value
