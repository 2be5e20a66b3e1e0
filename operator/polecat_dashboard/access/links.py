"""One-time links: a random code that opens one session, once, within a minute."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

LINKS_MAX = 256
_CODE_BYTES = 32


class Links:
    """Codes that wait to be used. The code stands in the fragment of the link, which browsers send to nobody."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._waiting: dict[str, tuple[float, str]] = {}

    def create(self, token: str) -> str:
        """A code of 256 random bits for a token."""
        now = self._clock()
        self._waiting = {key: kept for key, kept in self._waiting.items() if kept[0] > now}
        while len(self._waiting) >= LINKS_MAX:
            del self._waiting[next(iter(self._waiting))]
        code = secrets.token_urlsafe(_CODE_BYTES)
        self._waiting[_key(code)] = (now + self._seconds, token)
        return code

    def redeem(self, code: str) -> str | None:
        """The token of a code; None when it never was, was used before, or is too old."""
        kept = self._waiting.pop(_key(code), None)
        return kept[1] if kept is not None and kept[0] > self._clock() else None


def _key(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
