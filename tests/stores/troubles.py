"""What can stand between us and a bucket: a connection that breaks, stalls or crawls, a server that only refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BLOCK = 32 << 10
Rule = Callable[[int], bool]
"""Told how many bytes of one connection came back; whether the connection breaks now."""


@dataclass
class Proxy:
    """Passes bytes on to a port of this machine, as well as it is told to."""

    upstream: int
    breaks: Rule = lambda _count: False
    hangs: bool = False
    rate: float = 0
    """Bytes a second that are passed on to the server; 0: all that come."""
    sent: int = 0
    broken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Accept until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        if self.hangs:
            with client, contextlib.suppress(OSError):
                while client.recv(_BLOCK):
                    pass
            return
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self.upstream)) as server,
        ):
            threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
            count = 0
            while block := server.recv(_BLOCK):
                count += len(block)
                if self.breaks(count):
                    self.broken += 1
                    break
                client.sendall(block)
            for end in (client, server):
                end.shutdown(socket.SHUT_RDWR)

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := client.recv(_BLOCK):
                with self.lock:
                    self.sent += len(block)
                    if self.rate:
                        time.sleep(len(block) / self.rate)
                server.sendall(block)
            server.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy_before(port: int) -> Iterator[tuple[Proxy, str]]:
    """A proxy, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(port)
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        try:
            yield proxy, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def refusing_server(status: int, code: str) -> Iterator[str]:
    """The address of a server that answers everything with one error."""
    body = (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>SK-full said so</Message></Error>".encode()
    )

    class Refusing(BaseHTTPRequestHandler):
        """One answer for all."""

        def answer(self) -> None:
            """Read what was sent, and refuse."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
