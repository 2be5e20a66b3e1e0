"""Holds back who tries many tokens: each unknown one costs the API server a review."""

from __future__ import annotations

from collections.abc import Callable


class TooManyTriesError(Exception):
    """Wait a moment."""


class Bucket:
    """So many at once, and so many a second after that."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
