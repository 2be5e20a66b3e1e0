"""Answers to those who may not read, or ask for what there is not: the same for streams and changes."""

from __future__ import annotations

from aiohttp import web

from polecat_kube.reviews import bearer
from polecat_town import metrics

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_WORDS = {
    400: "bad request",
    401: "a token is needed",
    403: "not allowed",
    404: "not found",
    503: "try again later",
}
"""The whole of every refusal: it must not tell what exists."""


def refusal(status: int) -> web.Response:
    """The answer with this status."""
    metrics.REFUSED_STREAM_READERS.labels(str(status)).inc()
    headers = dict(HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="polecat"'
    return web.Response(status=status, text=_WORDS[status], headers=headers)


def token_of(request: web.Request) -> str | None:
    """The bearer token that came with a request."""
    return bearer(request.headers.get("Authorization"))
