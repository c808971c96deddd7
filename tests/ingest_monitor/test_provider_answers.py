from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import pytest

from ops.ingest_monitor.providers import Contact, contact
from ops.ingest_monitor.settings import Provider
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
    assert message.startswith("provider 'quotes' took no connection: [Errno ")
    assert message.endswith(" Connection refused")


def test_an_answer_that_breaks_off() -> None:
    """How much of an answer came is said once, and nothing else."""
    code, message = told(ask(Answer(missing=7)))
    assert code == "provider.broken_answer"
    assert message == (
        "provider 'quotes' broke off its answer: IncompleteRead(2 bytes read, 7 more expected)"
    )


def test_a_server_without_tls() -> None:
    """The reason why TLS failed is told without what its library puts around it."""
    code, message = told(ask(Answer(), scheme="https"))
    assert code == "provider.tls_failed"
    assert "(_ssl" not in message
    assert "]" not in message
