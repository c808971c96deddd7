"""Whether a provider of data answers: asked as an ingest job would, with its patience and its back-off."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ops.errors import ToolError
from ops.host.network import require_allowed
from ops.ingest_monitor.provider_answer import finding, judged, shown_url
from ops.ingest_monitor.provider_request import Asking, ask, require_client
from ops.ingest_monitor.settings import Provider
from ops.model.findings import Finding, Severity

_LOOK_EVERY_S: Final = 0.25
_GRACE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How asking a provider went. `latency_ms`: of the last attempt, to the end of its answer.

    `retry_after`: seconds that the provider wanted us to wait at last; `waited_s`: what was waited in all.
    """

    provider: str
    url: str
    tried: bool
    findings: tuple[Finding, ...]
    status: int | None = None
    latency_ms: float | None = None
    attempts: int = 0
    waited_s: float = 0.0
    retry_after: float | None = None


def contact(provider: Provider) -> Contact:
    """Ask the provider; what happened, with a finding for what it means.

    With `--no-network` nothing is asked, unless the provider is this machine. Raises ToolError (`tool.missing`), and
    ConfigError when the token cannot be had.
    """
    place = shown_url(provider.url)
    try:
        require_allowed([urlsplit(provider.url).hostname or ""], f"provider {provider.name!r}")
    except ToolError as error:
        untried = finding(Severity.WARNING, "provider.not_tried", error.message, provider)
        return Contact(provider=provider.name, url=place, tried=False, findings=(untried,))
    require_client()
    token, asking = provider.token.read(), Asking()
    thread = threading.Thread(target=ask, args=(provider, token, asking), name="provider", daemon=True)
    thread.start()
    _wait(thread, asking, provider.timeout.total_seconds())
    took_s = (asking.ended or time.monotonic()) - asking.begun
    return Contact(
        provider=provider.name,
        url=place,
        tried=True,
        findings=(judged(provider, asking, took_s),),
        status=asking.status,
        latency_ms=round(took_s * 1000, 1),
        attempts=asking.attempts,
        waited_s=round(asking.waited_s, 3),
        retry_after=asking.retry_after,
    )


def _wait(thread: threading.Thread, asking: Asking, limit_s: float) -> None:
    """Until it is over, or the attempt that goes on has had its time: an answer that trickles breaks no time-out of a socket."""
    while thread.is_alive() and time.monotonic() - asking.begun < limit_s + _GRACE_S:
        thread.join(_LOOK_EVERY_S)
