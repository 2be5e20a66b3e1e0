"""What can go wrong between a program and the API server."""

from __future__ import annotations

import re

_UNDECLARED = re.compile(r"(\w+): field not declared in schema")
_NO_KIND = ("the server could not find the requested resource", "404 page not found")


class ApiError(Exception):
    """A request that did not succeed.

    `retryable` says whether the same request may succeed later without anybody mending anything;
    `ambiguous` whether it may have been carried out all the same.
    """

    retryable = False
    ambiguous = False

    def __init__(self, what: str, message: str, *, status: int = 0, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{what}: {message}")
        self.what = what
        self.message = message
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class NotFoundError(ApiError):
    """The object, its namespace or its kind does not exist (404)."""


class AlreadyExistsError(ApiError):
    """An object of that name exists (409 AlreadyExists)."""


class ConflictError(ApiError):
    """The object is not what the precondition says (409 Conflict, or a failed JSON-Patch test)."""


class InvalidError(ApiError):
    """The API server refuses the content (400, 422); the message says why."""


class UndeclaredFieldError(InvalidError):
    """The kind, as it is installed, has no such field: its CRD is of another version than this program."""

    def __init__(self, what: str, message: str, *, status: int = 0, retry_after_seconds: float | None = None) -> None:
        found = _UNDECLARED.search(message)
        self.field = found[1] if found else ""
        """Name of the field, without the path to it."""
        hint = f"the installed CRDs are of another version than this program: {message}"
        super().__init__(what, hint, status=status, retry_after_seconds=retry_after_seconds)


class ForbiddenError(ApiError):
    """The identity may not do this (403), or the namespace is being deleted."""


class UnauthorizedError(ApiError):
    """The token or certificate is not accepted (401)."""

    retryable = True


class GoneError(ApiError):
    """The resource version is too old to watch or page from (410); list again."""


class UnavailableError(ApiError):
    """The API server is away, busy or broken (connection refused, 429, 5xx)."""

    retryable = True


class UnknownOutcomeError(ApiError):
    """No answer came in time, or the connection broke: the request may have been carried out."""

    retryable = True
    ambiguous = True


class ConfigurationError(Exception):
    """There is no usable way to an API server; the message says what to do."""


def from_status(what: str, status: int, body: dict[str, object], retry_after: str | None = None) -> ApiError:
    """The error for an HTTP status and the API server's `Status` object."""
    message = str(body.get("message") or f"HTTP {status}")
    reason = body.get("reason")
    kind: type[ApiError]
    if _UNDECLARED.search(message):
        kind = UndeclaredFieldError  # of server-side apply; its status is 500
    elif status == 404:
        if message.strip() in _NO_KIND:
            message = f"{message.strip()}; are the CRDs installed?"
        kind = NotFoundError
    elif status == 409:
        kind = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    elif status == 422 and ("the server rejected our request due to an error in our request" in message):
        kind = ConflictError  # how the API server answers a JSON Patch whose `test` failed
    elif status in (400, 422):
        kind = InvalidError
    elif status == 403:
        kind = ForbiddenError
    elif status == 401:
        kind = UnauthorizedError
    elif status == 410:
        kind = GoneError
    else:
        kind = UnavailableError
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    return kind(what, message, status=status, retry_after_seconds=seconds)
