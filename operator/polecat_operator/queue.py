"""A queue of keys: each key once, one worker at a time for a key, urgent keys first, failures later again."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import IntEnum
from typing import NamedTuple


class Lane(IntEnum):
    """Order of urgency."""

    START = 0
    LIFE = 1
    LATER = 2


class Key(NamedTuple):
    """What is to be looked at."""

    kind: str
    namespace: str
    name: str


class KeyedQueue:
    """Keys wait in lanes. A key added while it is worked on is worked on once more afterwards.

    At most `later_limit` workers are busy with `Lane.LATER`, so that urgent keys always find one.
    """

    def __init__(self, *, later_limit: int, first_retry_seconds: float = 0.05, longest_retry_seconds: float = 30.0):
        self._lanes: tuple[deque[Key], ...] = tuple(deque() for _ in Lane)
        self._waiting: dict[Key, Lane] = {}
        self._running: dict[Key, Lane] = {}
        self._again: dict[Key, Lane] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._later_limit = later_limit
        self._first_retry = first_retry_seconds
        self._longest_retry = longest_retry_seconds
        self._free: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on (timers aside)."""
        return not self._waiting and not self._running

    def add(self, key: Key, lane: Lane) -> None:
        """Puts a key in its lane; a key that waits in a slower lane moves up."""
        if key in self._running:
            self._again[key] = min(lane, self._again.get(key, lane))
            return
        before = self._waiting.get(key)
        if before is not None and before <= lane:
            return
        self._waiting[key] = lane
        self._lanes[lane].append(key)
        self._notify()

    def add_after(self, key: Key, seconds: float, lane: Lane) -> None:
        """Puts a key in its lane after a while; of several times for one key the earliest counts."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, seconds)
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key, lane)

    def _due(self, key: Key, lane: Lane) -> None:
        self._timers.pop(key, None)
        self.add(key, lane)

    async def get(self) -> Key:
        """The next key; the caller must call `done` or `failed` for it."""
        while True:
            key = self._take()
            if key is not None:
                return key
            waiter = asyncio.get_running_loop().create_future()
            self._free.append(waiter)
            try:
                await waiter
            finally:
                if not waiter.done() or waiter.cancelled():
                    self._free = deque(other for other in self._free if other is not waiter)

    def _take(self) -> Key | None:
        for lane in Lane:
            if lane is Lane.LATER and self._busy_later() >= self._later_limit:
                return None
            keys = self._lanes[lane]
            while keys:
                key = keys.popleft()
                if self._waiting.get(key) is lane:  # else it has moved to a quicker lane
                    del self._waiting[key]
                    self._running[key] = lane
                    return key
        return None

    def _busy_later(self) -> int:
        return sum(1 for lane in self._running.values() if lane is Lane.LATER)

    def _notify(self) -> None:
        while self._free:
            waiter = self._free.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def done(self, key: Key) -> None:
        """The key was worked on without a failure."""
        self._failures.pop(key, None)
        self._finish(key)

    def failed(self, key: Key, lane: Lane, retry_after_seconds: float | None = None) -> float:
        """The key is to be tried again after a pause that doubles with each failure; gives the pause in seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = min(self._longest_retry, self._first_retry * float(2 ** min(count, 16)))
        pause = max(pause, retry_after_seconds or 0.0)
        self._finish(key)
        self.add_after(key, pause, lane)
        return pause

    def _finish(self, key: Key) -> None:
        self._running.pop(key, None)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again)
        self._notify()  # a worker may have been held back by the limit of the last lane

    def close(self) -> None:
        """Cancels all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
