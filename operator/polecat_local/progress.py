"""Tells the user which stage a long piece of work is in and how long it has taken so far."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

QUIET_SECONDS = 15.0
"""How often a line is written when the output is not a terminal."""

TICK_SECONDS = 0.5
"""How often the one line on a terminal is renewed."""


def format_elapsed(seconds: float) -> str:
    """`7` → `7s`, `461` → `7m41s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


class Progress:
    """One line for each stage: renewed in place on a terminal, repeated now and then elsewhere."""

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._terminal = self._out.isatty()
        self._stage = ""
        self._detail = ""
        self._started = 0.0
        self._said = 0.0

    def say(self, text: str) -> None:
        """Writes one full line of its own."""
        self._write(f"{text}\n")

    def detail(self, text: str) -> None:
        """Sets what is shown behind the stage's name, such as a count; shown with the next renewal."""
        self._detail = text

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """Shows `name` with elapsed seconds until the block ends; stages do not nest."""
        self._stage, self._detail, self._started = name, "", self._clock()
        self._said = self._started
        self._write(self._line() if self._terminal else f"{name} …\n")
        ticker = asyncio.create_task(self._tick())
        failed = True
        try:
            yield
            failed = False
        finally:
            ticker.cancel()
            ending = "stopped after" if failed else "done in"
            self._write(f"{name}: {ending} {format_elapsed(self._clock() - self._started)}\n")
            self._stage = ""

    def renew(self) -> None:
        """Writes the current line again if it is time; called by the ticker."""
        now = self._clock()
        if self._terminal:
            self._write(self._line())
        elif now - self._said >= QUIET_SECONDS:
            self._said = now
            self._write(f"{self._line()}\n")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.renew()

    def _line(self) -> str:
        elapsed = format_elapsed(self._clock() - self._started)
        return f"{self._stage} … {elapsed}{f', {self._detail}' if self._detail else ''}"

    def _write(self, text: str) -> None:
        # "\r" + erase-to-end-of-line clears what the renewed line left on a terminal.
        self._out.write(f"\r\x1b[K{text}" if self._terminal else text)
        self._out.flush()
