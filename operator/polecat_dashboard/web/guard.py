"""What every request goes through first: host, origin, who is asking, proof against forged writes; and our headers."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polecat_dashboard import metrics
from polecat_dashboard.access.headers import SECURITY_HEADERS
from polecat_dashboard.access.identity import CSRF_HEADER, Identifier, Principal, csrf_valid
from polecat_dashboard.access.origin import SAFE_METHODS, host_allowed, origin_allowed
from polecat_dashboard.access.rate import TooManyTriesError
from polecat_dashboard.web.answers import RefusedError, forbidden, refusal, unauthorized
from polecat_kube.errors import ApiError

log = logging.getLogger(__name__)
API = "/api/"
OPEN = frozenset({"/api/login", "/api/login/link"})
"""Paths of the API for people who are not signed in yet."""
PRINCIPAL = "polecat.principal"
AWAY = "the API server can't be asked now"
TOO_MANY = "too many tries; wait a moment"


class Guard:
    """An ASGI layer around the whole application."""

    def __init__(self, app: ASGIApp, identifier: Identifier, origins: frozenset[str], port: int) -> None:
        self._app = app
        self._identifier = identifier
        self._origins = origins
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        request = Request(scope)
        try:
            await self._admit(request)
        except RefusedError as error:
            await refusal(error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    async def _admit(self, request: Request) -> None:
        if not host_allowed(request.headers.get("host", ""), self._origins):
            metrics.REFUSED.labels("host").inc()
            raise forbidden()
        path = request.url.path
        if not path.startswith(API):
            return
        if not origin_allowed(request.method, request.headers, self._origins):
            metrics.REFUSED.labels("origin").inc()
            raise forbidden()
        if path in OPEN:
            return
        try:
            principal = await self._identifier.identify(request, cookie_name(request, self._origins, self._port))
        except ApiError as error:
            log.warning("nobody can be identified: %s", error)
            raise RefusedError(503, AWAY) from None
        except TooManyTriesError:
            metrics.REFUSED.labels("rate").inc()
            raise RefusedError(429, TOO_MANY) from None
        if principal is None:
            metrics.REFUSED.labels("identity").inc()
            raise unauthorized()
        if request.method not in SAFE_METHODS and not csrf_valid(principal, request.headers.get(CSRF_HEADER)):
            metrics.REFUSED.labels("csrf").inc()
            raise forbidden()
        request.scope[PRINCIPAL] = principal


def principal_of(request: Request) -> Principal:
    """Who is asking; only behind the guard."""
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def is_secure(request: Request, origins: frozenset[str]) -> bool:
    """Whether the browser came by https, as far as our own settings say."""
    return f"https://{request.headers.get('host', '').lower()}" in origins


def cookie_name(request: Request, origins: frozenset[str], port: int) -> str:
    """Cookies know no ports, so the name does: two dashboards on one machine must not sign each other out."""
    return "__Host-polecat" if is_secure(request, origins) else f"polecat-{port}"
