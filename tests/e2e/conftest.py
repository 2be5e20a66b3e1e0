"""A whole cluster with the real Kilo CLI for each test."""

from __future__ import annotations

import pytest

from support.whole import World
from support.world_fixture import StartWorld, start_world

__all__ = ["start_world"]


@pytest.fixture
async def world(start_world: StartWorld) -> World:
    """A cluster with five slots and the real Kilo CLI."""
    return await start_world()
