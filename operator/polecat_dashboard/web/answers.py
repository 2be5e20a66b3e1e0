"""Answers of the API, and bodies of requests. Refusals are constant: they tell nothing of what there is."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

BODY_MAX_BYTES = 1 << 20


class RefusedError(Exception):
    """The request is refused with this status; the words are for the person who asked."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


UNAUTHORIZED = "sign in first"
FORBIDDEN = "not allowed"
NOT_FOUND = "not found"


def unauthorized() -> RefusedError:
    """Nobody whom the API server knows."""
    return RefusedError(401, UNAUTHORIZED)


def forbidden() -> RefusedError:
    """Known, but not allowed."""
    return RefusedError(403, FORBIDDEN)


def not_found() -> RefusedError:
    """Allowed, but not there."""
    return RefusedError(404, NOT_FOUND)


def answer(content: Any, status: int = 200) -> Response:
    """JSON that no cache keeps."""
    return answer_json(json.dumps(content, separators=(",", ":")), status)


def answer_json(body: str | bytes, status: int = 200) -> Response:
    """The same of what is JSON already."""
    return Response(body, status, {"cache-control": "no-store"}, media_type="application/json")


def refusal(error: RefusedError) -> Response:
    """The answer for a refusal."""
    return answer({"error": error.words}, error.status)


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises RefusedError 400, 413 or 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(415, "the body must be application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_MAX_BYTES:
            raise RefusedError(413, "the body is too large")
        parts.append(part)
    try:
        body = json.loads(b"".join(parts))
    except ValueError:
        raise RefusedError(400, "the body is no JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return body


def text_field(body: dict[str, Any], key: str, longest: int) -> str:
    """A text of the body. Raises RefusedError 400."""
    value = body.get(key)
    if not isinstance(value, str) or len(value) > longest:
        raise RefusedError(400, f"{key} must be a text of at most {longest} characters")
    return value
