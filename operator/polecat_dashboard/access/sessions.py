"""Sessions: a random number in a cookie stands for the bearer token, which never leaves this process in clear."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from polecat_dashboard.access.session_file import Kept, SessionFile

SESSIONS_MAX = 10_000
_ID_BYTES = 32
_NONCE_BYTES = 12
_WRITE_SECONDS = 60.0
"""How long the time of the last use in the file may be behind."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's signed-in browser."""

    token: str
    csrf: str
    started: float

    def __repr__(self) -> str:
        return f"Session(started={self.started})"


class Sessions:
    """All sessions. Tokens are kept encrypted with keys made of the cookies, which are not kept: neither alone helps.

    With a file they outlive a restart of the dashboard.
    """

    def __init__(
        self, idle_seconds: float, longest_seconds: float, clock: Callable[[], float], file: SessionFile | None = None
    ) -> None:
        """`clock` gives seconds since 1970."""
        self._idle_seconds = idle_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._file = file
        self._kept: dict[str, Kept] = file.load() if file is not None else {}
        self._written = {identity: kept.used for identity, kept in self._kept.items()}
        self._sweep()

    def create(self, token: str) -> str:
        """A new session for a token that has been reviewed; gives the cookie's value."""
        self._sweep()
        if len(self._kept) >= SESSIONS_MAX:
            self._remove(min(self._kept, key=lambda key: self._kept[key].used))
        cookie, now = secrets.token_urlsafe(_ID_BYTES), self._clock()
        identity = _identity(cookie)
        self._put(identity, Kept(_seal(cookie, token), now, now))
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The living session of a cookie; this counts as use."""
        identity = _identity(cookie)
        kept = self._kept.get(identity)
        if kept is None:
            return None
        token = None if self._expired(kept) else _unseal(cookie, kept.sealed)
        if token is None:
            self._remove(identity)
            return None
        self._put(identity, replace(kept, used=self._clock()))
        return Session(token, _derive(cookie, "csrf").hex(), kept.started)

    def end(self, cookie: str) -> None:
        """Signs out."""
        self._remove(_identity(cookie))

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return len(self._kept)

    def _put(self, identity: str, kept: Kept) -> None:
        self._kept[identity] = kept
        if self._file is not None and kept.used - self._written.get(identity, 0.0) >= _WRITE_SECONDS:
            self._file.put(identity, kept)
            self._written[identity] = kept.used

    def _remove(self, identity: str) -> None:
        self._written.pop(identity, None)
        if self._kept.pop(identity, None) is not None and self._file is not None:
            self._file.remove(identity)

    def _expired(self, kept: Kept) -> bool:
        now = self._clock()
        return now - kept.used > self._idle_seconds or now - kept.started > self._longest_seconds

    def _sweep(self) -> None:
        for identity in [identity for identity, kept in self._kept.items() if self._expired(kept)]:
            self._remove(identity)


def _identity(cookie: str) -> str:
    # Looked up by its hash, so that the time which the look-up takes tells nothing of the value.
    return hashlib.sha256(cookie.encode()).hexdigest()


def _derive(cookie: str, what_for: str) -> bytes:
    """32 bytes of a cookie that holds 256 random bits."""
    return hmac.digest(cookie.encode(), what_for.encode(), "sha256")


def _seal(cookie: str, token: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_derive(cookie, "token")).encrypt(nonce, token.encode(), None)


def _unseal(cookie: str, sealed: bytes) -> str | None:
    """The token; None for what was sealed with another cookie, or is damaged."""
    try:
        opened = AESGCM(_derive(cookie, "token")).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        return opened.decode()
    except (InvalidTag, ValueError):
        return None
