"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web

from polecat_http.server import listen as open_socket
from polecat_operator.metrics import render

log = logging.getLogger(__name__)


async def serve(listen: str, ready: Callable[[], str | None], before_metrics: Callable[[], None]) -> web.AppRunner:
    """Serves until the runner is cleaned up. `ready` gives the reason why the operator is not ready.

    `[::]` is all addresses, those of IPv4 too. Raises OSError when the address can't be used.
    """
    host, _, port = listen.rpartition(":")

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        reason = ready()
        return web.Response(text=reason or "ok", status=503 if reason else 200)

    async def metrics(_: web.Request) -> web.Response:
        before_metrics()
        return web.Response(body=render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, open_socket(host.strip("[]") or "0.0.0.0", int(port))).start()  # noqa: S104 - as asked
    log.info("listening on %s", ", ".join(f"{address[0]}:{address[1]}" for address in runner.addresses))
    return runner
