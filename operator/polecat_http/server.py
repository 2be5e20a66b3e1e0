"""An HTTP server inside a program's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

START_SECONDS = 15.0
STOP_SECONDS = 3.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises OSError when it can't be had."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


class Server:
    """Serves one application on one socket; signals are left to the program."""

    def __init__(self, app: ASGIApp, listening: socket.socket, *, lifespan: Literal["on", "off"]) -> None:
        """`lifespan`: whether the application has a start and an end of its own."""
        self._socket = listening
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan=lifespan,
            http="h11",
            timeout_graceful_shutdown=1,
            server_header=False,
            proxy_headers=False,
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        host, port = self._socket.getsockname()[:2]
        return f"{host}:{port}"

    async def start(self) -> None:
        """Comes back when requests are answered. Raises RuntimeError if the application can't start."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        async with asyncio.timeout(START_SECONDS):
            while not self._server.started:
                if self._task.done():
                    raise RuntimeError("the HTTP server ended at its start")
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stops answering, and closes the socket."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_SECONDS)
        self._socket.close()
