"""Server-sent events: written as fast as the reader takes them, ended when it is gone or stuck."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

STUCK_SECONDS = 30.0
"""A reader that takes nothing for so long is dropped; it resumes with the last id that it has seen."""
LAST_WORDS_SECONDS = 0.5


def event(kind: str, data: str, id_: str | None = None) -> bytes:
    """One event; `data` is a JSON text, which has no line breaks."""
    head = f"id: {id_}\n" if id_ is not None else ""
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


def json_event(kind: str, data: Any, id_: str | None = None) -> bytes:
    """One event of a value."""
    return event(kind, json.dumps(data, separators=(",", ":")), id_)


class EventStream:
    """An ASGI response whose body comes from an async generator of whole events.

    The application's `state.ending` is an asyncio.Event that ends it from our side.
    """

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        *,
        on_end: Callable[[], None] = lambda: None,
        media_type: str = "text/event-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        self._source = source
        self._on_end = on_end
        # Proxies in front that would gather it are told not to.
        own = {"content-type": media_type, "cache-control": "no-store", "x-accel-buffering": "no"}
        self._headers = {**own, **(headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        pump = asyncio.create_task(self._pump(send, headers))
        gone = asyncio.create_task(_until_gone(receive))
        ending = asyncio.create_task(scope["app"].state.ending.wait())
        tasks = (pump, gone, ending)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._on_end()
        if pump.cancelled() and not ending.cancelled():
            # The program ends: the reader is told the end of the answer, and comes back to the next life.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        if not pump.cancelled() and (error := pump.exception()) is not None and not isinstance(error, TimeoutError):
            raise error

    async def _pump(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async for chunk in self._source:
                async with asyncio.timeout(STUCK_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await self._source.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
