"""Gives one-time links to who may open our Unix socket: the user that runs the dashboard."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)
LINE_MAX_BYTES = 65_536
ANSWER_SECONDS = 10.0


@asynccontextmanager
async def serve_links(path: Path, make: Callable[[str], str]) -> AsyncIterator[None]:
    """One JSON line `{"token": …}` in, one `{"link": …}` out; the socket is there for the block, mode 0600."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                token = json.loads(await reader.readline())["token"]
                if not isinstance(token, str):
                    raise TypeError("token is no text")
                writer.write(json.dumps({"link": make(token)}).encode() + b"\n")
                await writer.drain()
        except (ValueError, KeyError, TypeError, TimeoutError, OSError):
            # Without the text of the error: it could hold what was sent.
            log.warning("a request for a link could not be read")
        finally:
            writer.close()

    server = await asyncio.start_unix_server(answer, sock=_private_socket(path), limit=LINE_MAX_BYTES)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _private_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening
