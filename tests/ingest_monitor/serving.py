"""A provider of data for tests: a real server on this machine, which says to each address what it was told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `missing`: how many bytes fewer come than the header promises."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


@contextmanager
def serving(answers: Mapping[str, Sequence[Answer]]) -> Iterator[int]:
    """The port of a server that gives the answers of a path one after another, and then the last one for ever."""
    asked = dict.fromkeys(answers, 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            answer = answers[path][min(asked[path], len(answers[path]) - 1)]
            asked[path] += 1
            body = b"{}"
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + answer.missing))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
