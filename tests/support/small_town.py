"""The reading side of a town pod, small: numbered events of one stream, given to whoever shows a token."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from support.loopback import on_loopback

Json = dict[str, Any]


class SmallTown:
    """Tells all events that `tell` was given, and waits for more."""

    def __init__(self, bead_uid: str, attempt: int = 1) -> None:
        self.events: list[Json] = []
        self.tokens: list[str] = []
        """What readers have shown."""
        self.changes: Json = {}
        """What the attempt has changed; the query is added to it."""
        self.readers = 0
        self.url = ""
        self._stream = (bead_uid, attempt)
        self._news = asyncio.Condition()
        self._ended = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/streams", self._list)
        app.router.add_get("/v1/streams/{uid}/{attempt}", self._read)
        app.router.add_get("/v1/changes/{uid}/{attempt}", self._changes)
        self.url = await self._stack.enter_async_context(on_loopback(app))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Is away from now on."""
        await self._stack.aclose()

    async def tell(self, kind: str, **data: Any) -> None:
        """The next event."""
        seq = len(self.events) + 1
        self.events.append({"seq": seq, "time": "2026-11-24T06:00:00.000Z", "kind": kind, "data": data})
        async with self._news:
            self._news.notify_all()

    async def end(self) -> None:
        """The attempt has ended."""
        self._ended = True
        async with self._news:
            self._news.notify_all()

    async def _list(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        uid, attempt = self._stream
        row = {"beadUID": uid, "attempt": attempt, "firstSeq": 1, "lastSeq": len(self.events), "ended": self._ended}
        return web.json_response({"schemaVersion": 1, "streams": [{**row, "names": {}}]})

    async def _changes(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        if (request.match_info["uid"], int(request.match_info["attempt"])) != self._stream:
            raise web.HTTPNotFound
        return web.json_response({**self.changes, "asked": dict(request.query)})

    async def _read(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", ""))
        if (request.match_info["uid"], int(request.match_info["attempt"])) != self._stream:
            raise web.HTTPNotFound
        if "download" in request.query:
            return web.Response(text="".join(json.dumps(event) + "\n" for event in self.events))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        at = int(request.query.get("from", "1")) - 1
        self.readers += 1
        try:
            while True:
                for event in self.events[at:]:
                    text = f"id: {event['seq']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                    await response.write(text.encode())
                at = max(at, len(self.events))
                if self._ended:
                    await response.write(b"event: end\ndata: {}\n\n")
                    return response
                async with self._news:
                    while not self._ended and len(self.events) <= at:
                        await self._news.wait()
        finally:
            self.readers -= 1
