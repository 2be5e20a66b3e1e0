"""Reads server-sent events from chunks of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

EVENT_MAX_BYTES = 4 << 20
"""A longer event is not one of a town's; reading it on would only fill memory."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is text as it came."""

    id: str
    kind: str
    data: str


class TooLongError(Exception):
    """An event that never ends."""


class Parser:
    """Takes chunks of any size and gives whole events. Lines end with LF, as towns write them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole now. Raises TooLongError."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > EVENT_MAX_BYTES:
            raise TooLongError
        return [event for block in blocks if (event := _parse(block)) is not None]


def _parse(block: bytes) -> Event | None:
    id_, kind, data = "", "message", []
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            id_ = value
        elif field == "event":
            kind = value
        elif field == "data":
            data.append(value)
    return Event(id_, kind, "\n".join(data)) if data else None


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """All events of a body."""
    parser = Parser()
    async for chunk in chunks:
        for event in parser.feed(chunk):
            yield event
