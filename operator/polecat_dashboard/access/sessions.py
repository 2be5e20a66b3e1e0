"""Sessions: a random number in a cookie stands for the bearer token, which stays in this process's memory."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

SESSIONS_MAX = 10_000
_ID_BYTES = 32


@dataclass(slots=True)
class Session:
    """Somebody's signed-in browser."""

    token: str
    csrf: str
    started: float
    used: float

    def __repr__(self) -> str:
        return f"Session(started={self.started})"


class Sessions:
    """All sessions, in memory only: a restart of the dashboard signs everybody out."""

    def __init__(self, idle_seconds: float, longest_seconds: float, clock: Callable[[], float]) -> None:
        self._idle_seconds = idle_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def create(self, token: str) -> str:
        """A new session for a token that has been reviewed; gives the cookie's value."""
        self._sweep()
        if len(self._sessions) >= SESSIONS_MAX:
            oldest = min(self._sessions, key=lambda key: self._sessions[key].used)
            del self._sessions[oldest]
        cookie, now = secrets.token_urlsafe(_ID_BYTES), self._clock()
        self._sessions[_key(cookie)] = Session(token, secrets.token_urlsafe(_ID_BYTES), now, now)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The living session of a cookie; this counts as use."""
        session = self._sessions.get(_key(cookie))
        if session is None:
            return None
        if self._expired(session):
            self.end(cookie)
            return None
        session.used = self._clock()
        return session

    def end(self, cookie: str) -> None:
        """Signs out."""
        self._sessions.pop(_key(cookie), None)

    def __len__(self) -> int:
        return len(self._sessions)

    def _expired(self, session: Session) -> bool:
        now = self._clock()
        return now - session.used > self._idle_seconds or now - session.started > self._longest_seconds

    def _sweep(self) -> None:
        for key in [key for key, session in self._sessions.items() if self._expired(session)]:
            del self._sessions[key]


def _key(cookie: str) -> str:
    # Looked up by its hash, so that the time which the look-up takes tells nothing of the value.
    return hashlib.sha256(cookie.encode()).hexdigest()
