"""`/v1/streams`: server-sent events of what agents do, or the same as JSON lines. Described in docs/streams.md."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from polecat_town import metrics
from polecat_town.endpoint.access import StreamAccess, Verdict
from polecat_town.endpoint.frames import Frames, encode_entries
from polecat_town.endpoint.refusals import HEADERS, refusal, token_of
from polecat_town.streams.events import SCHEMA_VERSION
from polecat_town.streams.hub import Streams
from polecat_town.streams.reading import Batch, End, Gap, Given, News, follow
from polecat_town.streams.segments import StreamID, parse_id

NDJSON = "application/x-ndjson"
_SSE = "text/event-stream"
_NUMBER = re.compile(r"[0-9]{1,15}")
_RECHECK_SECONDS = 60.0
_LAST_WORDS_SECONDS = 5.0
"""How long a reader that is sent away may take to hear why."""
_SEND_BUFFER_BYTES = 262_144
"""What the kernel may hold for one reader; a stuck one is noticed after that."""


class StreamRoutes:
    """Serves any number of readers at their own pace."""

    def __init__(self, streams: Streams, access: StreamAccess, stuck_seconds: float) -> None:
        """A reader that takes nothing for `stuck_seconds` is sent away; it can go on later where it was."""
        self._streams = streams
        self._access = access
        self._stuck_seconds = stuck_seconds
        self._frames = Frames()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds the routes."""
        router.add_get("/v1/streams", self._list, allow_head=False)
        router.add_get("/v1/streams/{bead_uid}/{attempt}", self._read, allow_head=False)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        verdict = await self._access.check(token_of(request))
        if verdict is not Verdict.ALLOWED:
            return refusal(verdict.value)
        listed = [
            {
                "beadUID": each.stream.bead_uid,
                "attempt": each.stream.attempt,
                "firstSeq": each.first_seq,
                "lastSeq": each.last_seq,
                "ended": each.about.ended,
                "names": each.about.names,
            }
            for each in await asyncio.to_thread(self._streams.list)
        ]
        return web.json_response({"schemaVersion": SCHEMA_VERSION, "streams": listed}, headers=HEADERS)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        token = token_of(request)
        verdict = await self._access.check(token)
        if verdict is not Verdict.ALLOWED:
            return refusal(verdict.value)
        stream = parse_id(request.match_info["bead_uid"], request.match_info["attempt"])
        if stream is None or not await asyncio.to_thread(self._streams.exists, stream):
            return refusal(404)
        seq = _first_seq(request)
        if seq is None:
            return refusal(400)
        with self._streams.reading() as has_room:
            if not has_room:
                return refusal(503)
            if "download" in request.query or NDJSON in request.headers.get("Accept", ""):
                return await self._download(request, stream, seq)
            return await self._tell(request, stream, seq, token)

    async def _tell(self, request: web.Request, stream: StreamID, seq: int, token: str | None) -> web.StreamResponse:
        response = await _begin(request, {"Content-Type": _SSE, "X-Accel-Buffering": "no"})
        checked = asyncio.get_running_loop().time()
        async with aclosing(follow(self._streams, stream, seq, self._frames.direct(request))) as news:
            async for each in news:
                if not isinstance(each, Given) and not await self._write(response, encode(each)):
                    return await self._drop(request, response, "stuck", "nothing was taken for too long")
                now = asyncio.get_running_loop().time()
                if now - checked >= _RECHECK_SECONDS:
                    checked = now
                    # A server that can't be asked is no reason to cut a stream.
                    if await self._access.check(token) in (Verdict.UNKNOWN, Verdict.FORBIDDEN):
                        return await self._drop(request, response, "access", "the right to read has ended")
        return response

    async def _download(self, request: web.Request, stream: StreamID, seq: int) -> web.StreamResponse:
        """What there is now, as JSON lines; a stream that goes on is cut where it is."""
        name = f"{stream.bead_uid}-{stream.attempt}.jsonl"
        headers = {"Content-Type": NDJSON, "Content-Disposition": f'attachment; filename="{name}"'}
        response = await _begin(request, headers)
        last = await asyncio.to_thread(self._streams.last_seq, stream)
        async with aclosing(_until(follow(self._streams, stream, seq), seq, last)) as news:
            async for each in news:
                if not await self._write(response, encode_line(each)):
                    return await self._drop(request, response, "stuck", None)
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> bool:
        """False if the reader does not take it."""
        try:
            async with asyncio.timeout(self._stuck_seconds):
                await response.write(data)
        except TimeoutError:
            return False
        return True

    async def _drop(
        self, request: web.Request, response: web.StreamResponse, cause: str, why: str | None
    ) -> web.StreamResponse:
        """Sends a reader away, and tells it why if it listens."""
        metrics.DROPPED_STREAM_READERS.labels(cause).inc()
        transport = request.transport
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                if why is not None:
                    await response.write(_event("dropped", {"reason": why}))
                while transport is not None and transport.get_write_buffer_size():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_LAST_WORDS_SECONDS / 20)
        except (TimeoutError, ConnectionError):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        return response


async def _until(news: AsyncGenerator[News, None], seq: int, last: int) -> AsyncGenerator[News, None]:
    """What there is up to an event."""
    async with aclosing(news):
        if last < seq:
            return
        async for each in news:
            yield each
            if isinstance(each, End) or (isinstance(each, Batch) and each.entries[-1].seq >= last):
                return


def encode(news: News) -> bytes:
    """As server-sent events. What is no event of the journal has no number, but a gap: one resumes behind it."""
    match news:
        case Batch(entries):
            return encode_entries(entries)
        case Gap(_, last_seq):
            return b"id: %d\n" % last_seq + _event("gap", _gap(news))
        case End(last_seq):
            return _event("end", {"lastSeq": last_seq})
        case _:
            return b": heartbeat\n\n"


def encode_line(news: News) -> bytes:
    """As JSON lines."""
    match news:
        case Batch(entries):
            return b"".join(entry.line + b"\n" for entry in entries)
        case Gap():
            return json.dumps({"kind": "gap", "data": _gap(news)}).encode() + b"\n"
        case _:
            return b""


def _gap(gap: Gap) -> dict[str, object]:
    message = f"events {gap.first_seq}–{gap.last_seq} are no longer kept"
    return {"firstSeq": gap.first_seq, "lastSeq": gap.last_seq, "message": message}


def _event(kind: str, data: dict[str, object]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _begin(request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**HEADERS, **headers})
    # Nothing else comes over this connection, and its end tells a reader that it was sent away.
    response.force_close()
    await response.prepare(request)
    if request.transport is not None and (peer := request.transport.get_extra_info("socket")) is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    return response


def _first_seq(request: web.Request) -> int | None:
    """The event to begin with: that after `Last-Event-ID`, else `from`, else the first; None for nonsense."""
    last, first = request.headers.get("Last-Event-ID", ""), request.query.get("from", "1")
    if last:
        return int(last) + 1 if _NUMBER.fullmatch(last) else None
    return max(1, int(first)) if _NUMBER.fullmatch(first) else None
