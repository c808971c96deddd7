from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import pytest

from ops.ingest_monitor.provider_answer import shown_url
from ops.ingest_monitor.providers import Contact, contact
from ops.ingest_monitor.settings import Provider
from tests.ingest_monitor.answering import Answer as RawAnswer
from tests.ingest_monitor.answering import answering
from tests.ingest_monitor.serving import Answer, serving


def ask(*answers: Answer, scheme: str = "http") -> Contact:
    """What comes of asking a server that answers so."""
    with serving({"/quote": answers}) as port:
        return contact(provider(port, scheme))


def provider(port: int, scheme: str = "http") -> Provider:
    """One on this machine."""
    return Provider(
        name="quotes", url=f"{scheme}://127.0.0.1:{port}/quote", retries=1, timeout=timedelta(seconds=5)
    )


def told(asked: Contact) -> tuple[str, str]:
    """Code and message of the one finding."""
    (finding,) = asked.findings
    return finding.code, finding.message


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([Answer(200)], "provider.answers"),
        ([Answer(503), Answer(200)], "provider.flaky"),
        ([Answer(429)], "provider.rate_limited"),
    ],
)
def test_a_retry_after_that_means_nothing(answers: Sequence[Answer], code: str) -> None:
    """A `Retry-After` that is neither seconds nor a date is as none: it never hides what was answered."""
    odd = [Answer(answer.status, {"Retry-After": "soon"}) for answer in answers]
    asked = ask(*odd)
    assert (told(asked)[0], asked.status, asked.retry_after) == (code, answers[-1].status, None)


def test_nobody_listens() -> None:
    """A refused connection is told as that, not as a time-out."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        code, message = told(contact(provider(unused.getsockname()[1])))
    assert code == "provider.unreachable"
    assert message == "provider 'quotes' took no connection: Connection refused"


def test_an_answer_that_breaks_off() -> None:
    """How much of an answer came is said once, and nothing else."""
    code, message = told(ask(Answer(missing=7)))
    assert code == "provider.broken_answer"
    assert message == "provider 'quotes' broke off its answer: 2 bytes came, 7 more were announced"


def test_an_answer_that_breaks_off_once() -> None:
    """It is asked for again, as after no connection, also where it breaks off behind its head."""
    asked = ask(Answer(missing=7), Answer())
    assert (told(asked)[0], asked.attempts, asked.status) == ("provider.flaky", 2, 200)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"hello world\r\n\r\n",
        b"HTTP/1.1 99 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_messages_are_in_words(sent: bytes) -> None:
    """Nothing of the language that this is written in shows in what is said, whatever a server sends."""
    with answering(RawAnswer(sent)) as server:
        code, message = told(contact(provider(server.port)))
    assert code != "provider.answers"
    assert not re.search(r"Errno|Error|Exception|object at|\w\(|\('|b'", message), message
    assert not message.endswith((".", "'", '"', "("))


@pytest.mark.parametrize(("status", "headers"), [(302, {}), (302, {"Location": ""}), (304, {}), (300, {})])
def test_an_answer_that_leads_nowhere(status: int, headers: dict[str, str]) -> None:
    """A redirect that does not say where to is no answer."""
    code, message = told(ask(Answer(status, headers)))
    assert (code, f"answered {status}" in message) == ("provider.refused", True)


def test_a_wait_of_days() -> None:
    """What the provider wants is told as it said it, not as the most that a library would heed."""
    _, message = told(ask(Answer(429, {"Retry-After": "864000"})))
    assert "10d 0h" in message


def test_an_address_of_six() -> None:
    """An IPv6 address is shown as it is typed, with its brackets, and without what may be secret."""
    assert shown_url("http://me:secret@[::1]:9/x?token=y") == "http://[::1]:9/x"
    assert shown_url("http://[fe80::1]/x") == "http://[fe80::1]/x"


def test_a_server_without_tls() -> None:
    """The reason why TLS failed is told without what its library puts around it."""
    code, message = told(ask(Answer(), scheme="https"))
    assert code == "provider.tls_failed"
    assert "(_ssl" not in message
    assert "]" not in message
