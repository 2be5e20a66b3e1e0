"""I46, I47 and I49 at the streams themselves: readers that come, go, stop and come back; what agents may print."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from polecat_town import metrics
from polecat_town.endpoint.access import Verdict
from polecat_town.streams import reading
from polecat_town.streams.events import Kind
from polecat_town.streams.hub import Streams
from polecat_town.streams.journal import Journal
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.retention import prune
from polecat_town.streams.segments import StreamID, list_segments
from support.stream_client import Open, Reader, serving

NAMES = {"polecat": "web-toast", "bead": "fix", "rig": "web"}
STREAM = StreamID(str(uuid.UUID(int=7)), 1)
PATH = f"{STREAM.bead_uid}/{STREAM.attempt}"
MIB = 1 << 20


class Nowhere(io.StringIO):
    """Keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def opened(streams: Streams) -> Journal:
    """The journal of the stream; its copy on standard output is of no interest here."""
    with redirect_stdout(Nowhere()):
        return streams.open(STREAM, NAMES, Redactor)


def write(journal: Journal, count: int, size: int = 10) -> None:
    """So many events."""
    for _ in range(count):
        journal.append(Kind.STATUS, message="x" * size)


async def until(holds: Any) -> None:
    """Waits for something that comes by itself."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


async def test_i46_no_gap_and_no_double_over_restarts_of_all(tmp_path: Path) -> None:
    """The reader is cut off at any place, and the supervisor starts again while nobody reads, or somebody does."""
    reader = Reader("")
    written = 0
    for life in range(4):
        streams = Streams(tmp_path, segment_bytes=2000)
        journal = opened(streams)
        async with serving(streams) as url:
            reader.url = f"{url}/{PATH}"
            for step in range(3):
                write(journal, 30)
                written += 30
                wanted = written - 10 * step
                if len(reader.numbers) < wanted:
                    await reader.read(lambda r, wanted=wanted: len(r.numbers) >= wanted)  # type: ignore[misc]
            if life == 3:
                journal.append(Kind.ENDED, reason="Done", message="")
                written += 1
            journal.close(ended=life == 3)
            if life == 3:
                await reader.read()
    assert reader.numbers == list(range(1, written + 1))
    assert reader.events[-1] == ("end", {"lastSeq": written})


async def test_i46_a_reader_that_stays_hears_the_next_life(tmp_path: Path) -> None:
    """Between two lives of one journal in the same process, as when a life is tried again after a defect."""
    streams = Streams(tmp_path)
    journal = opened(streams)
    write(journal, 3)
    async with serving(streams) as url:
        reader = Reader(f"{url}/{PATH}")
        reading_on = asyncio.create_task(reader.read())
        await until(lambda: len(reader.numbers) == 3)
        journal.close()
        journal = opened(streams)
        write(journal, 3)
        await until(lambda: len(reader.numbers) == 6)
        journal.close(ended=True)
        await reading_on
    assert reader.numbers == [1, 2, 3, 4, 5, 6]
    assert reader.kinds[-1] == "end"


async def test_i46_many_readers_from_many_places(tmp_path: Path) -> None:
    streams = Streams(tmp_path, segment_bytes=20_000)
    journal = opened(streams)
    write(journal, 1500)
    async with serving(streams) as url:
        starts = [1, 2, 700, 1400, 1500, 1501, 1600]
        readers = [Reader(f"{url}/{PATH}?from={start}") for start in starts]
        running = [asyncio.create_task(reader.read()) for reader in readers]
        for _ in range(20):
            write(journal, 25)
            await asyncio.sleep(0)
        await until(lambda: all(reader.numbers[-1:] == [2000] for reader in readers))
        journal.close(ended=True)
        await asyncio.gather(*running)
    for start, reader in zip(starts, readers, strict=True):
        assert reader.numbers == list(range(start, 2001))


async def test_what_is_no_longer_kept_is_told(tmp_path: Path) -> None:
    streams = Streams(tmp_path, segment_bytes=2000)
    journal = opened(streams)
    write(journal, 200)
    prune(tmp_path, streams.in_use(), 0, 1e9, 6000)
    first = list_segments(tmp_path / STREAM.bead_uid)[0].first_seq
    assert 100 < first < 200
    journal.close(ended=True)
    streams = Streams(tmp_path)
    async with serving(streams) as url:
        reader = Reader(f"{url}/{PATH}?from=11")
        await reader.read()
        kind, gap = reader.events[0]
        assert (kind, gap["firstSeq"], gap["lastSeq"]) == ("gap", 11, first - 1)
        assert gap["message"] == f"events 11–{first - 1} are no longer kept"
        assert reader.numbers == list(range(first, 201))
        async with aiohttp.ClientSession() as session, session.get(f"{url}/{PATH}?download=1") as response:
            lines = [json.loads(line) async for line in response.content]
            assert response.content_type == "application/x-ndjson"
        assert lines[0]["kind"] == "gap"
        assert [line["seq"] for line in lines[1:]] == reader.numbers
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            (listed,) = (await response.json())["streams"]
        assert listed == {
            "beadUID": STREAM.bead_uid, "attempt": 1, "firstSeq": first, "lastSeq": 200, "ended": True, "names": NAMES,
        }  # fmt: skip


async def test_a_download_of_what_goes_on_ends_where_it_is(tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    journal = opened(streams)
    write(journal, 5)
    async with serving(streams) as url, aiohttp.ClientSession() as session:
        headers = {"Accept": "application/x-ndjson"}
        async with session.get(f"{url}/{PATH}", headers=headers) as response:
            assert len((await response.text()).splitlines()) == 5
        async with session.get(f"{url}/{PATH}?from=6", headers=headers) as response:
            assert await response.text() == ""
    journal.close()


HOSTILE = {
    "a line of 10 MB": "x" * (10 * MIB),
    "binary": bytes(range(256)).decode("latin-1") * 60,
    "ANSI": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J",
    "half a character": b"caf\xc3".decode("utf-8", "surrogateescape") + "\ud83d",
    "a tag": "</script><script>alert(1)</script>",
    "ends of lines": "a\r\nb\rc\n\n\nevent: end\ndata: {}\n\n\u2028\u2029\x85",
    "direction": "\u202egnp.exe\u2066",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_i47_whatever_is_printed_is_one_event(tmp_path: Path, what: str) -> None:
    streams = Streams(tmp_path)
    journal = opened(streams)
    journal.append(Kind.TOOL, callID="c", tool="bash", state="completed", output=HOSTILE[what], input={what: [what]})
    journal.append_piece(Kind.TEXT_DELTA, "p", HOSTILE[what] + " ", part="p", reasoning=False)
    journal.append(Kind.STATUS, message="after")
    journal.close(ended=True)
    async with serving(streams) as url:
        reader = Reader(f"{url}/{PATH}")
        await reader.read()
    kinds = [kind for kind in reader.kinds if kind != "text-delta"]
    assert kinds == ["tool", "status", "end"]
    assert reader.numbers == list(range(1, len(reader.numbers) + 1))
    output = reader.events[0][1]["data"]["output"]
    if len(HOSTILE[what]) > 100_000:
        assert output.endswith(f"… [{len(HOSTILE[what]) - 16_384} characters more]")
    else:
        assert output == HOSTILE[what].encode("utf-8", "replace").decode()


class Stuck:
    """A reader that asks and then takes nothing more."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def rest(self) -> bytes:
        """All that was sent to it."""
        return await asyncio.to_thread(self._rest)

    def _rest(self) -> bytes:
        data = b""
        self.socket.settimeout(60)
        try:
            while piece := self.socket.recv(65_536):
                data += piece
        except ConnectionError:
            pass
        return data


@pytest.fixture
async def stuck_ones() -> AsyncIterator[list[Stuck]]:
    """Closed at the end."""
    readers: list[Stuck] = []
    yield readers
    for reader in readers:
        reader.socket.close()


def dropped() -> float:
    """Readers that were sent away so far."""
    return metrics.REGISTRY.get_sample_value("polecat_town_dropped_stream_readers_total", {"cause": "stuck"}) or 0


async def test_i49_readers_that_stop_cost_no_memory(tmp_path: Path, stuck_ones: list[Stuck]) -> None:
    """Forty of them, and 60 MB of events: what is held for all is a fraction of it, and the others go on."""
    streams = Streams(tmp_path)
    journal = opened(streams)
    process = psutil.Process(os.getpid())
    async with serving(streams, stuck_seconds=1) as url:
        heard: list[int] = []

        def forget(reader: Reader) -> bool:
            heard[:] = [*heard, *reader.numbers][-1:]
            reader.events.clear()
            return False

        good = asyncio.create_task(Reader(f"{url}/{PATH}").read(forget))
        write(journal, 100, 10_000)
        await until(lambda: heard == [100])
        before, start = dropped(), process.memory_info().rss
        stuck_ones += [Stuck(f"{url}/{PATH}") for _ in range(40)]
        for _ in range(60):
            write(journal, 100, 10_000)
            await asyncio.sleep(0.02)
        await until(lambda: dropped() - before == 40)
        await until(lambda: heard == [6100])
        assert process.memory_info().rss - start < 30 * MIB
        journal.close(ended=True)
        await good


async def test_i49_who_was_sent_away_hears_why_and_can_go_on(tmp_path: Path, stuck_ones: list[Stuck]) -> None:
    streams = Streams(tmp_path)
    journal = opened(streams)
    write(journal, 500, 10_000)
    async with serving(streams, stuck_seconds=0.5) as url:
        before = dropped()
        stuck_ones.append(Stuck(f"{url}/{PATH}"))
        await until(lambda: dropped() > before)
        heard = await stuck_ones[0].rest()
        # It read again within its last moments, so the reason arrived.
        assert b'event: dropped\ndata: {"reason": "nothing was taken for too long"}' in heard
        numbers = [int(line[4:]) for line in heard.split(b"\n") if line.startswith(b"id: ")]
        assert numbers == list(range(1, len(numbers) + 1))
        reader = Reader(f"{url}/{PATH}", last_id=str(numbers[-1]))
        journal.close(ended=True)
        await reader.read()
        assert [*numbers, *reader.numbers] == list(range(1, 501))


async def test_a_reader_whose_right_ends_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polecat_town.endpoint.streams._RECHECK_SECONDS", 0)
    streams, access = Streams(tmp_path), Open()
    journal = opened(streams)
    async with serving(streams, access) as url:
        reader = Reader(f"{url}/{PATH}")
        reading_on = asyncio.create_task(reader.read())
        write(journal, 1)
        await until(lambda: reader.numbers == [1])
        # That the API server is away is no reason.
        access.verdict = Verdict.UNDECIDED
        write(journal, 1)
        await until(lambda: reader.numbers == [1, 2])
        access.verdict = Verdict.FORBIDDEN
        write(journal, 1)
        await reading_on
    assert reader.kinds[-1] == "dropped"
    journal.close()


async def test_silence_is_filled_with_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "HEARTBEAT_SECONDS", 0.05)
    streams = Streams(tmp_path)
    journal = opened(streams)
    write(journal, 1)
    async with (
        serving(streams) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/{PATH}") as response,
        asyncio.timeout(60),
    ):
        text = ""
        while text.count(": heartbeat\n\n") < 3:
            text += (await response.content.readany()).decode()
    journal.close()


async def test_nobody_who_reads_costs_nothing(tmp_path: Path) -> None:
    """No timer, no task: an event without readers is a line in a file and a place in the ring."""
    journal = opened(Streams(tmp_path))
    before = len(asyncio.all_tasks())
    write(journal, 10)
    assert journal.feed._timer is None
    assert len(asyncio.all_tasks()) == before
    journal.close()
