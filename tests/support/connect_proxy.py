"""A forward proxy on loopback for HTTPS: CONNECT, with or without a password."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

from support.loopback_server import LoopbackServer

_CHUNK_BYTES = 1 << 16


class ConnectProxy(LoopbackServer):
    """`async with ConnectProxy() as proxy`; what is set applies to the next connection."""

    def __init__(self) -> None:
        super().__init__()
        self.sign_in: tuple[str, str] | None = None
        """User and password that it asks for."""
        self.refuses = False
        """Whether it lets nobody through."""
        self.reached: list[str] = []
        """`host:port` of the tunnels that were made."""

    def url(self, user: str = "", password: str = "") -> str:
        """As a client names it."""
        return f"http://{user}:{password}@127.0.0.1:{self.port}" if user else f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split("\r\n", 1)[0].split(" ")
            answer = self._judge(method, head)
            writer.write(answer)
            await writer.drain()
            if not answer.startswith(b"HTTP/1.1 200"):
                return
            self.reached.append(target)
            host, _, port = target.rpartition(":")
            there, forth = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_pump(reader, forth), _pump(there, writer))
            finally:
                forth.transport.abort()
        finally:
            writer.close()

    def _judge(self, method: str, head: str) -> bytes:
        if method != "CONNECT" or self.refuses:
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        if self.sign_in is not None:
            wanted = base64.b64encode(":".join(self.sign_in).encode()).decode()
            if f"proxy-authorization: basic {wanted}".lower() not in head.lower():
                ask = b'Proxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
                return b"HTTP/1.1 407 Proxy Authentication Required\r\n" + ask
        return b"HTTP/1.1 200 Connection established\r\n\r\n"


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK_BYTES):
        sink.write(data)
        await sink.drain()
    with suppress(OSError, RuntimeError):
        sink.write_eof()
