"""Calls of the same moment share one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")

WINDOW_SECONDS = 0.01
"""How long the first caller waits for others."""


class Batch(Generic[Key, Result]):
    """Collects keys while a run is under way, and hands them all to the next one.

    Nobody joins a run that has begun: what it looked at may be older than the call. An error of a run goes to
    all of its callers; a caller that gives up doesn't disturb the others.
    """

    def __init__(self, run: Callable[[frozenset[Key]], Awaitable[Result]]) -> None:
        self._run = run
        self._waiting: dict[Key, None] = {}
        self._next: asyncio.Task[Result] | None = None
        self._turn = asyncio.Lock()

    async def join(self, key: Key) -> Result:
        """The result of a run that has this key among others."""
        self._waiting[key] = None
        if self._next is None:
            self._next = asyncio.create_task(self._take_turn())
        return await asyncio.shield(self._next)

    async def _take_turn(self) -> Result:
        async with self._turn:
            await asyncio.sleep(WINDOW_SECONDS)
            keys = frozenset(self._waiting)
            self._waiting.clear()
            self._next = None
            return await self._run(keys)
