"""Programs that `streams.py` measures, each a process of its own: agents that talk, and those who look.

`python -m bench.stream_stage write|agents|read|tail …`: each prints one JSON object at its end.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from polecat_town.agent.events import Normaliser, TextGrown
from polecat_town.streams.events import Kind
from polecat_town.streams.hub import Streams
from polecat_town.streams.journal import Journal
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.segments import StreamID
from support.stream_client import serving

_SEEN = re.compile(rb'"seq":(\d*0),"time":"[^"]*","kind":"status","data":\{"message":"(\d+\.\d+) ')
"""Every tenth event is looked at: those who look must not be what is measured."""
_EVENT = b'"kind":"status"'
_FILLER = "and so on, as agents talk. " * 6
_TICK_SECONDS = 0.01
_SECRETS = ["sk-0123456789abcdef", "hunter2-hunter2", "eyJ" + "x1Y2" * 100]


def stream_of(number: int, uids: Sequence[str] = ()) -> StreamID:
    """The stream of one agent; `uids` are those of beads that there are."""
    return StreamID(uids[number] if uids else f"00000000-0000-4000-8000-{number:012x}", 1)


async def told_to_go(root: Path) -> None:
    """Until all are ready."""
    while not (root / "go").exists():
        await asyncio.sleep(0.01)


def journals(root: Path, agents: int, uids: Sequence[str] = ()) -> tuple[Streams, list[Journal]]:
    """The journal of each agent, with their copies thrown away."""
    streams = Streams(root)
    redactor = Redactor(_SECRETS)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process
    made = [
        streams.open(stream_of(number, uids), {"polecat": f"p-{number}"}, lambda: redactor) for number in range(agents)
    ]
    return streams, made


async def write(
    root: Path, agents: int, rate: float, seconds: float, port_file: Path, uids: Sequence[str] = ()
) -> Json:
    """Serves streams, and writes so many events a second to all of them together."""
    out, (streams, made) = sys.stdout, journals(root, agents, uids)
    process = psutil.Process()
    async with serving(streams) as url:
        port_file.write_text(url)
        await told_to_go(root)
        memory, cpu, began = [process.memory_info().rss], process.cpu_times(), time.monotonic()
        written = 0
        while (at := time.monotonic() - began) < seconds:
            while written < at * rate:
                made[written % agents].append(Kind.STATUS, message=f"{time.time():.6f} {_FILLER}")
                written += 1
            if at > len(memory) * seconds / 10:
                memory.append(process.memory_info().rss)
            await asyncio.sleep(_TICK_SECONDS)
        spent = process.cpu_times()
        await asyncio.sleep(2)
        memory.append(process.memory_info().rss)
    sys.stdout = out
    used = spent.user + spent.system - cpu.user - cpu.system
    return {"written": written, "cpu": used / seconds, "memory": [value / (1 << 20) for value in memory]}


async def agents(root: Path, count: int, deltas: float, seconds: float, coalesce: float) -> Json:
    """Agents that write text, so many pieces a second each, from the raw event to the journal."""
    out, (_, made) = sys.stdout, journals(root, count)
    for journal in made:
        journal._deltas._coalesce_seconds = coalesce
    normalisers = [Normaliser("s") for _ in range(count)]
    part = {"id": "p", "messageID": "m", "sessionID": "s", "type": "text", "text": "", "time": {"start": 1}}
    for normaliser in normalisers:
        normaliser.feed({"type": "message.part.updated", "properties": {"part": part}})
    raw = {"sessionID": "s", "messageID": "m", "partID": "p", "field": "text", "delta": "word "}
    process, told, began = psutil.Process(), 0, time.monotonic()
    cpu = process.cpu_times()
    while (at := time.monotonic() - began) < seconds:
        while told < at * deltas * count:
            number = told % count
            for event in normalisers[number].feed({"type": "message.part.delta", "properties": raw}):
                if isinstance(event, TextGrown):
                    made[number].append_piece(Kind.TEXT_DELTA, "p", event.text, part="p", reasoning=False)
                    if not coalesce:
                        made[number]._deltas.flush()
            told += 1
        await asyncio.sleep(_TICK_SECONDS)
    spent = process.cpu_times()
    sys.stdout = out
    events = sum(journal.feed.last_seq for journal in made)
    return {"told": told, "events": events, "cpu": (spent.user + spent.system - cpu.user - cpu.system) / seconds}


Json = dict[str, Any]


class Latest:
    """When the last one of those who look here has seen each event."""

    def __init__(self) -> None:
        self.delays: dict[str, float] = {}
        self.count = 0

    def take(self, stream: int, data: bytes) -> None:
        """Whole events, as they came."""
        now = time.time()
        self.count += data.count(_EVENT)
        for match in _SEEN.finditer(data):
            key, delay = f"{stream}/{match[1].decode()}", now - float(match[2])
            if delay > self.delays.get(key, 0.0):
                self.delays[key] = delay


class _Viewer(asyncio.Protocol):
    def __init__(self, path: str, stream: int, latest: Latest, host: str = "x", headers: str = "") -> None:
        self._path, self._stream, self._latest, self._rest = path, stream, latest, b""
        self._host, self._headers = host, headers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n{self._headers}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        whole, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        self._latest.take(self._stream, whole + end)


async def read(root: Path, url: str, viewers: int, streams: int, seconds: float, stuck: int) -> Json:
    """So many viewers, each of so many streams; `stuck` more that take nothing."""
    latest, loop, parts, kept = Latest(), asyncio.get_running_loop(), urlsplit(url), []
    for viewer in range(viewers):
        for number in range(streams):
            stream = stream_of(number if streams > 1 else viewer % 30)
            path = f"{parts.path}/{stream.bead_uid}/1"
            made = await loop.create_connection(
                lambda path=path, number=number: _Viewer(path, number, latest), parts.hostname, parts.port
            )  # type: ignore[misc]
            kept.append(made[0])
    for number in range(stuck):
        transport, _ = await loop.create_connection(
            lambda number=number: _Viewer(f"{parts.path}/{stream_of(number).bead_uid}/1", number, latest),
            parts.hostname,
            parts.port,
        )  # type: ignore[misc]
        transport.pause_reading()
        kept.append(transport)
    print("ready", flush=True)
    await told_to_go(root)
    await asyncio.sleep(seconds)
    return {"delays": latest.delays, "count": latest.count}


async def watch(root: Path, url: str, paths: Sequence[str], also: str, headers: str, seconds: float) -> Json:
    """One viewer of the dashboard for each path of a stream; each has the town's page (`also`) open beside it."""
    latest, loop, parts = Latest(), asyncio.get_running_loop(), urlsplit(url)
    for number, path in enumerate(paths):
        for each in (also, path):
            await loop.create_connection(
                lambda each=each, number=number: _Viewer(each, number, latest, parts.netloc, headers),
                parts.hostname,
                parts.port,
            )  # type: ignore[misc]
    print("ready", flush=True)
    await told_to_go(root)
    await asyncio.sleep(seconds)
    return {"delays": latest.delays, "count": latest.count}


async def tail(root: Path, viewers: int, agents_count: int, seconds: float) -> Json:
    """The same with `tail -f`: one for each viewer, of all files."""
    latest = Latest()
    files = [str(root / stream_of(number).bead_uid / "1.jsonl") for number in range(agents_count)]
    # All lines of a viewer come together, so events are told apart by their time.
    command = ["tail", "-q", "-n", "0", "-f", *files]
    tails = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 22)
        for _ in range(viewers)
    ]

    async def follow(process: asyncio.subprocess.Process) -> None:
        rest = b""
        assert process.stdout is not None
        while data := await process.stdout.read(1 << 20):
            whole, end, rest = (rest + data).rpartition(b"\n")
            now = time.time()
            latest.count += whole.count(_EVENT)
            for match in _SEEN.finditer(whole + end):
                at, delay = match[2].decode(), now - float(match[2])
                latest.delays[at] = max(delay, latest.delays.get(at, 0.0))

    running = [asyncio.create_task(follow(process)) for process in tails]
    print("ready", flush=True)
    await told_to_go(root)
    await asyncio.sleep(seconds)
    spent = [psutil.Process(process.pid).cpu_times() for process in tails]
    for process in tails:
        process.kill()
    await asyncio.gather(*running, *(process.wait() for process in tails))
    cpu = sum(each.user + each.system for each in spent) / seconds
    return {"delays": latest.delays, "count": latest.count, "cpu": cpu}


def main() -> None:
    """Does what the arguments say, as JSON: the name of a function, and what it is given."""
    name, given = sys.argv[1], json.loads(sys.argv[2])
    given |= {key: Path(given[key]) for key in ("root", "port_file") if key in given}
    work: Callable[..., Any] = {"write": write, "agents": agents, "read": read, "tail": tail, "watch": watch}[name]
    print(json.dumps(asyncio.run(work(**given))))


if __name__ == "__main__":
    main()
