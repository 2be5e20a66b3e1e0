"""Reading a stream from any event on, to its end: what lies on the volume first, then what comes."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polecat_town.streams.feed import Entry
from polecat_town.streams.hub import Streams
from polecat_town.streams.lines import LINE_MAX_BYTES, read_head
from polecat_town.streams.segments import StreamID, list_segments, read_about

HEARTBEAT_SECONDS = 15.0
CHUNK_BYTES = 65_536
"""About how much is read, and held for a reader, at once; more only for a longer event."""
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, without a gap among them."""

    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Gap:
    """These events are no longer kept."""

    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing has come for HEARTBEAT_SECONDS."""


@dataclass(frozen=True, slots=True)
class End:
    """The attempt has ended, and this was all."""

    last_seq: int


News = Batch | Gap | Quiet | End


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader is."""

    seq: int
    """The event that it needs next."""
    path: Path | None = None
    """The file in which that is, if it has been found, and from which byte on."""
    offset: int = 0


async def follow(streams: Streams, stream: StreamID, seq: int) -> AsyncGenerator[News, None]:
    """All events from `seq` on. Nothing is held in memory for a reader that takes its time."""
    place = Place(seq)
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    while True:
        feed = streams.feed(stream)
        # Asked before the volume is read: what comes before the end is there by then.
        ended = feed is None and (await asyncio.to_thread(read_about, streams.folder(stream), stream.attempt)).ended
        latest = feed.since(place.seq, CHUNK_BYTES) if feed is not None else None
        if latest is None:
            news, place = await asyncio.to_thread(read_on, streams.folder(stream), stream.attempt, place)
        else:
            news = [Batch(latest)] if latest else []
            place = Place(latest[-1].seq + 1) if latest else place
        for each in news:
            yield each
            spoken = loop.time()
        if news:
            continue
        if ended or not streams.exists(stream):
            yield End(place.seq - 1)
            return
        left = max(0.0, spoken + HEARTBEAT_SECONDS - loop.time())
        if feed is not None and latest is not None:
            await feed.wait(place.seq, left)
        else:
            # Between two lives of the supervisor, or its volume has lost what was in memory: nobody tells.
            await asyncio.sleep(min(left, _POLL_SECONDS))
        if loop.time() >= spoken + HEARTBEAT_SECONDS:
            yield Quiet()
            spoken = loop.time()


def read_on(folder: Path, attempt: int, place: Place) -> tuple[list[News], Place]:
    """The next events on the volume, about CHUNK_BYTES of them, and the place after them."""
    segments = list_segments(folder, attempt)
    index = max(0, bisect_right([segment.first_seq for segment in segments], place.seq) - 1)
    for segment in segments[index:]:
        if place.path != segment.path:
            place = Place(place.seq, segment.path)
        try:
            with segment.path.open("rb") as file:
                while True:
                    file.seek(place.offset)
                    chunk = file.read(CHUNK_BYTES)
                    if b"\n" not in chunk:
                        chunk += file.read(LINE_MAX_BYTES)
                    whole = chunk[: chunk.rfind(b"\n") + 1]
                    if not whole:
                        break
                    entries = [entry for entry in map(_entry, whole.split(b"\n")) if entry and entry.seq >= place.seq]
                    place = replace(place, offset=place.offset + len(whole))
                    if entries:
                        return _told(entries, place)
        except FileNotFoundError:
            # Removed a moment ago, as it was the oldest: the next look tells of the gap.
            continue
    return [], place


def _told(entries: list[Entry], place: Place) -> tuple[list[News], Place]:
    news: list[News] = []
    if entries[0].seq > place.seq:
        news.append(Gap(place.seq, entries[0].seq - 1))
    return [*news, Batch(entries)], replace(place, seq=entries[-1].seq + 1)


def _entry(line: bytes) -> Entry | None:
    head = read_head(line)
    return Entry(head[0], head[1], line) if head else None
