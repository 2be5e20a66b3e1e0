"""Keeps a program running, as the kubelet does in a cluster: when it ends by itself, it is started again."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from polecat_local.errors import LocalError
from polecat_local.process import Child, describe_exit

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A program that has lived so long starts again with the first backoff."""


def next_backoff(previous_seconds: float, lived_seconds: float) -> float:
    """Seconds to wait before the next start, given the last wait (0: none yet) and the last life."""
    if previous_seconds == 0.0 or lived_seconds >= HEALTHY_SECONDS:
        return FIRST_BACKOFF_SECONDS
    return min(previous_seconds * 2, LONGEST_BACKOFF_SECONDS)


class Supervised:
    """One program with at most one running process; `say` gets one line for each restart."""

    def __init__(self, name: str, launch: Callable[[], Awaitable[Child]], say: Callable[[str], None]) -> None:
        self.name = name
        self._launch = launch
        self._say = say
        self._child: Child | None = None
        self._guard: asyncio.Task[None] | None = None

    @property
    def child(self) -> Child | None:
        """The newest process, running or ended; None before the first start and after `stop`."""
        return self._child

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._child.pid if self._child is not None and self._child.exit_code is None else None

    async def start(self) -> None:
        """Starts the program and from now on keeps it running; nothing happens if it is kept already."""
        if self._guard is None:
            await self.try_start()
            self.keep()

    async def try_start(self) -> None:
        """Starts the program, and leaves it to the caller to look whether it stays."""
        self._child = await self._launch()

    def keep(self) -> None:
        """From now on keeps running what `try_start` has started."""
        if self._guard is None:
            self._guard = asyncio.create_task(self._keep(), name=f"keep-{self.name}")

    async def stop(self, grace_seconds: float, hurry: asyncio.Event | None = None) -> None:
        """Ends the program for good: SIGTERM; after the grace or when `hurry` is set, SIGKILL to its group."""
        await self.let_go()
        child, self._child = self._child, None
        if child is not None:
            await child.stop(grace_seconds, hurry)

    async def kill(self, *, restart: bool = True) -> None:
        """SIGKILL to the process alone; with `restart` false it stays away until `start`."""
        if not restart:
            await self.let_go()
        if self._child is not None:
            self._child.send(signal.SIGKILL)
            await self._child.wait()

    async def let_go(self) -> None:
        """Stops keeping the program running, and leaves its process as it is."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.cancel()
            with suppress(asyncio.CancelledError):
                await guard

    async def _keep(self) -> None:
        backoff = 0.0
        while (child := self._child) is not None:
            started = time.monotonic()
            code = await child.wait()
            backoff = next_backoff(backoff, time.monotonic() - started)
            self._say(
                f"{self.name} ended with {describe_exit(code)}; starting it again in {backoff:g} s (log: {child.log})"
            )
            while True:
                await asyncio.sleep(backoff)
                try:
                    self._child = await self._launch()
                    break
                except LocalError as error:
                    backoff = next_backoff(backoff, 0.0)
                    self._say(f"{self.name} could not be started: {error}; again in {backoff:g} s")
