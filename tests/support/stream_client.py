"""Reads streams of a town over HTTP, as a dashboard would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from polecat_town.endpoint.access import StreamAccess, Verdict
from polecat_town.endpoint.streams import StreamRoutes
from polecat_town.streams.hub import Streams
from support.loopback import on_loopback

Json = dict[str, Any]
PATIENCE_SECONDS = 60.0


@dataclass
class Reader:
    """What one reader has heard, over all its connections."""

    url: str
    token: str = "token"
    events: list[tuple[str, Json]] = field(default_factory=list)
    """(kind, data) of each event, those without a number too."""
    last_id: str | None = None

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events of the journal, as they came."""
        return [data["seq"] for _, data in self.events if "seq" in data]

    @property
    def kinds(self) -> list[str]:
        """Kinds of all events, as they came."""
        return [kind for kind, _ in self.events]

    def texts(self, part: str) -> str:
        """A text as it stands after all events so far."""
        text = ""
        for kind, event in self.events:
            data = event.get("data", {})
            if kind == "text-delta" and data["part"] == part:
                text += data["text"]
            elif kind == "text" and data["part"] == part:
                text = data["text"]
        return text

    async def read(self, until: Callable[[Reader], bool] = lambda _: False) -> None:
        """Goes on where it was, until something holds or the server ends the stream."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            aiohttp.ClientSession() as session,
            session.get(self.url, headers=headers) as response,
        ):
            assert response.status == 200, (response.status, await response.text())
            assert response.content_type == "text/event-stream"
            async for block in _blocks(response.content):
                self._hear(block)
                if until(self):
                    return

    def _hear(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "data" in fields:
            self.events.append((fields["event"], json.loads(fields["data"])))
        self.last_id = fields.get("id", self.last_id)


async def _blocks(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            yield block.decode()


class Open(StreamAccess):
    """Lets everybody read, or gives another answer that the test sets."""

    def __init__(self) -> None:
        self.verdict = Verdict.ALLOWED

    async def check(self, token: str | None) -> Verdict:
        """The answer that was set."""
        return self.verdict


@asynccontextmanager
async def serving(
    streams: Streams, access: StreamAccess | None = None, stuck_seconds: float = 30
) -> AsyncIterator[str]:
    """The URL of `/v1/streams` of these streams."""
    app = web.Application()
    StreamRoutes(streams, access or Open(), stuck_seconds).add_to(app.router)
    async with on_loopback(app) as url:
        yield f"{url}/v1/streams"
