"""A proxy that understands what passes through it, and lies: each lie rewrites one kind of request or its answer.

SigV4 signs the host and most headers of a request: all goes on as it came, and what a lie altered is signed anew. The
lies themselves are in `tests.stores.lies`.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

_UNSAID = {"connection", "content-length", "keep-alive", "transfer-encoding"}
_SIGNATURE = {"authorization", "x-amz-date", "x-amz-content-sha256"}
_NO_BODY = {204, 304}


@dataclass(frozen=True)
class Request:
    """What was asked. `headers` have small names; `altered`: a lie changed it, and the server gets another signature."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    altered: bool = False

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def key(self) -> str:
        """The object's name; empty for the bucket."""
        return unquote(urlsplit(self.target).path).lstrip("/").partition("/")[2]

    @property
    def kind(self) -> str:
        """LIST, GET, HEAD, PUT, DELETE, BEGIN, PART, COMPLETE, ABORT, DELETE_MANY, or something else of object or bucket."""
        query = self.query
        if not self.key:
            if "delete" in query:
                return "DELETE_MANY"
            return "LIST" if "list-type" in query else "BUCKET"
        if self.method == "POST":
            return "BEGIN" if "uploads" in query else "COMPLETE"
        if "uploadId" in query:
            return {"PUT": "PART", "DELETE": "ABORT"}.get(self.method, "PARTS")
        return self.method

    def without(self, *headers: str) -> Request:
        """The same request without those headers, whose names begin so."""
        kept = {name: value for name, value in self.headers.items() if not name.startswith(headers)}
        return replace(self, headers=kept, altered=True)

    def with_body(self, body: bytes) -> Request:
        """The same request with another body, of which nothing is told beforehand."""
        kept = self.without("content-md5", "x-amz-checksum", "x-amz-sdk").headers
        return replace(self, headers={**kept, "content-length": str(len(body))}, body=body, altered=True)


@dataclass(frozen=True)
class Answer:
    """What is answered. `length`: what Content-Length says (None: the truth, -1: nothing); `cut`: the connection ends there."""

    status: int
    headers: dict[str, str]
    body: bytes
    length: int | None = None
    cut: int | None = None

    def header(self, name: str, value: str | None) -> Answer:
        """The same answer with another value of a header; None takes the header away."""
        kept = {known: told for known, told in self.headers.items() if known.lower() != name.lower()}
        return replace(self, headers=kept if value is None else {**kept, name: value})


Forward: TypeAlias = Callable[[Request], Answer]


@dataclass(frozen=True)
class Lie:
    """Which kinds of requests are lied about, and how: told a request and how to ask the true server."""

    kinds: frozenset[str]
    rewrite: Callable[[Request, Forward], Answer]


@dataclass
class Liar:
    """A proxy before the server at `port`. `times`: how often it lies before it tells the truth; -1: always.

    `seen`: what was asked, each as its kind and key. `about`: how the keys end that are lied about.
    """

    port: int
    lies: Sequence[Lie] = ()
    times: int = -1
    about: str = ""
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, *lies: Lie, times: int = -1, about: str = "") -> None:
        """Lie in these ways from now on; with none, tell the truth."""
        with self.lock:
            self.lies, self.times, self.about = lies, times, about
            self.seen.clear()

    def answer(self, request: Request) -> Answer:
        """The answer to a request, by the lies of the moment."""
        with self.lock:
            self.seen.append(f"{request.kind} {request.key}".strip())
            fitting = [
                lie for lie in self.lies if request.kind in lie.kinds and request.key.endswith(self.about)
            ]
            if not fitting or not self.times:
                fitting = []
            else:
                self.times -= 1
        forward: Forward = self.forward
        for lie in fitting:
            forward = _lied(lie, forward)
        return forward(request)

    def forward(self, request: Request) -> Answer:
        """What the true server says."""
        headers = _signed_anew(request) if request.altered else request.headers
        server = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(server):
            server.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name != "expect":
                    server.putheader(name, value)
            server.endheaders(request.body)
            told = server.getresponse()
            return Answer(told.status, dict(told.getheaders()), told.read())


def _lied(lie: Lie, forward: Forward) -> Forward:
    return lambda request: lie.rewrite(request, forward)


def _signed_anew(request: Request) -> dict[str, str]:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    kept = {name: value for name, value in request.headers.items() if name not in _SIGNATURE}
    url = f"http://{request.headers['host']}{request.target}"
    signed = AWSRequest(method=request.method, url=url, data=request.body, headers=kept)
    signed.context["client_config"] = None
    S3SigV4Auth(Credentials("AK-full", "SK-full"), "s3", "us-east-1").add_auth(signed)
    return {name.lower(): value for name, value in signed.headers.items()}


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to the liar, and its answer back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    liar: Liar

    def handle_expect_100(self) -> bool:
        """Ask for the body at once."""
        asked = super().handle_expect_100()
        self.wfile.flush()
        return asked

    def answer(self) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        told = self.liar.answer(Request(self.command, self.path, headers, body))
        self.send_response_only(told.status)
        is_head = self.command == "HEAD" or told.status in _NO_BODY
        for name, value in told.headers.items():
            if name.lower() not in _UNSAID:
                self.send_header(name, value)
        real = int({k.lower(): v for k, v in told.headers.items()}.get("content-length", 0))
        length = (real if is_head else len(told.body)) if told.length is None else told.length
        if length >= 0 and told.status not in _NO_BODY:
            self.send_header("Content-Length", str(length))
        elif length < 0:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if not is_head:
            self.wfile.write(told.body if told.cut is None else told.body[: told.cut])
        if told.cut is not None:
            self.close_connection = True
            self.wfile.flush()
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""

    def handle(self) -> None:
        """Serve a connection; who hangs up is no error."""
        with contextlib.suppress(OSError):
            super().handle()


@contextlib.contextmanager
def liar_before(port: int) -> Iterator[tuple[Liar, str]]:
    """A proxy that tells the truth until it is told otherwise, and its address."""
    liar = Liar(port)
    handler = type("Handler", (_Handler,), {"liar": liar})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield liar, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
