"""What answers instead of the store: a login page, a proxy, a server that sends elsewhere. Told before it is believed."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

EVENT: Final = "before-parse.*.*"
"""What botocore emits when an answer is there, before it is parsed."""
BAD_PAGE: Final = "DrillbookBadPage"
"""The code under which botocore hears of a page that cannot be believed; it asks again, as after every error 500."""
ELSEWHERE: Final = "DrillbookRedirect"
_HTML: Final = ("text/html", "application/xhtml")
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_REGION: Final = re.compile(rb"<Region>|<Endpoint>|<Code>")
_HEADERS_ONLY: Final = {"put_object", "upload_part"}
"""What these have stored is looked at afterwards."""


def refuse_page(response: dict[str, Any], what: str) -> None:
    """Turn an answer into an error of the server's, so that botocore asks again and then tells `what` it was."""
    response["status_code"] = 500
    response["body"] = _error(BAD_PAGE, what)


def stop_at_redirect(response_dict: dict[str, Any], **_: object) -> None:
    """Turn a redirect that is none of S3's into an error that names where it leads.

    botocore would ask the server for the region of the bucket, be redirected again, and ask again without an end.
    """
    if response_dict["status_code"] not in _REDIRECTS:
        return
    headers, body = response_dict["headers"], response_dict["body"]
    if headers.get("x-amz-bucket-region") or (isinstance(body, bytes) and _REGION.search(body)):
        return
    response_dict["status_code"] = 400
    response_dict["body"] = _error(ELSEWHERE, _host(headers.get("Location", "")))


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()


def _host(address: str) -> str:
    """Return host and port of an address, without whoever is named before the @; empty when it has none."""
    try:
        return urlsplit(address).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def destination(error: dict[str, Any], headers: dict[str, str]) -> str:
    """Return where a redirect leads, as far as the answer tells: a region, a host, or both."""
    region = headers.get("x-amz-bucket-region") or str(error.get("Region", ""))
    host = str(error.get("Endpoint", "")) or _host(headers.get("location", ""))
    host = host or (str(error.get("Message", "")) if error.get("Code") == ELSEWHERE else "")
    parts = [f"region {region}"] if region else []
    return " at ".join([*parts, *([host] if host else [])])


def document_kind(body: bytes, root: str | None) -> str:
    """Return what an answer is that should be a listing; `root` is its outermost element, None where it has none."""
    start = body[:500].lstrip().lower()
    if (root is not None and root.lower() == "html") or start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if not start:
        return "an empty answer"
    if root is None:
        return "a document that breaks off or is no XML"
    return f"a document of the kind {root[:40]!r}"


def nonsense(operation: str, answer: dict[str, Any], name: str) -> str:
    """Return what is wrong with an answer that says that all went well; empty when nothing is.

    `name` is the object that it is about. An object that is called .html may be a page.
    """
    about = answer.get("ResponseMetadata", {})
    headers: dict[str, str] = about.get("HTTPHeaders", {})
    is_page = headers.get("content-type", "").lower().startswith(_HTML)
    if operation in {"get_object", "head_object"}:
        if is_page and not name.lower().endswith((".htm", ".html")):
            return "an HTML page"
        if "etag" not in headers and not any(header.startswith("x-amz-") for header in headers):
            return "an answer without anything that S3 tells of an object"
        return ""
    with_body = about.get("HTTPStatusCode") == 200 and headers.get("content-length") != "0"  # noqa: PLR2004
    return "an HTML page" if is_page and with_body and operation not in _HEADERS_ONLY else ""
