"""Whose request it is: by the session's cookie, or by a bearer token that an authenticating proxy has set."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from polecat_dashboard.access.rate import Bucket, TooManyTriesError
from polecat_dashboard.access.sessions import Sessions
from polecat_kube.reviews import Reviews, User, bearer, token_key

CSRF_HEADER = "x-polecat-csrf"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and what the request must show to change something."""

    user: User
    token: str
    csrf: str
    by_cookie: bool

    def __repr__(self) -> str:
        return f"Principal({self.user.name!r})"


class Identifier:
    """Finds out who is asking."""

    def __init__(self, reviews: Reviews, sessions: Sessions, tries: Bucket) -> None:
        """`tries` holds back tokens that are not known yet."""
        self._reviews = reviews
        self._sessions = sessions
        self._tries = tries
        self._key = secrets.token_bytes(32)

    async def identify(self, request: HTTPConnection, cookie_name: str) -> Principal | None:
        """Who is asking, None when nobody whom the API server knows.

        Raises ApiError when it can't be asked, TooManyTriesError when too many unknown tokens have come.
        """
        token = bearer(request.headers.get("authorization"))
        if token is not None:
            user = await self.review(token)
            return None if user is None else Principal(user, token, self._csrf(token), by_cookie=False)
        cookie = request.cookies.get(cookie_name)
        session = self._sessions.find(cookie) if cookie else None
        if cookie is None or session is None:
            return None
        user = await self._reviews.identify(session.token)
        if user is None:
            self._sessions.end(cookie)
            return None
        return Principal(user, session.token, session.csrf, by_cookie=True)

    async def review(self, token: str) -> User | None:
        """Whose token it is. Raises as `identify` does."""
        if not self._reviews.knows(token) and not self._tries.take():
            raise TooManyTriesError
        return await self._reviews.identify(token)

    def _csrf(self, token: str) -> str:
        # A proxy adds the token to whatever the browser sends: such requests need proof of coming from the page too.
        return hmac.digest(self._key, token_key(token).encode(), "sha256").hex()


def csrf_valid(principal: Principal, header: str | None) -> bool:
    """Whether a write comes from the page of this user."""
    return header is not None and hmac.compare_digest(header.encode(), principal.csrf.encode())
