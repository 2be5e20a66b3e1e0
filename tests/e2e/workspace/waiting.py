"""Waiting for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_SECONDS = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails after the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)
