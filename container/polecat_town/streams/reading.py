"""Reading a stream from any event on, to its end: what lies on the volume first, then what comes."""

from __future__ import annotations

import asyncio
import logging
import zlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polecat_town.streams.feed import Entry, Feed, Take
from polecat_town.streams.hub import Streams
from polecat_town.streams.lines import LINE_MAX_BYTES, read_head
from polecat_town.streams.packed import read_part
from polecat_town.streams.segments import Segment, StreamID, list_segments, read_about

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 15.0
CHUNK_BYTES = 65_536
"""About how much is read, and held for a reader, at once; more only for a longer event."""
_POLL_SECONDS = 0.5
_TRIES = 10


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
class Given:
    """Events up to here were given directly."""

    last_seq: int


@dataclass(frozen=True, slots=True)
class End:
    """The attempt has ended, and this was all."""

    last_seq: int


News = Batch | Gap | Quiet | Given | End


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader is."""

    seq: int
    """The event that it needs next."""
    path: Path | None = None
    """The file in which that is, if it has been found, and from which byte on."""
    offset: int = 0


async def follow(streams: Streams, stream: StreamID, seq: int, take: Take | None = None) -> AsyncGenerator[News, None]:
    """All events from `seq` on. Nothing is held in memory for a reader that takes its time.

    With `take`, a reader that is up to date gets what comes through it; for as long as that goes on there is one
    `Given` each HEARTBEAT_SECONDS.
    """
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
        if feed is not None and latest is not None and take is not None:
            seq, spoken = await _give(feed, place.seq, take, spoken, left)
            if seq > place.seq:
                place = Place(seq)
                yield Given(seq - 1)
        elif feed is not None and latest is not None:
            await feed.wait(place.seq, left)
        else:
            # Between two lives of the supervisor, or its volume has lost what was in memory: nobody tells.
            await asyncio.sleep(min(left, _POLL_SECONDS))
        if loop.time() >= spoken + HEARTBEAT_SECONDS:
            yield Quiet()
            spoken = loop.time()


async def _give(feed: Feed, seq: int, take: Take, spoken: float, seconds: float) -> tuple[int, float]:
    """What the reader needs next, and when something was last told to it."""
    after, at = await feed.give(seq, take, seconds)
    return after, at if after > seq else spoken


def read_on(folder: Path, attempt: int, place: Place) -> tuple[list[News], Place]:
    """The next events on the volume, about CHUNK_BYTES of them, and the place after them."""
    for _ in range(_TRIES):
        try:
            return _read_on(list_segments(folder, attempt), place)
        except FileNotFoundError:
            # Packed or removed a moment ago: the next look shows that.
            continue
    return [], place


def _read_on(segments: Sequence[Segment], place: Place) -> tuple[list[News], Place]:
    index = max(0, bisect_right([segment.first_seq for segment in segments], place.seq) - 1)
    for segment in segments[index:]:
        if place.path != segment.path:
            place = Place(place.seq, segment.path)
        while True:
            whole, after = _read(segment, place.offset)
            if not whole:
                break
            entries = [entry for entry in map(_entry, whole.split(b"\n")) if entry and entry.seq >= place.seq]
            place = replace(place, offset=after)
            if entries:
                return _told(entries, place)
    return [], place


def _read(segment: Segment, offset: int) -> tuple[bytes, int]:
    """Whole lines from a byte of a file on, about CHUNK_BYTES of them, and where the next ones begin."""
    if segment.packed:
        try:
            return read_part(segment.path, offset)
        except zlib.error as error:
            log.error("the rest of %s can't be read: %s", segment.path, error)
            return b"", offset
    with segment.path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(CHUNK_BYTES)
        if b"\n" not in chunk:
            chunk += file.read(LINE_MAX_BYTES)
    whole = chunk[: chunk.rfind(b"\n") + 1]
    return whole, offset + len(whole)


def _told(entries: list[Entry], place: Place) -> tuple[list[News], Place]:
    news: list[News] = []
    if entries[0].seq > place.seq:
        news.append(Gap(place.seq, entries[0].seq - 1))
    return [*news, Batch(entries)], replace(place, seq=entries[-1].seq + 1)


def _entry(line: bytes) -> Entry | None:
    head = read_head(line)
    return Entry(head[0], head[1], line) if head else None
