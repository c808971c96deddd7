"""What goes wrong between here and a bucket, as errors for the operator: which object, which step, what next."""

from __future__ import annotations

from typing import Any, Final

from ops.errors import OpsError, SpaceError, StoreError
from ops.stores.s3.answers import BAD_PAGE, ELSEWHERE, destination

_ANSWERS: Final = {
    "taken": ("PreconditionFailed", "412"),
    "conflict": ("ConditionalRequestConflict", "OperationAborted", "409"),
    "missing": ("NoSuchKey", "NotFound", "404"),
    "no_upload": ("NoSuchUpload",),
    "denied": (
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "Forbidden",
        "UnauthorizedAccess",
        "403",
    ),
    "not_offered": ("NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "501", "405"),
    "invalid": ("InvalidArgument", "InvalidRequest", "MissingContentMD5", "400"),
    "no_rule": (
        "NoSuchLifecycleConfiguration",
        "NoSuchObjectLockConfiguration",
        "ObjectLockConfigurationNotFoundError",
    ),
}
"""What a caller may expect -> the codes that servers answer with."""

_CODES: Final = {
    "store.refused": (
        *_ANSWERS["denied"],
        "AuthorizationHeaderMalformed",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    ),
    "store.credentials_expired": ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
    "store.clock_skew": ("RequestExpired", "RequestTimeTooSkewed"),
    "store.no_bucket": ("NoSuchBucket",),
    "store.redirected": (
        ELSEWHERE,
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
        "301",
        "302",
        "303",
        "307",
        "308",
    ),
    "store.bad_listing": (BAD_PAGE,),
    "store.throttled": (
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "429",
        "503",
    ),
    "store.checksum_refused": (
        "BadDigest",
        "InvalidDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    ),
    "space.store_full": (
        "InsufficientStorage",
        "InsufficientStorageSpace",
        "QuotaExceeded",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageFull",
        "507",
    ),
    "store.unreachable": ("504", "GatewayTimeout", "RequestTimeout", "502", "BadGateway"),
}
_OURS: Final = {theirs: ours for ours, several in _CODES.items() for theirs in several}
_EXPECTED: Final = {theirs: answer for answer, several in _ANSWERS.items() for theirs in several}

_ADVICE: Final = {
    "store.refused": (
        "the server refused the keys, or they may not do that",
        "compare the keys, the region and the policy with what docs: s3 says",
    ),
    "store.credentials_expired": (
        "the credentials have expired",
        "get new ones (log in again, renew the role), then run it again",
    ),
    "store.clock_skew": (
        "this machine's clock and the server's differ too much",
        "set the clock (timedatectl, chronyc makestep), then run it again",
    ),
    "store.no_bucket": (
        "there is no such bucket there",
        "check bucket, region and endpoint_url; a store never makes its bucket",
    ),
    "store.throttled": (
        "the server is too busy, also after waiting",
        "run it again later; fewer parts at once (parallel) ask less of it",
    ),
    "store.checksum_refused": (
        "what arrived was not what was sent",
        "run it again; if it stays, look at the network, a proxy in between, and this machine's memory",
    ),
    "space.store_full": (
        "the server has no room left, or a quota is used up; nothing was published",
        "make room there or raise the quota, then run it again",
    ),
    "store.unreachable": (
        "the server does not answer, or the connection broke",
        "check endpoint_url, the network, DNS and the server, then run it again",
    ),
    "store.bad_answer": (
        "what answered is not the store, or its answer makes no sense",
        "look at what answers at endpoint_url (a proxy, a login page, an unfinished server); see docs: s3",
    ),
    "store.bad_listing": (
        "what came is not a listing of the bucket",
        "look at what answers at endpoint_url (a proxy, a login page, an unfinished server); see docs: s3",
    ),
    "store.redirected": (
        "the server sends us elsewhere instead of answering",
        "if that is where the bucket is, name it with region and endpoint_url; if it is a login page, log in there",
    ),
    "store.no_credentials": (
        "no credentials were found",
        "name them with access_key_env and secret_key_env, a profile, or the AWS_* variables",
    ),
}
_MOST_DETAIL: Final = 200


class ExpectedAnswerError(Exception):
    """An answer that the caller is prepared for: one of the words `taken`, `missing` and so on.

    `code`: the server's. `about`: all that it said, in small letters. `under_marker`: what is missing lies under a
    delete marker.
    """

    def __init__(self, answer: str, code: str = "", about: str = "", *, under_marker: bool = False) -> None:
        super().__init__(answer)
        self.answer, self.code, self.about, self.under_marker = answer, code, about, under_marker


def expected(error: Exception, answer: str) -> ExpectedAnswerError:
    """Return the error that a caller is prepared for, with what else the server told."""
    marker = _headers(error).get("x-amz-delete-marker", "")
    said = " ".join(str(value) for value in _told(error).values())
    return ExpectedAnswerError(answer, _server_code(error), said.lower(), under_marker=marker == "true")


def bad_answer(step: str, what: str) -> StoreError:
    """Return the error for an answer that says that all went well, and is not one of the store's."""
    says, hint = _ADVICE["store.bad_answer"]
    return StoreError(f"{step}: {says} ({what})", code="store.bad_answer", hint=hint)


def answer_of(error: Exception) -> str:
    """The word for what a server answered; empty when it is none of those that a caller can expect."""
    return _EXPECTED.get(_server_code(error), "")


def translated(error: Exception, step: str, *, writing: bool) -> OpsError:
    """The error for the operator; `step` says what was tried with which object of which store.

    Texts of the library are not passed on: they can hold addresses with passwords, and keys.
    """
    inner = getattr(error, "kwargs", {}).get("error")
    if isinstance(inner, OpsError):
        return inner  # raised by the file that was being sent
    code = _our_code(error)
    detail = _detail(error)
    if code is None:
        code = "store.unwritable" if writing else "store.unreadable"
        answered = bool(_server_code(error))
        says = "the server answered with an error" if answered else "the request could not be made"
        hint = "look at the log of the server; see docs: s3" if answered else "check bucket, region and keys"
    else:
        says, hint = _ADVICE[code]
    kind = SpaceError if code == "space.store_full" else StoreError
    if "certificate" in detail:
        hint = "name the certificate authority with ca_bundle or AWS_CA_BUNDLE"
    return kind(f"{step}: {says} ({detail})", code=code, hint=hint)


def _told(error: Exception) -> dict[str, Any]:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    told: dict[str, Any] = response.get("Error", {})
    return told


def _headers(error: Exception) -> dict[str, str]:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    headers: dict[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def _server_code(error: Exception) -> str:
    return str(_told(error).get("Code", ""))


def _our_code(error: Exception) -> str | None:
    from botocore import exceptions as known
    from urllib3.exceptions import HTTPError

    if isinstance(error, known.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        return _OURS.get(_server_code(error)) or _OURS.get(str(status))
    if isinstance(
        error,
        known.NoCredentialsError
        | known.PartialCredentialsError
        | known.ProfileNotFound
        | known.CredentialRetrievalError,
    ):
        return "store.no_credentials"
    if isinstance(error, known.TokenRetrievalError | known.SSOError):
        return "store.credentials_expired"
    if isinstance(error, known.ParamValidationError | known.InvalidRegionError):
        return None
    return "store.unreachable" if isinstance(error, known.BotoCoreError | HTTPError) else "store.bad_answer"


def _detail(error: Exception) -> str:
    """The server's code, or the kind of the failure, in a few words."""
    if code := _server_code(error):
        if code == BAD_PAGE:
            return str(_told(error)["Message"])
        where = destination(_told(error), _headers(error)) if _OURS.get(code) == "store.redirected" else ""
        code = "a redirect" if code == ELSEWHERE else code
        return (f"{code} to {where}" if where else code)[:_MOST_DETAIL]
    name = type(error).__name__.removesuffix("Error")
    text = str(error)
    return f"{name}: certificate" if "CERTIFICATE_VERIFY_FAILED" in text else name
