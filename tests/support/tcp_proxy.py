"""A TCP proxy on loopback that can be slow, cut, or silent, to put between a part and the API server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 16


class TcpProxy:
    """`async with TcpProxy() as proxy: proxy.target = (host, port)`; what is set applies to open connections too."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.delay_seconds = 0.0
        """How much later each answer arrives; the rate stays."""
        self.port = 0
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut or self.target is None:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
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
        except (OSError, asyncio.CancelledError):
            return  # cancelled by `__aexit__` only, which waits for it
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
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
