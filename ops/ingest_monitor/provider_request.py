"""One request to a provider with its retries, by urllib3, and what is known of it while it goes on.

The back-off is urllib3's (https://urllib3.readthedocs.io/en/stable/reference/urllib3.util.html#urllib3.util.Retry):
exponential with jitter, and `Retry-After` in seconds or as a date is respected, up to a limit of ours.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ops.errors import ToolError
from ops.host.network import is_local, require_allowed
from ops.ingest_monitor.settings import Provider

_AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which it is asked again."""
_BACKOFF_S: Final = 0.5
_JITTER_S: Final = 0.5
_REDIRECTS: Final = 5
_MOST_BYTES: Final = 1 << 20
_BLOCK: Final = 16 << 10
_HINT: Final = "pip install 'drillbook[ingest]'"


class WaitTooLongError(Exception):
    """The provider wants us to wait longer than is allowed."""


@dataclass(slots=True)
class Asking:
    """What is known of a request; written by the thread that asks, read by the one that waits.

    `begun`: when the attempt that goes on began, or will, by the monotonic clock; `ended`: when all was over.
    `waited_s`: seconds between attempts; `retry_after`: seconds that the provider wanted at last.
    """

    begun: float = field(default_factory=time.monotonic)
    attempts: int = 1
    waited_s: float = 0.0
    retry_after: float | None = None
    status: int | None = None
    error: Exception | None = None
    ended: float | None = None


def require_client() -> None:
    """Return when providers can be asked here; raises ToolError (`tool.missing`)."""
    try:
        import urllib3  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ToolError("urllib3 is not installed", code="tool.missing", hint=_HINT) from error


def ask(provider: Provider, token: str | None, asking: Asking) -> None:
    """Ask, and read the answer to its end, up to a megabyte; whatever happens is written down, nothing is raised."""
    try:
        import urllib3

        headers = dict(provider.headers)
        if token is not None:
            headers[provider.auth_header] = f"{provider.auth_prefix}{token}"
        limit, retries, pool = provider.timeout.total_seconds(), _patience(provider, asking), _pool(provider)
        while asking.ended is None:
            response = pool.request(
                "GET",
                provider.url,
                headers=headers,
                retries=retries,
                timeout=urllib3.Timeout(connect=limit, read=limit),
                preload_content=False,
            )
            asking.retry_after = retries.get_retry_after(response) or asking.retry_after
            try:
                _read_whole(response)
            except (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError) as error:
                # The library asks again only until the first line of an answer has come.
                retries = response.retries.increment("GET", provider.url, error=error)
                retries.sleep()
            else:
                asking.status, asking.ended = response.status, time.monotonic()
    except Exception as error:  # noqa: BLE001 - the thread that waits says what it means
        asking.error = error
    finally:
        asking.ended = asking.ended or time.monotonic()


def _read_whole(response: Any) -> None:  # noqa: ANN401 - urllib3 is not always there
    """Read an answer up to a megabyte; raises what the library raises where it breaks off."""
    size = 0
    while size < _MOST_BYTES and (block := response.read(_BLOCK)):
        size += len(block)


def _patience(provider: Provider, asking: Asking) -> Any:  # noqa: ANN401 - urllib3 is not always there
    import urllib3

    longest = provider.longest_wait.total_seconds()

    class Patience(urllib3.Retry):
        """The back-off of urllib3, with a limit for what the provider wants, and written down."""

        def get_retry_after(self, response: Any) -> float | None:  # noqa: ANN401 - as urllib3 has it
            """None also for a header that is neither seconds nor a date: the back-off of our own goes on then."""
            # What is said is what was wanted: newer versions of the library would tell of six hours at most.
            self.retry_after_max = sys.maxsize
            try:
                return super().get_retry_after(response)
            except urllib3.exceptions.InvalidHeader:
                return None

        def sleep(self, response: Any = None) -> None:  # noqa: ANN401 - as urllib3 has it
            asking.retry_after = self.get_retry_after(response) if response is not None else None
            asking.status = getattr(response, "status", None)
            if asking.retry_after is not None and asking.retry_after > longest:
                raise WaitTooLongError
            pause = asking.retry_after if asking.retry_after is not None else self.get_backoff_time()
            asking.waited_s += pause
            asking.begun = time.monotonic() + pause
            time.sleep(pause)
            asking.attempts += 1
            asking.begun, asking.status = time.monotonic(), None

    return Patience(
        total=provider.retries + _REDIRECTS,
        connect=provider.retries,
        read=provider.retries,
        status=provider.retries,
        redirect=_REDIRECTS,
        other=0,
        status_forcelist=_AGAIN,
        backoff_factor=_BACKOFF_S,
        backoff_jitter=_JITTER_S,
        backoff_max=longest,
        raise_on_status=False,
        remove_headers_on_redirect={*urllib3.Retry.DEFAULT_REMOVE_HEADERS_ON_REDIRECT, provider.auth_header},
    )


def _pool(provider: Provider) -> Any:  # noqa: ANN401 - urllib3 is not always there
    import urllib3

    proxy = _proxy_for(provider.url, urllib.request.getproxies())
    base: Any = urllib3.ProxyManager if proxy else urllib3.PoolManager

    class Guarded(base):  # type: ignore[misc] # one of two
        """Asks before each request, also where a redirect leads, whether the machine may be contacted."""

        def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> Any:  # noqa: ANN401, FBT001, FBT002 - as urllib3 has it
            if (host := urlsplit(url).hostname) is not None:
                require_allowed([host], f"provider {provider.name!r}")
            return super().urlopen(method, url, redirect, **kw)

    certificates = {} if provider.ca_bundle is None else {"ca_certs": str(provider.ca_bundle)}
    return Guarded(*([proxy] if proxy else []), **certificates)


def _proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy of the environment for that address; none for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_local(host) or urllib.request.proxy_bypass(host):
        return None
    return proxies.get(parts.scheme) or None
