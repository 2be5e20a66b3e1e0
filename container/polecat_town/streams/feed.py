"""The latest events of one attempt in memory, for those who read them as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RING_EVENTS = 1000
RING_BYTES = 262_144
"""Who is further behind reads from the volume."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    seq: int
    kind: str
    line: bytes
    """Its JSON, without the end of the line."""


class Feed:
    """Appending costs the same with any number of readers; they are woken together, a few times a second."""

    def __init__(self, last_seq: int, pause_seconds: Callable[[], float] = lambda: 0.0) -> None:
        """`pause_seconds`: how long at least between two wakings; it grows with the number of readers."""
        self.last_seq = last_seq
        self._ring: deque[Entry] = deque()
        self._ring_bytes = 0
        self._pause_seconds = pause_seconds
        self._news: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._woken_at = float("-inf")
        self.closed = False
        """Whether no more comes from here; the volume tells whether the attempt has ended."""

    def push(self, entry: Entry) -> None:
        """The next event."""
        self.last_seq = entry.seq
        self._ring.append(entry)
        self._ring_bytes += len(entry.line)
        while len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft().line)
        if self._news is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._woken_at + self._pause_seconds(), self._wake)

    def close(self) -> None:
        """Lets all readers know that nothing comes any more."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._news is not None:
            self._wake()

    def since(self, seq: int, most_bytes: int) -> Sequence[Entry] | None:
        """Events from a number on, until they are too many; None if the first is not in memory any more."""
        if seq > self.last_seq:
            return ()
        if not self._ring or self._ring[0].seq > seq:
            return None
        # Numbers have no gaps.
        first = len(self._ring) - (self.last_seq - seq + 1)
        found: list[Entry] = []
        for index in range(first, len(self._ring)):
            found.append(self._ring[index])
            most_bytes -= len(found[-1].line)
            if most_bytes <= 0:
                break
        return found

    async def wait(self, seq: int, seconds: float) -> bool:
        """Until the event of this number is there or nothing comes any more; False after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while self.last_seq < seq and not self.closed:
                    if self._news is None:
                        self._news = asyncio.Event()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        self._timer = None
        news, self._news = self._news, None
        if news is not None:
            self._woken_at = asyncio.get_running_loop().time()
            news.set()
