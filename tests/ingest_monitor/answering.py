"""A real HTTP server on loopback that answers as it is told to, one answer after the other."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, byte by byte with a pause where `drip_s` says so; then the connection is closed."""

    content: bytes
    before_s: float = 0.0
    drip_s: float = 0.0


def answer(
    status: int, *headers: str, body: bytes = b"{}", before_s: float = 0.0, drip_s: float = 0.0
) -> Answer:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return Answer("\r\n".join(lines).encode() + body, before_s, drip_s)


@dataclass
class Server:
    """Where it listens, and the requests that came; the last answer is given again and again."""

    port: int
    answers: Sequence[Answer]
    requests: list[str] = field(default_factory=list)
    scheme: str = "http"
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Its address, with what must not be shown."""
        return f"{self.scheme}://127.0.0.1:{self.port}/quote?token=canary-in-the-query"

    def serve(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            number = len(self.requests)
            self.requests.append("")
            threading.Thread(target=self._answer, args=(connection, context, number), daemon=True).start()

    def _answer(self, connection: socket.socket, context: ssl.SSLContext | None, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            plain = context.wrap_socket(connection, server_side=True) if context else connection
            with plain:
                self.requests[number] = plain.recv(65536).decode("latin-1")
                given = self.answers[min(number, len(self.answers) - 1)]
                self.over.wait(given.before_s)
                if not given.drip_s:
                    plain.sendall(given.content)
                    return
                for byte in given.content:
                    plain.sendall(bytes([byte]))
                    if self.over.wait(given.drip_s):
                        return


@contextlib.contextmanager
def answering(*answers: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that gives these answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1], answers, scheme="https" if context else "http")
        threading.Thread(target=server.serve, args=(listener, context), daemon=True).start()
        try:
            yield server
        finally:
            # What still drips would outlive its test for minutes, and with it the thread that listens to it.
            server.over.set()
            listener.shutdown(socket.SHUT_RDWR)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server with a certificate of its own needs, and the file that says to trust it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
