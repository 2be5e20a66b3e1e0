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


Take = Callable[[Sequence[Entry]], bool]
"""Gives events to a reader; False if it does not take them now."""


class _Reader:
    """Somebody who has all that was handed out."""

    def __init__(self, take: Take, seq: int, now: float) -> None:
        self.take = take
        self.seq = seq
        """The event that it needs next."""
        self.at = now
        """When it last got something, by the clock of the event loop."""
        self.over = asyncio.Event()


class Feed:
    """Appending costs the same with any number of readers.

    A few times a second those who are up to date get what has come, all the same bytes in one go, without a task of
    their own being woken; the others are told that there is something.
    """

    def __init__(self, last_seq: int, pause_seconds: Callable[[], float] = lambda: 0.0) -> None:
        """`pause_seconds`: how long at least between two wakings; it grows with the number of readers."""
        self.last_seq = last_seq
        self._ring: deque[Entry] = deque()
        self._ring_bytes = 0
        self._pause_seconds = pause_seconds
        self._news: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._woken_at = float("-inf")
        self._readers: set[_Reader] = set()
        self._handed_out = last_seq
        """The last event that those who are up to date have."""
        self.closed = False
        """Whether no more comes from here; the volume tells whether the attempt has ended."""

    def push(self, entry: Entry) -> None:
        """The next event."""
        self.last_seq = entry.seq
        self._ring.append(entry)
        self._ring_bytes += len(entry.line)
        while len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft().line)
        if self._timer is None and (self._news is not None or self._readers):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._woken_at + self._pause_seconds(), self._wake)

    def close(self) -> None:
        """Lets all readers know that nothing comes any more."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._news is not None or self._readers:
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

    async def give(self, seq: int, take: Take, seconds: float) -> tuple[int, float]:
        """Gives what comes to a reader that needs the event `seq` next.

        Until it does not take something, nothing comes any more, or so many seconds are over. Comes back with the
        number that it needs then, and when it last got something by the clock of the event loop. At once if it is
        not up to date.
        """
        reader = _Reader(take, seq, asyncio.get_running_loop().time())
        if self._handed_out < self.last_seq:
            self._hand_out()
        if self.closed or seq <= self.last_seq:
            return seq, reader.at
        self._readers.add(reader)
        try:
            async with asyncio.timeout(seconds):
                await reader.over.wait()
        except TimeoutError:
            pass
        finally:
            self._readers.discard(reader)
        return reader.seq, reader.at

    def _wake(self) -> None:
        self._timer = None
        self._woken_at = asyncio.get_running_loop().time()
        self._hand_out()
        news, self._news = self._news, None
        if news is not None:
            news.set()

    def _hand_out(self) -> None:
        """To all who are up to date; who does not take it is so no more, and reads on by itself."""
        batch = self.since(self._handed_out + 1, RING_BYTES)
        self._handed_out = self.last_seq
        now = asyncio.get_running_loop().time()
        for reader in list(self._readers):
            if batch and reader.take(batch):
                reader.seq, reader.at = batch[-1].seq + 1, now
            if self.closed or reader.seq <= self.last_seq:
                self._readers.discard(reader)
                reader.over.set()
