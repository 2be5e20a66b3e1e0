"""An HTTP server inside the supervisor's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from polecat_town.files import write_atomic

_START_SECONDS = 15.0


def bind(host: str, port: int, port_file: Path) -> socket.socket:
    """A listening socket. Port 0 means the one noted in `port_file` if it is free, else any; it is noted there.

    Raises OSError when a given port is taken.
    """
    for candidate in _noted(port_file) if port == 0 else []:
        try:
            return _listen(host, candidate, port_file)
        except OSError:
            continue
    try:
        return _listen(host, port, port_file)
    except OSError as error:
        if host != "::" or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        # "All addresses" on a machine without IPv6.
        return _listen("0.0.0.0", port, port_file)  # noqa: S104


def _listen(host: str, port: int, port_file: Path) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    write_atomic(port_file, str(listening.getsockname()[1]), mode=0o644)
    return listening


def _noted(port_file: Path) -> list[int]:
    try:
        return [int(port_file.read_text())]
    except (OSError, ValueError):
        return []


class Listener:
    """Serves one application on one socket; signals are left to the program."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1, http="h11"
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Comes back when requests are answered. Raises RuntimeError if the application can't start."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="listener")
        async with asyncio.timeout(_START_SECONDS):
            while not self._server.started:
                if self._task.done():
                    raise RuntimeError("the HTTP server ended at its start")
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stops answering."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=3)
        self._socket.close()
