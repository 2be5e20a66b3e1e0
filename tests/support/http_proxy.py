"""An HTTP proxy before the API server that keeps back the answers to chosen requests, after they were carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from polecat_kube.connection import Connection
from support.loopback import on_loopback

_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class HttpProxy:
    """Passes everything on to one API server; each client shows its own token."""

    def __init__(self, swallow: Callable[[str, str], bool]) -> None:
        """`swallow(method, path)`: whether this request's answer never arrives."""
        self.swallowed: list[str] = []
        """Paths of the requests without an answer."""
        self.target: Connection | None = None
        self._swallow = swallow
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self._url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._url = await self._stack.enter_async_context(on_loopback(app))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where clients find the API server."""
        return self._url

    async def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            assert self.target is not None
            tls = self.target.ssl_context()
            self._session = await self._stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0, ssl=tls if tls is not None else True),
                    timeout=aiohttp.ClientTimeout(total=None),
                    auto_decompress=False,
                )
            )
        return self._session

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        session = await self._open()
        assert self.target is not None
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
        body = await request.read()
        url = f"{self.target.server}{request.path_qs}"
        async with session.request(request.method, url, headers=headers, data=body or None) as answer:
            if self._swallow(request.method, request.path):
                await answer.read()
                self.swallowed.append(request.path)
                await asyncio.Event().wait()  # until the client gives up
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response
