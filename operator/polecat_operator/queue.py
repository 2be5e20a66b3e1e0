"""A queue of keys: each key once, one worker at a time for a key, urgent keys first, failures later again."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from enum import IntEnum
from typing import NamedTuple


class Lane(IntEnum):
    """Order of urgency."""

    START = 0
    LIFE = 1
    LATER = 2
    """Only when nothing more urgent is there, or after `PATIENCE_SECONDS`."""


PATIENCE_SECONDS = 1.0
"""How long a storm of urgent keys may hold back the last lane."""


class Key(NamedTuple):
    """What is to be looked at."""

    kind: str
    namespace: str
    name: str


class KeyedQueue:
    """Keys wait in lanes. A key added while it is worked on is worked on once more afterwards.

    At most `later_limit` workers are busy with `Lane.LATER`, so that urgent keys always find one.
    """

    def __init__(
        self, *, later_limit: int, first_retry_seconds: float = 0.05, longest_retry_seconds: float = 30.0
    ) -> None:
        self._lanes: tuple[deque[tuple[Key, float]], ...] = tuple(deque() for _ in Lane)
        self._waiting: dict[Key, Lane] = {}
        self._running: dict[Key, Lane] = {}
        self._busy = [0 for _ in Lane]
        self._again: dict[Key, Lane] = {}
        self._timers: dict[Key, tuple[asyncio.Handle, float, Lane]] = {}
        """Key → timer, time of the loop when it is due, lane. (uvloop's handles don't all know their time.)"""
        self._failures: dict[Key, int] = {}
        self._later_limit = later_limit
        self._first_retry = first_retry_seconds
        self._longest_retry = longest_retry_seconds
        self._idle_workers: deque[asyncio.Future[None]] = deque()
        self._patience: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on (timers aside)."""
        return not self._waiting and not self._running

    @property
    def urgent(self) -> bool:
        """Whether anything but the last lane waits or is worked on."""
        return bool(self._busy[Lane.START] or self._busy[Lane.LIFE]) or any(
            self._lanes[lane] for lane in (Lane.START, Lane.LIFE)
        )

    def waiting(self, now: float) -> dict[Lane, tuple[int, float]]:
        """For each lane how many keys wait in it, and for how many seconds the first of them has; `now` of the loop."""
        counts = Counter(self._waiting.values())
        first = {
            lane: next((since for key, since in self._lanes[lane] if self._waiting.get(key) is lane), now)
            for lane in Lane
        }
        return {lane: (counts[lane], now - first[lane]) for lane in Lane}

    def add(self, key: Key, lane: Lane) -> None:
        """Puts a key in its lane; a key that waits in a slower lane moves up."""
        if key in self._running:
            self._again[key] = min(lane, self._again.get(key, lane))
            return
        before = self._waiting.get(key)
        if before is not None and before <= lane:
            return
        self._waiting[key] = lane
        self._lanes[lane].append((key, asyncio.get_running_loop().time()))
        self._wake_one()

    def add_after(self, key: Key, seconds: float, lane: Lane) -> None:
        """Puts a key in its lane after a while; of several times for one key the earliest counts."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, seconds)
        planned = self._timers.get(key)
        if planned is not None:
            timer, planned_when, planned_lane = planned
            lane = min(lane, planned_lane)
            if planned_when <= when and lane == planned_lane:
                return
            when = min(when, planned_when)
            timer.cancel()
        self._timers[key] = (loop.call_at(when, self._due, key, lane), when, lane)

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
            self._idle_workers.append(waiter)
            await waiter

    def _take(self) -> Key | None:
        for lane in Lane:
            keys = self._lanes[lane]
            while keys and self._waiting.get(keys[0][0]) is not lane:
                keys.popleft()  # it has moved to a quicker lane
            if not keys or (lane is Lane.LATER and not self._may_take_later(keys[0][1])):
                continue
            key, _ = keys.popleft()
            del self._waiting[key]
            self._running[key] = lane
            self._busy[lane] += 1
            return key
        return None

    def _may_take_later(self, since: float) -> bool:
        if self._busy[Lane.LATER] >= self._later_limit:
            return False
        if not self._busy[Lane.START] and not self._busy[Lane.LIFE]:
            return True
        loop = asyncio.get_running_loop()
        if loop.time() - since >= PATIENCE_SECONDS:
            return True
        if self._patience is None:
            self._patience = loop.call_at(since + PATIENCE_SECONDS, self._out_of_patience)
        return False

    def _out_of_patience(self) -> None:
        self._patience = None
        for _ in range(self._later_limit):
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle_workers:
            waiter = self._idle_workers.popleft()
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
        lane = self._running.pop(key)
        self._busy[lane] -= 1
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again)
        if self._lanes[Lane.LATER] and not self.urgent:
            for _ in range(self._later_limit - self._busy[Lane.LATER]):
                self._wake_one()
        else:
            self._wake_one()

    def close(self) -> None:
        """Cancels all timers."""
        for timer, _, _ in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
