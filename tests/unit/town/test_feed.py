"""Readers that are up to date get what comes without a gap or a double, however they come, refuse and go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from polecat_town.streams import feed as feeds
from polecat_town.streams.feed import Entry, Feed


class Reader:
    """Notes what it is given; refuses every so many times."""

    def __init__(self, refuse_every: int = 0) -> None:
        self.seen: list[int] = []
        self._refuse_every = refuse_every
        self._asked = 0

    def take(self, entries: Sequence[Entry]) -> bool:
        """One time."""
        self._asked += 1
        if self._refuse_every and self._asked % self._refuse_every == 0:
            return False
        self.seen += [entry.seq for entry in entries]
        return True

    async def read(self, feed: Feed, last: int) -> None:
        """As a connection does it: what was missed is read by itself, then it is given again."""
        seq = 1
        while seq <= last:
            missed = feed.since(seq, 1 << 20)
            assert missed is not None, "it was too far behind for what is in memory"
            self.seen += [entry.seq for entry in missed]
            seq, _ = await feed.give(seq + len(missed), self.take, 30)


def push(feed: Feed, count: int, size: int = 10) -> None:
    """So many events."""
    for seq in range(feed.last_seq + 1, feed.last_seq + 1 + count):
        feed.push(Entry(seq, "status", b"x" * size))


async def test_all_readers_get_all_events_once() -> None:
    feed = Feed(0, lambda: 0.001)
    push(feed, 5)
    readers = [Reader(refuse_every=number) for number in range(6)]
    reading = []
    for reader in readers:
        reading.append(asyncio.create_task(reader.read(feed, 200)))
        push(feed, 7)
        await asyncio.sleep(0)
    while feed.last_seq < 200:
        push(feed, min(3, 200 - feed.last_seq))
        await asyncio.sleep(0)
    feed.close()
    await asyncio.wait_for(asyncio.gather(*reading), 30)
    for reader in readers:
        assert reader.seen == list(range(1, 201))


async def test_one_batch_is_the_same_object_for_all() -> None:
    feed, batches = Feed(0), []

    def take(entries: Sequence[Entry]) -> bool:
        batches.append(entries)
        return True

    given = [asyncio.create_task(feed.give(1, take, 30)) for _ in range(3)]
    await asyncio.sleep(0)
    push(feed, 2)
    while len(batches) < 3:
        await asyncio.sleep(0)
    assert batches[0] is batches[1] is batches[2] and [entry.seq for entry in batches[0]] == [1, 2]
    feed.close()
    assert [seq for seq, _ in await asyncio.gather(*given)] == [3, 3, 3]


async def test_who_is_not_up_to_date_is_told_at_once() -> None:
    feed = Feed(0)
    push(feed, 3)
    assert (await asyncio.wait_for(feed.give(2, Reader().take, 1000), 30))[0] == 2


async def test_more_than_memory_holds_is_left_to_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "RING_EVENTS", 3)
    feed, reader = Feed(0, lambda: 1000.0), Reader()
    given = asyncio.create_task(feed.give(1, reader.take, 1000))
    await asyncio.sleep(0)
    push(feed, 10)
    late = asyncio.create_task(feed.give(11, Reader().take, 1000))
    assert (await asyncio.wait_for(given, 30))[0] == 1 and not reader.seen
    feed.close()
    assert (await asyncio.wait_for(late, 30))[0] == 11
