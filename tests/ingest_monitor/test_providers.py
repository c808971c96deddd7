"""A provider is asked over real sockets: what it answers, what it does not, and what is waited for."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from ops.errors import ConfigError, ToolError
from ops.host.network import without_network
from ops.host.secret import Secret
from ops.ingest_monitor import provider_request as asking
from ops.ingest_monitor.providers import Contact, contact
from ops.ingest_monitor.settings import YFINANCE, Provider, require_url
from tests.ingest_monitor.answering import Answer, answer, answering, certificate

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in hundredths of what it is, and no proxy of this machine."""
    monkeypatch.setattr(asking, "_BACKOFF_S", 0.01)
    monkeypatch.setattr(asking, "_JITTER_S", 0.01)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def asked(url: str, **more: Any) -> Contact:  # noqa: ANN401 - of Provider
    """How asking that address went."""
    return contact(Provider(name="p", url=url, **{"timeout": 5 * SECOND, **more}))


def told(found: Contact) -> tuple[str, str]:
    """Severity and code of the one finding."""
    (finding,) = found.findings
    return str(finding.severity), finding.code


def test_it_answers() -> None:
    """One request, one answer: fine, with its status and how long it took, and nothing of the query is shown."""
    with answering(answer(200)) as server:
        found = asked(server.url)
        assert (told(found), found.status, found.attempts, found.waited_s) == (
            ("ok", "provider.answers"),
            200,
            1,
            0,
        )
        assert found.latency_ms is not None
        assert len(server.requests) == 1
        assert "canary" not in repr(found)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_it_is_asked_again(status: int) -> None:
    """After an answer that may be another a moment later it is asked again; that it needed that is a warning."""
    with answering(answer(status), answer(status), answer(200)) as server:
        found = asked(server.url)
        assert (told(found), found.status, found.attempts) == (("warning", "provider.flaky"), 200, 3)
        assert found.waited_s > 0
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "code", "requests"),
    [
        (429, "provider.rate_limited", 3),
        (503, "provider.refused", 3),
        (404, "provider.refused", 1),
        (401, "provider.refused", 1),
    ],
)
def test_it_goes_on_refusing(status: int, code: str, requests: int) -> None:
    """After as many retries as are allowed it is critical; what will not change is asked once."""
    with answering(answer(status)) as server:
        found = asked(server.url, retries=2)
        assert (told(found), found.status, found.attempts) == (("critical", code), status, requests)
        assert len(server.requests) == requests


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_respected(form: str) -> None:
    """The wait that the provider wants is waited, in seconds or until a date, before the next request."""
    until = format_datetime(datetime.now(UTC).replace(microsecond=0) + 2 * SECOND, usegmt=True)
    header = f"Retry-After: {'1' if form == 'seconds' else until}"
    with answering(answer(429, header), answer(200)) as server:
        began = time.monotonic()
        found = asked(server.url)
        assert (told(found), found.status) == (("warning", "provider.flaky"), 200)
        assert found.waited_s >= 0.9
        assert time.monotonic() - began >= 0.9


@pytest.mark.parametrize(("status", "code"), [(429, "provider.rate_limited"), (503, "provider.refused")])
def test_a_wait_that_is_too_long_is_not_waited(status: int, code: str) -> None:
    """An hour is not waited: it is said, with the hour, at once."""
    with answering(answer(status, "Retry-After: 3600")) as server:
        found = asked(server.url)
        assert (told(found), found.retry_after, found.attempts) == (("critical", code), 3600, 1)
        assert "1h" in found.findings[0].message
        assert len(server.requests) == 1


def test_a_retry_after_that_is_none() -> None:
    """Nonsense in the header is answered with the ordinary back-off."""
    with answering(answer(503, "Retry-After: soon"), answer(200)) as server:
        found = asked(server.url)
        assert (told(found), found.status, found.attempts) == (("warning", "provider.flaky"), 200, 2)
        assert found.retry_after is None


def test_nobody_listens() -> None:
    """A port that nobody listens on is said to take no connection, after all retries."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = asked(f"http://127.0.0.1:{port}/", retries=1)
    assert (told(found), found.status, found.attempts) == (("critical", "provider.unreachable"), None, 2)


def test_a_name_that_is_none() -> None:
    """A name that cannot be resolved is told apart from a server that is down."""
    found = asked("http://no-such-host.invalid/", retries=0)
    assert told(found) == ("critical", "provider.unknown_host")


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    """It is not trusted, and not asked again; with the bundle that vouches for it, it is."""
    context, bundle = certificate(tmp_path)
    with answering(answer(200), context=context) as server:
        found = asked(server.url, retries=0)
        assert told(found) == ("critical", "provider.tls_failed")
        assert told(asked(server.url, ca_bundle=bundle)) == ("ok", "provider.answers")


def test_no_tls_where_tls_was_expected() -> None:
    """A server that speaks plain HTTP on the port of TLS is a TLS failure."""
    with answering(answer(200)) as server:
        found = asked(server.url.replace("http://", "https://"), retries=0)
        assert told(found) == ("critical", "provider.tls_failed")


def test_slow_to_answer() -> None:
    """An answer that does not begin in time is too slow; one that is late is a warning."""
    with answering(answer(200, before_s=3)) as server:
        assert told(asked(server.url, timeout=SECOND / 2, retries=0)) == ("critical", "provider.too_slow")
    with answering(answer(200, before_s=0.3)) as server:
        assert told(asked(server.url, slow=SECOND / 10)) == ("warning", "provider.slow")


def test_an_answer_that_trickles() -> None:
    """Bytes that come one by one never break a socket's time-out; the attempt ends all the same."""
    with answering(answer(200, body=b"x" * 10_000, drip_s=0.05)) as server:
        began = time.monotonic()
        found = asked(server.url, timeout=SECOND, retries=0)
        assert told(found) == ("critical", "provider.too_slow")
        assert time.monotonic() - began < 20


def test_an_answer_that_breaks_off() -> None:
    """Less than was promised is a broken answer; so is what is no HTTP at all."""
    whole = answer(200, body=b"x" * 1000).content
    for content in (whole[:-500], b"", b"SSH-2.0-OpenSSH\r\n"):
        with answering(Answer(content)) as server:
            found = asked(server.url, retries=0)
            assert told(found) == ("critical", "provider.broken_answer")


def test_redirects() -> None:
    """They are followed, not for ever, and a token is not carried to another machine."""
    token = Secret("token", env="TOKEN", environ={"TOKEN": "canary-token"})
    with (
        answering(answer(200)) as target,
        answering(answer(302, f"Location: {target.url.replace('127.0.0.1', 'localhost')}")) as server,
    ):
        found = asked(server.url, token=token, auth_header="X-Key", auth_prefix="")
        assert (told(found), found.status) == (("ok", "provider.answers"), 200)
        assert "canary-token" in server.requests[0]
        assert "canary-token" not in target.requests[0]
    with answering(answer(302, "Location: /again")) as server:
        found = asked(server.url)
        assert told(found) == ("critical", "provider.refused")
        assert 1 < len(server.requests) < 20


def test_the_token_is_sent_and_never_told() -> None:
    """It goes into the header that was named, and into nothing that is shown."""
    token = Secret("token", env="TOKEN", environ={"TOKEN": "canary-token"})
    with answering(answer(401)) as server:
        found = asked(server.url, token=token, headers={"X-Who": "drillbook"})
        assert "Authorization: Bearer canary-token" in server.requests[0]
        assert "X-Who: drillbook" in server.requests[0]
        assert "canary" not in repr(found)
    missing = Provider(name="p", url="http://127.0.0.1:1/", token=Secret("token", env="TOKEN", environ={}))
    with pytest.raises(ConfigError):
        contact(missing)


def test_no_network() -> None:
    """Nothing is asked, also where a redirect leads away, and that is said; this machine may be asked."""
    with without_network():
        found = contact(YFINANCE)
        assert (told(found), found.tried, found.attempts) == (("warning", "provider.not_tried"), False, 0)
        with answering(answer(302, "Location: http://192.0.2.1/")) as server:
            assert told(asked(server.url)) == ("warning", "provider.not_tried")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where urllib3 is not installed the error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "urllib3", None)
    with pytest.raises(ToolError) as caught:
        contact(YFINANCE)
    assert caught.value.code == "tool.missing"
    assert "drillbook[ingest]" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host/", "host/path", "http://", "http://host:99999/", "http://[::1/", "file:///etc/passwd"],
)
def test_addresses_that_are_none(url: str) -> None:
    """What is no address of a web server is refused when the configuration is read."""
    with pytest.raises(ConfigError):
        require_url(url, "here")


def test_a_proxy_is_used_and_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other machines are asked through the proxy of the environment, as an ingest job would; this one is not."""
    with answering(answer(200)) as proxy, answering(answer(200)) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert told(asked("http://quotes.example.invalid/")) == ("ok", "provider.answers")
        assert proxy.requests[0].startswith("GET http://quotes.example.invalid/")
        assert told(asked(server.url)) == ("ok", "provider.answers")
        assert len(proxy.requests) == 1
