"""Text as it is written: pieces that come within some milliseconds become one event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from polecat_town.streams.events import Kind
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.stream_redactor import StreamRedactor

COALESCE_SECONDS = 0.05
QUIET_SECONDS = 1.0
"""After this the last characters of a line are shown, which are held back as they could begin a secret."""
BURST_MAX_LENGTH = 16_000
"""What comes at once beyond so many characters is cut: looking at it would hold everything up."""


@dataclass
class _Growing:
    kind: Kind
    data: dict[str, Any]
    redactor: StreamRedactor
    pieces: list[str] = field(default_factory=list)


class Deltas:
    """Gathers pieces, removes secrets that are split over them, and writes what may be shown."""

    def __init__(
        self,
        write: Callable[[Kind, dict[str, Any]], object],
        redactor: Callable[[], Redactor],
        coalesce_seconds: float = COALESCE_SECONDS,
    ) -> None:
        self._write = write
        self._redactor = redactor
        self._coalesce_seconds = coalesce_seconds
        self._growing: dict[str, _Growing] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.TimerHandle | None = None

    def add(self, kind: Kind, key: str, text: str, data: dict[str, Any]) -> None:
        """One piece of what grows under `key`."""
        growing = self._growing.get(key)
        if growing is None:
            growing = self._growing[key] = _Growing(kind, data, StreamRedactor(self._redactor))
        growing.pieces.append(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._coalesce_seconds, self.flush)

    def flush(self) -> None:
        """Writes what has come, but for the ends that may be the beginning of a secret."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop_quiet()
        if self._growing:
            self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._release)
        for growing in self._growing.values():
            if growing.pieces:
                text = "".join(growing.pieces)
                growing.pieces.clear()
                if len(text) > BURST_MAX_LENGTH:
                    more = len(text) - BURST_MAX_LENGTH
                    text = f"{text[:BURST_MAX_LENGTH]}… [{more} characters more] "
                self._tell(growing, growing.redactor.feed(text))

    def drop(self, key: str) -> None:
        """Writes what has come under `key`, and forgets what was held back: the whole is told elsewhere."""
        self.flush()
        self._growing.pop(key, None)

    def end(self) -> None:
        """Nothing grows any more."""
        self.flush()
        self._stop_quiet()
        for growing in self._growing.values():
            self._tell(growing, growing.redactor.end())
        self._growing.clear()

    def _release(self) -> None:
        self._quiet = None
        for growing in self._growing.values():
            if not growing.pieces:
                self._tell(growing, growing.redactor.release())

    def _stop_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

    def _tell(self, growing: _Growing, text: str) -> None:
        if text:
            self._write(growing.kind, {**growing.data, "text": text})
