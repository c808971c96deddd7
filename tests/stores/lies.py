"""What servers, gateways and proxies have been seen to answer, each as a small lie for `tests.stores.lying`."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from tests.stores.lying import Answer, Forward, Lie, Request

Change: TypeAlias = Callable[[Request, Forward], Answer]
_XML: Final = {"Content-Type": "application/xml", "x-amz-request-id": "1"}
_HTML: Final = b"<!doctype html><html><head><title>Sign in<br></head><body><p>Please sign in</body></html>"
_XHTML: Final = (
    b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Sign in</title></head><body/></html>'
)
_ENTRY: Final = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_OBJECTS: Final = ("GET", "HEAD")
_WRITES: Final = ("PUT", "PART", "BEGIN", "COMPLETE")


def lie(*kinds: str) -> Callable[[Change], Lie]:
    """Make a lie about requests of these kinds of a function."""
    return lambda change: Lie(frozenset(kinds), change)


def refusal(status: int, code: str, message: str = "", *kinds: str) -> Lie:
    """The request is refused with that code, and never reaches the server."""
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()
    return Lie(frozenset(kinds), lambda request, forward: Answer(status, _XML, body))


# --- bodies ----------------------------------------------------------------------------------------------------------


@lie("GET")
def cut_in_the_middle(request: Request, forward: Forward) -> Answer:
    """The connection ends in the middle of the body."""
    answer = forward(request)
    return replace(answer, cut=len(answer.body) // 2)


@lie("GET")
def one_byte_flipped(request: Request, forward: Forward) -> Answer:
    """One bit of the content is another one."""
    answer, body = forward(request), bytearray(forward(request).body)
    if answer.status < 300 and body:
        body[len(body) // 2] ^= 1
    return replace(answer, body=bytes(body))


@lie("GET")
def truncated(request: Request, forward: Forward) -> Answer:
    """Half of the content, and a Content-Length that fits."""
    answer = forward(request)
    return replace(answer, body=answer.body[: len(answer.body) // 2]) if answer.status < 300 else answer


@lie("GET")
def longer(request: Request, forward: Forward) -> Answer:
    """The content, and something behind it."""
    answer = forward(request)
    return replace(answer, body=answer.body + b"more") if answer.status < 300 else answer


@lie("GET")
def empty(request: Request, forward: Forward) -> Answer:
    """Nothing, with a Content-Length of 0."""
    answer = forward(request)
    return replace(answer, body=b"") if answer.status < 300 else answer


@lie("GET")
def without_range(request: Request, forward: Forward) -> Answer:
    """Range is not known: each answer is cut, and begins anew."""
    answer = forward(request.without("range"))
    return replace(answer, cut=len(answer.body) * 2 // 3)


# --- headers ---------------------------------------------------------------------------------------------------------


@lie(*_OBJECTS, "PUT", "PART")
def wrong_tag(request: Request, forward: Forward) -> Answer:
    """Another ETag each time."""
    return forward(request).header("ETag", f'"{next(_NUMBERS):032x}"')


@lie(*_OBJECTS, "PUT", "PART")
def without_tag(request: Request, forward: Forward) -> Answer:
    """No ETag."""
    return forward(request).header("ETag", None)


@lie(*_OBJECTS)
def without_length(request: Request, forward: Forward) -> Answer:
    """No Content-Length; the body ends with the connection."""
    return replace(forward(request), length=-1)


@lie("GET")
def without_length_of_content(request: Request, forward: Forward) -> Answer:
    """No Content-Length of a content; whoever asks for the size alone is told."""
    return replace(forward(request), length=-1)


@lie("HEAD")
def other_size_in_head(request: Request, forward: Forward) -> Answer:
    """A HEAD tells another size than the content has."""
    answer = forward(request)
    return replace(answer, length=123_456) if answer.status < 300 else answer


@lie(*_OBJECTS, *_WRITES, "LIST", "DELETE", "BUCKET")
def clock_an_hour_off(request: Request, forward: Forward) -> Answer:
    """The Date is an hour ahead."""
    return forward(request).header("Date", formatdate(time.time() + 3600, usegmt=True))


# --- somebody else answers -------------------------------------------------------------------------------------------


def page(body: bytes, *kinds: str) -> Lie:
    """An HTML page with status 200."""
    told = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
    return Lie(frozenset(kinds), lambda request, forward: Answer(200, told, body))


def redirect(status: int, code: str, location: str, **headers: str) -> Lie:
    """All is answered with a redirect."""
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else _HTML
    told = {
        **_XML,
        "Location": location,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Lie(_EVERYTHING, lambda request, forward: Answer(status, told, body))


_EVERYTHING: Final = frozenset((*_OBJECTS, *_WRITES, "LIST", "DELETE", "DELETE_MANY", "BUCKET"))
html_for_a_listing: Final = page(_HTML, "LIST")
xhtml_for_a_listing: Final = page(_XHTML, "LIST")
html_for_content: Final = page(_HTML, "GET")
xhtml_for_content: Final = page(_XHTML, "GET")
html_for_a_head: Final = page(_HTML, "HEAD")
html_for_everything: Final = page(_XHTML, *_EVERYTHING)
html_for_writes: Final = page(_XHTML, *_WRITES)
html_for_a_removal: Final = page(_XHTML, "DELETE", "DELETE_MANY")
other_region: Final = redirect(
    301, "PermanentRedirect", "http://127.0.0.1:9/elsewhere", x_amz_bucket_region="eu-central-2"
)
login_page: Final = redirect(302, "", "https://user:secret@login.example.org/?token=secret")
other_address: Final = redirect(307, "", "http://s3.example.org:9000/bucket")


# --- listings --------------------------------------------------------------------------------------------------------


def _without_end(answer: Answer, token: str) -> Answer:
    more = b"<IsTruncated>true</IsTruncated>"
    if token:
        more += f"<NextContinuationToken>{token}</NextContinuationToken>".encode()
    body = re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", answer.body)
    return replace(answer, body=re.sub(rb"<IsTruncated>\w+</IsTruncated>", more, body))


_NUMBERS = itertools.count(1)


def _first_page(request: Request, forward: Forward) -> Answer:
    target = re.sub(r"&?continuation-token=[^&]*", "", request.target)
    return forward(replace(request, target=target, altered=True))


@lie("LIST")
def same_token_for_ever(request: Request, forward: Forward) -> Answer:
    """A listing that never ends: the same page under the same token."""
    return _without_end(_first_page(request, forward), "again")


@lie("LIST")
def new_tokens_for_ever(request: Request, forward: Forward) -> Answer:
    """A listing that never ends: the same page under ever new tokens."""
    return _without_end(_first_page(request, forward), f"again-{next(_NUMBERS)}")


@lie("LIST")
def empty_pages_for_ever(request: Request, forward: Forward) -> Answer:
    """A listing that never ends: pages without any name under ever new tokens."""
    answer = _without_end(_first_page(request, forward), f"again-{next(_NUMBERS)}")
    return replace(answer, body=_ENTRY.sub(b"", answer.body))


@lie("LIST")
def new_names_for_ever(request: Request, forward: Forward) -> Answer:
    """A listing that never ends: one name that was never there before on each page, in order."""
    answer, number = _without_end(_first_page(request, forward), f"again-{next(_NUMBERS)}"), next(_NUMBERS)
    prefix = request.query.get("prefix", [""])[0]
    entry = (
        f"<Contents><Key>{escape(prefix)}zz{number:09}</Key><LastModified>2026-11-27T22:00:00.000Z</LastModified>"
        '<ETag>"a"</ETag><Size>1</Size></Contents>'
    ).encode()
    body = _ENTRY.sub(b"", answer.body).replace(b"</ListBucketResult>", entry + b"</ListBucketResult>")
    return replace(answer, body=body)


@lie("LIST")
def more_without_a_token(request: Request, forward: Forward) -> Answer:
    """A listing of version 1: it says that there are more, and tells no token."""
    return _without_end(forward(request), "")


@lie("LIST")
def without_order(request: Request, forward: Forward) -> Answer:
    """The names of each page come backwards."""
    answer = forward(request)
    entries = iter(_ENTRY.findall(answer.body)[::-1])
    return replace(answer, body=_ENTRY.sub(lambda _: next(entries), answer.body))


@lie("LIST")
def without_sizes(request: Request, forward: Forward) -> Answer:
    """No object has a size."""
    answer = forward(request)
    return replace(answer, body=re.sub(rb"<Size>\d+</Size>", b"", answer.body))


@lie("LIST")
def of_another_bucket(request: Request, forward: Forward) -> Answer:
    """The listing is that of another bucket."""
    answer = forward(request)
    return replace(answer, body=re.sub(rb"<Name>.*?</Name>", b"<Name>another</Name>", answer.body))


@lie("LIST")
def of_everything(request: Request, forward: Forward) -> Answer:
    """The listing is that of the whole bucket, whatever prefix was asked for: a cache that ignores the question."""
    target = re.sub(r"&?prefix=[^&]*", "", request.target)
    return forward(replace(request, target=target, altered=True))


@lie("LIST")
def cut_off(request: Request, forward: Forward) -> Answer:
    """The connection ends in the middle of a listing."""
    answer = forward(request)
    return replace(answer, cut=len(answer.body) // 2)


@lie("LIST")
def broken_off(request: Request, forward: Forward) -> Answer:
    """Half of a listing, and a Content-Length that fits."""
    answer = forward(request)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def hidden(name: str) -> Lie:
    """A listing of before: what holds that name is not in it yet."""

    def change(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        body = _ENTRY.sub(lambda found: b"" if name.encode() in found[0] else found[0], answer.body)
        return replace(answer, body=body)

    return Lie(frozenset(("LIST",)), change)


def still_shown(old: str, new: str) -> Lie:
    """A listing of before: for each object with `old` in its name one with `new`, which was removed, is still in it."""

    def change(request: Request, forward: Forward) -> Answer:
        def twice(found: re.Match[bytes]) -> bytes:
            entry = found[0].replace(old.encode(), new.encode())
            fits = b"<Key>" + request.query["prefix"].encode() in entry
            return entry + found[0] if entry != found[0] and fits else found[0]

        if new in request.query["prefix"]:
            asked = replace(request, target=request.target.replace(new, old), altered=True)
            answer = forward(asked)
            return replace(answer, body=answer.body.replace(old.encode(), new.encode()))
        answer = forward(request)
        return replace(answer, body=_ENTRY.sub(twice, answer.body))

    return Lie(frozenset(("LIST",)), change)


@lie("LIST")
def nothing_there(request: Request, forward: Forward) -> Answer:
    """A well-formed listing of nothing."""
    answer = forward(request)
    return replace(answer, body=_ENTRY.sub(b"", answer.body))


# --- writing ---------------------------------------------------------------------------------------------------------


@lie("PUT")
def swallowed_put(request: Request, forward: Forward) -> Answer:
    """The put is answered with 200, and nothing is stored."""
    return Answer(200, {**_XML, "ETag": '"0"'}, b"")


@lie("DELETE", "DELETE_MANY")
def swallowed_delete(request: Request, forward: Forward) -> Answer:
    """The removal is answered as if it was done, and nothing is removed."""
    if request.method == "DELETE":
        return Answer(204, _XML, b"")
    return Answer(200, _XML, b"<DeleteResult/>")


@lie("PUT", "COMPLETE")
def answer_lost(request: Request, forward: Forward) -> Answer:
    """It is done, and the connection ends before the answer."""
    forward(request)
    return Answer(200, {}, b"", length=10, cut=0)


@lie("COMPLETE", "DELETE_MANY")
def error_in_success(request: Request, forward: Forward) -> Answer:
    """Nothing is done, and the answer of status 200 holds an error."""
    return Answer(200, _XML, b"<Error><Code>InternalError</Code><Message>later</Message></Error>")


@lie("COMPLETE")
def error_after_success(request: Request, forward: Forward) -> Answer:
    """It is done, and the answer of status 200 holds an error."""
    forward(request)
    return Answer(200, _XML, b"<Error><Code>InternalError</Code><Message>later</Message></Error>")


@lie("PUT", "PART")
def stored_damaged(request: Request, forward: Forward) -> Answer:
    """What is stored has one other bit; the checksum that was sent is echoed, and not compared."""
    body = bytearray(request.body)
    if body:
        body[len(body) // 2] ^= 1
    answer = forward(request.with_body(bytes(body)))
    checksum = request.headers.get("x-amz-checksum-sha256")
    return answer.header("x-amz-checksum-sha256", checksum) if checksum else answer


@lie("PUT", "COMPLETE")
def condition_ignored(request: Request, forward: Forward) -> Answer:
    """If-None-Match is not heeded: what is there is replaced."""
    return forward(request.without("if-none-match"))


@lie("PUT", "COMPLETE")
def condition_not_offered(request: Request, forward: Forward) -> Answer:
    """If-None-Match is refused with 501."""
    if "if-none-match" not in request.headers:
        return forward(request)
    return Answer(501, _XML, b"<Error><Code>NotImplemented</Code><Header>If-None-Match</Header></Error>")


def checksums_refused(status: int, code: str) -> Lie:
    """Headers with checksums are refused, as by Backblaze B2 and older servers; what HEAD would tell of them as well."""
    body = (
        f"<Error><Code>{code}</Code><Message>Unsupported header received for this API call</Message></Error>"
    )

    def change(request: Request, forward: Forward) -> Answer:
        if any(name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum")) for name in request.headers):
            return Answer(status, _XML, b"" if request.method == "HEAD" else body.encode())
        return forward(request)

    return Lie(frozenset((*_OBJECTS, *_WRITES, "DELETE_MANY")), change)


@lie("PUT", "COMPLETE", *_WRITES, "HEAD")
def nothing_newer(request: Request, forward: Forward) -> Answer:
    """Neither conditions nor checksums are known, and the refusal does not say which of them it means."""
    newer = ("x-amz-checksum-", "x-amz-sdk-checksum", "if-none-match")
    if any(name.startswith(newer) for name in request.headers):
        return Answer(501, _XML, b"<Error><Code>NotImplemented</Code></Error>")
    return forward(request)


checksums_not_offered: Final = checksums_refused(501, "NotImplemented")
checksums_invalid: Final = checksums_refused(400, "InvalidRequest")
checksums_unsupported: Final = checksums_refused(400, "InvalidArgument")
wants_md5: Final = refusal(400, "MissingContentMD5", "Missing required header: Content-Md5.", "DELETE_MANY")
no_removal_together: Final = refusal(501, "NotImplemented", "", "DELETE_MANY")
no_such_method: Final = refusal(405, "MethodNotAllowed", "", "DELETE_MANY")
too_busy: Final = refusal(503, "SlowDown", "Please reduce your request rate.", *_EVERYTHING)
clocks_differ: Final = refusal(403, "RequestTimeTooSkewed", "", *_EVERYTHING)
expired: Final = refusal(400, "ExpiredToken", "", *_EVERYTHING)
broken_server: Final = refusal(500, "InternalError", "", *_EVERYTHING)
not_seen_yet: Final = refusal(404, "NoSuchKey", "", "HEAD")
listed_and_gone: Final = refusal(404, "NoSuchKey", "", "GET")
no_uploads_listed: Final = refusal(501, "NotImplemented", "", "BUCKET", "PARTS")
