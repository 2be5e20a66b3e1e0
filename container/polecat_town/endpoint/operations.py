"""What is read of the pod from outside: health, metrics, streams."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from polecat_town.metrics import REGISTRY

_STOP_SECONDS = 1.0


class Routes(Protocol):
    """A part of what is served."""

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds its routes."""


class Operations:
    """Serves on one socket."""

    def __init__(
        self,
        is_alive: Callable[[], str | None],
        is_ready: Callable[[], str | None],
        before_metrics: Callable[[], None],
        more: Iterable[Routes],
    ) -> None:
        """The first two give None if all is well, else a sentence that says what is not; `more` is served too."""

        async def healthz(_: web.Request) -> web.Response:
            return _answer(is_alive())

        async def readyz(_: web.Request) -> web.Response:
            return _answer(is_ready())

        async def metrics(_: web.Request) -> web.Response:
            before_metrics()
            return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app = web.Application()
        app.router.add_get("/healthz", healthz)
        app.router.add_get("/readyz", readyz)
        app.router.add_get("/metrics", metrics)
        for routes in more:
            routes.add_to(app.router)
        # A reader that goes away ends its work at once, also while nothing is written to it.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_STOP_SECONDS)

    async def start(self, listening: socket.socket) -> None:
        """Comes back when requests are answered."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=512).start()

    async def stop(self) -> None:
        """Stops answering; readers of streams are cut off, and come back to the next life."""
        await self._runner.cleanup()


def _answer(trouble: str | None) -> web.Response:
    return web.Response(text=trouble or "ok", status=503 if trouble else 200)
