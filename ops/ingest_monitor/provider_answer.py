"""What the answer of a provider, or its failure to give one, means for the operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from ops.errors import ToolError
from ops.ingest_monitor.provider_request import Asking, WaitTooLongError
from ops.ingest_monitor.settings import Provider
from ops.model.findings import Finding, Severity
from ops.units import format_duration

_LONGEST_REASON = 200
_OF_OBJECTS: Final = re.compile(
    r"""^\[Errno -?\d+\] |^\[[A-Z_: ]+\] |^[A-Z_]+\] |', \w+\(.*|(?: \(_ssl\.c:\d+\))?['")]*$"""
)
"""What is left of the representation of an exception around its text."""
_INCOMPLETE: Final = re.compile(r"IncompleteRead\((\d+) bytes read(?:, (\d+) more expected)?\)")
_ERRNO: Final = re.compile(r"\w+\((\d+), ['\"](.*?)['\"]\)")


def shown_url(url: str) -> str:
    """The URL without what may be secret in it: who asks, and the query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def judged(provider: Provider, asking: Asking, took_s: float) -> Finding:
    """The one finding about a request whose last attempt took that long."""
    if asking.ended is None:
        return _failed(
            provider, "provider.too_slow", f"gave no whole answer within {_said(provider.timeout)}"
        )
    if asking.error is not None:
        return _of_error(provider, asking.error, asking)
    if not HTTPStatus.OK <= (asking.status or 0) < HTTPStatus.MULTIPLE_CHOICES:
        return _of_refusal(provider, asking)
    answered = f"provider {provider.name!r} answered {asking.status}"
    if asking.attempts > 1:
        message = f"{answered} only at attempt {asking.attempts}"
        return finding(Severity.WARNING, "provider.flaky", message, provider)
    if took_s > provider.slow.total_seconds():
        message = f"{answered} after {format_duration(took_s)}, and {_said(provider.slow)} is slow"
        return finding(Severity.WARNING, "provider.slow", message, provider)
    message = f"{answered} in {format_duration(took_s)}"
    return finding(Severity.OK, "provider.answers", message, provider)


def _of_refusal(provider: Provider, asking: Asking) -> Finding:
    status = asking.status or 0
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        message = f"answered {status} {_phrase(status)}".rstrip() + ", and did not say where its data is"
        return _failed(provider, "provider.refused", message)
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return _failed(provider, "provider.refused", f"answered {status} {_phrase(status)}".rstrip())
    wait = ""
    if asking.retry_after is not None:
        wait = f" and wants us to wait {format_duration(asking.retry_after)}"
    return _failed(provider, "provider.rate_limited", f"limits our rate ({status}){wait}")


def _of_error(provider: Provider, error: Exception, asking: Asking) -> Finding:
    from urllib3 import exceptions as known

    if isinstance(error, WaitTooLongError):
        limited = asking.status == HTTPStatus.TOO_MANY_REQUESTS
        code = "provider.rate_limited" if limited else "provider.refused"
        wanted = format_duration(asking.retry_after or 0)
        message = f"answered {asking.status} and wants us to wait {wanted}, more than {_said(provider.longest_wait)}"
        return _failed(provider, code, message)
    if isinstance(error, ToolError):
        return finding(Severity.WARNING, "provider.not_tried", error.message, provider)
    reason: Exception = error
    if isinstance(error, known.MaxRetryError) and error.reason is not None:
        reason = error.reason
    for kinds, code, told in _meanings(known):
        if isinstance(reason, kinds):
            return _failed(provider, code, told(_why(reason)))
    return _failed(provider, "provider.unreachable", f"cannot be asked: {_short(str(reason))}")


def _meanings(known: Any) -> list[tuple[tuple[type, ...], str, Callable[[str], str]]]:  # noqa: ANN401 - a module
    """What each kind of urllib3's errors means, the special ones before those that they are a case of."""
    broken = (known.ProtocolError, known.DecodeError, known.IncompleteRead)
    return [
        (
            (known.NameResolutionError,),
            "provider.unknown_host",
            lambda _: "has a name that cannot be resolved",
        ),
        ((known.SSLError,), "provider.tls_failed", lambda why: f"cannot be trusted: {why}"),
        ((known.NewConnectionError,), "provider.unreachable", lambda why: f"took no connection: {why}"),
        (
            (known.ConnectTimeoutError,),
            "provider.unreachable",
            lambda _: "did not take the connection in time",
        ),
        ((known.ReadTimeoutError,), "provider.too_slow", lambda _: "did not answer in time"),
        (
            (known.ProxyError,),
            "provider.unreachable",
            lambda why: f"cannot be reached through the proxy: {why}",
        ),
        ((known.ResponseError,), "provider.refused", lambda why: f"sends us on and on: {why}"),
        (broken, "provider.broken_answer", lambda why: f"broke off its answer: {why}"),
    ]


def _why(reason: Exception) -> str:
    """Return in words why a request failed; what another error caused is told by that one."""
    cause = next((item for item in reason.args if isinstance(item, Exception)), None)
    match cause:
        case RemoteDisconnected():
            return "the connection was closed before an answer came"
        case BadStatusLine():
            return "what came is not HTTP"
        case HTTPException() if not isinstance(cause, IncompleteRead):
            return "the head of the answer is too long"
        case OSError(strerror=str(words)):
            return _short(words)
        case _:
            return _short(str(reason))


def _short(text: str) -> str:
    """Return the reason alone, without objects, numbers of errors and addresses before it, and places in C behind it."""
    if (cut := _INCOMPLETE.search(text)) is not None:
        more = f", {cut[2]} more were announced" if cut[2] else ""
        return f"{cut[1]} bytes came{more}"
    if (found := _ERRNO.search(text)) is not None:
        return found[2][:_LONGEST_REASON]
    reason = _OF_OBJECTS.sub("", text.rpartition(": ")[2]).strip(" '\"")
    return reason[:_LONGEST_REASON] or "no reason was given"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _said(duration: Any) -> str:  # noqa: ANN401 - a timedelta
    return format_duration(duration.total_seconds())


def _failed(provider: Provider, code: str, message: str) -> Finding:
    return finding(Severity.CRITICAL, code, f"provider {provider.name!r} {message}", provider)


def finding(severity: Severity, code: str, message: str, provider: Provider) -> Finding:
    """One about this provider."""
    return Finding(severity=severity, code=code, message=message, where=shown_url(provider.url))
