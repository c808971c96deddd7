"""What goes wrong between here and a bucket, as errors for the operator: which object, which step, what next."""

from __future__ import annotations

from typing import Any, Final

from ops.errors import OpsError, SpaceError, StoreError

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
    "not_offered": ("NotImplemented", "MethodNotAllowed", "501", "405"),
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
    "store.no_bucket": ("NoSuchBucket", "PermanentRedirect", "301"),
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
    "store.no_credentials": (
        "no credentials were found",
        "name them with access_key_env and secret_key_env, a profile, or the AWS_* variables",
    ),
}
_MOST_DETAIL: Final = 200


class ExpectedAnswerError(Exception):
    """An answer that the caller is prepared for: one of the words `taken`, `missing` and so on."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


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


def _server_code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _our_code(error: Exception) -> str | None:
    from botocore import exceptions as known

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
    return "store.unreachable"


def _detail(error: Exception) -> str:
    """The server's code, or the kind of the failure, in a few words."""
    if code := _server_code(error):
        return code[:_MOST_DETAIL]
    name = type(error).__name__.removesuffix("Error")
    text = str(error)
    return f"{name}: certificate" if "CERTIFICATE_VERIFY_FAILED" in text else name
