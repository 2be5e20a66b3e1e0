"""A TCP proxy on loopback that can be slow, cut, or silent, to put between a part and the API server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from support.loopback_server import LoopbackServer

_CHUNK_BYTES = 1 << 16


class TcpProxy(LoopbackServer):
    """`async with TcpProxy() as proxy: proxy.target = (host, port)`; what is set applies to open connections too."""

    def __init__(self) -> None:
        super().__init__()
        self.target: tuple[str, int] | None = None
        self.delay_seconds = 0.0
        """How much later each answer arrives; the rate stays."""
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        await super().__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """As an HTTPS server."""
        return f"https://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Resets all connections, and every new one at once."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def silence(self) -> None:
        """Connections stay, and new ones are accepted, but nothing comes through any more."""
        self._open.clear()

    def strand(self) -> None:
        """Connections stay, and nothing comes through them ever again; new ones work."""
        self._open.clear()
        self._open = asyncio.Event()
        self._open.set()

    def mend(self) -> None:
        """All is well again."""
        self._cut = False
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut or self.target is None:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            there, forth = await asyncio.open_connection(*self.target)
            self._writers.add(forth)
            is_open = self._open
            try:
                await asyncio.gather(self._pump(reader, forth, is_open), self._pump_late(there, writer, is_open))
            finally:
                self._writers.discard(forth)
                forth.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event) -> None:
        while data := await source.read(_CHUNK_BYTES):
            await is_open.wait()
            sink.write(data)
            await sink.drain()
        with suppress(OSError, RuntimeError):
            sink.write_eof()

    async def _pump_late(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1000)

        async def deliver() -> None:
            while True:
                due, data = await held.get()
                await asyncio.sleep(due - loop.time())
                await is_open.wait()
                if not data:
                    sink.transport.abort()
                    return
                sink.write(data)
                await sink.drain()

        delivery = asyncio.create_task(deliver())
        try:
            while data := await source.read(_CHUNK_BYTES):
                await held.put((loop.time() + self.delay_seconds, data))
            await held.put((loop.time() + self.delay_seconds, b""))
            await delivery
        finally:
            delivery.cancel()
