"""The same surroundings as for the other incidents, with the real Kilo CLI in place of the fake agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.conftest import WatchWorld
from polecat_local.cache import Cache
from polecat_local.kilo import kilo_binary
from polecat_local.progress import Progress
from support.town_harness import TownHarness
from support.whole import World

MANY = 3
"""Agents at once: each takes 0.4 to 0.7 GB and a core's time to start."""
PATIENCE_SECONDS = 200.0


@pytest.fixture
async def kilo() -> Path:
    """The real Kilo CLI."""
    return await kilo_binary(Cache(), Progress())


@pytest.fixture
async def harness(harness: TownHarness, kilo: Path) -> TownHarness:
    """A Town, a rig and its remote; the supervisor that the test starts runs the real Kilo CLI."""
    harness.kilo = kilo
    harness.many = MANY
    harness.patience_seconds = PATIENCE_SECONDS
    return harness


@pytest.fixture
async def watched_world(watched_worlds: WatchWorld, kilo: Path) -> World:
    """A cluster with five slots, the real Kilo CLI, and the oracle."""
    return await watched_worlds(kilo_path=kilo)
