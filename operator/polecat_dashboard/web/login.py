"""Signing in and out, and who is signed in."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_dashboard import metrics
from polecat_dashboard.access.identity import Identifier
from polecat_dashboard.access.links import Links
from polecat_dashboard.access.rate import TooManyTriesError
from polecat_dashboard.access.sessions import Sessions
from polecat_dashboard.web.answers import RefusedError, answer, read_body, text_field, unauthorized
from polecat_dashboard.web.guard import AWAY, TOO_MANY, cookie_name, is_secure, principal_of
from polecat_kube.errors import ApiError
from polecat_kube.reviews import TOKEN_MAX_LENGTH, User

log = logging.getLogger(__name__)


class Login:
    """Routes of `/api/login`, `/api/logout` and `/api/session`."""

    def __init__(
        self, identifier: Identifier, sessions: Sessions, links: Links, origins: frozenset[str], port: int
    ) -> None:
        self._identifier = identifier
        self._sessions = sessions
        self._links = links
        self._origins = origins
        self._port = port
        self.routes = [
            Route("/api/login", self._by_token, methods=["POST"]),
            Route("/api/login/link", self._by_link, methods=["POST"]),
            Route("/api/logout", self._logout, methods=["POST"]),
            Route("/api/session", self._session),
        ]

    async def _by_token(self, request: Request) -> Response:
        token = text_field(await read_body(request), "token", TOKEN_MAX_LENGTH).strip()
        return await self._sign_in(request, token)

    async def _by_link(self, request: Request) -> Response:
        token = self._links.redeem(text_field(await read_body(request), "code", 200))
        if token is None:
            metrics.REFUSED.labels("link").inc()
            raise unauthorized()
        return await self._sign_in(request, token)

    async def _sign_in(self, request: Request, token: str) -> Response:
        try:
            user = await self._identifier.review(token)
        except TooManyTriesError:
            metrics.REFUSED.labels("rate").inc()
            raise RefusedError(429, TOO_MANY) from None
        except ApiError as error:
            log.warning("nobody can sign in: %s", error)
            raise RefusedError(503, AWAY) from None
        if user is None:
            metrics.REFUSED.labels("identity").inc()
            raise unauthorized()
        name = cookie_name(request, self._origins, self._port)
        if (old := request.cookies.get(name)) is not None:
            self._sessions.end(old)
        cookie = self._sessions.create(token)
        log.info("signed in user=%s", user.name)
        session = self._sessions.find(cookie)
        response = answer({"user": _shown(user), "csrf": session.csrf if session is not None else ""})
        # Without an age: it goes when the browser is closed.
        response.set_cookie(
            name, cookie, path="/", secure=is_secure(request, self._origins), httponly=True, samesite="strict"
        )
        return response

    async def _logout(self, request: Request) -> Response:
        name = cookie_name(request, self._origins, self._port)
        if (cookie := request.cookies.get(name)) is not None:
            self._sessions.end(cookie)
        response = answer({})
        response.delete_cookie(
            name, path="/", secure=is_secure(request, self._origins), httponly=True, samesite="strict"
        )
        return response

    async def _session(self, request: Request) -> Response:
        principal = principal_of(request)
        return answer({"user": _shown(principal.user), "csrf": principal.csrf, "canSignOut": principal.by_cookie})


def _shown(user: User) -> str:
    return user.name
