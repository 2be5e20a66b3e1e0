"""Events as bytes of a connection: made once, and written to all readers that are up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import HttpVersion11, web

from polecat_town.streams.feed import Entry, Take


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """As server-sent events."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (entry.seq, entry.kind.encode(), entry.line) for entry in entries
    )


class Frames:
    """Writes to connections, past the response: several thousand small writes a second would cost a whole core."""

    def __init__(self) -> None:
        self._entries: Sequence[Entry] = ()
        self._bytes = b""

    def direct(self, request: web.Request) -> Take | None:
        """Writes to a request's connection what it takes at once, as a part of a chunked answer that has begun.

        None for a client that knows no chunks.
        """
        transport = request.transport
        if not isinstance(transport, asyncio.WriteTransport) or request.version != HttpVersion11:
            return None

        def take(entries: Sequence[Entry]) -> bool:
            if transport.is_closing() or transport.get_write_buffer_size():
                return False
            transport.write(self._chunk(entries))
            return True

        return take

    def _chunk(self, entries: Sequence[Entry]) -> bytes:
        if self._entries is not entries:
            body = encode_entries(entries)
            self._entries, self._bytes = entries, b"%x\r\n%b\r\n" % (len(body), body)
        return self._bytes
