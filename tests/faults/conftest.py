"""A whole cluster, or one supervisor, with the oracle watching all through the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from polecat_kube.api import KubeApi
from polecat_oracle.oracle import Oracle
from support.control_plane import SharedControlPlane
from support.fake_agent import FAKE_KILO
from support.town_harness import TownHarness
from support.whole import World
from support.world_fixture import StartWorld, start_world

__all__ = ["start_world"]

WatchWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def watched_worlds(start_world: StartWorld) -> AsyncIterator[WatchWorld]:
    """`await watched_worlds(...)` gives a World with the fake agent and the oracle; arguments of ClusterSettings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> World:
            world = await start_world(**({"kilo_path": FAKE_KILO} | settings))
            # A client of its own: those of a test go through what it breaks.
            api = await stack.enter_async_context(world.cluster.api())
            await stack.enter_async_context(Oracle(api, [world.cluster.data.town], [world.remote]))
            return world

        yield start


@pytest.fixture
async def watched_world(watched_worlds: WatchWorld) -> World:
    """A cluster with five slots, the fake agent, and the oracle."""
    return await watched_worlds()


@pytest.fixture
async def harness(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> AsyncIterator[TownHarness]:
    """A Town, the rig `web` and its remote; the test starts the supervisor and plays the operator."""
    made = TownHarness(control_plane, kube_api, namespace, tmp_path)
    await made.start()
    await made.rig()
    yield made
    await made.stop()


@pytest.fixture
async def watched_harness(harness: TownHarness) -> AsyncIterator[TownHarness]:
    """The same, with the oracle; states of beads are not looked at, as nobody writes them."""
    never = float("inf")
    towns = [harness.data_dir, harness.directory / "another-volume"]
    async with Oracle(harness.api, towns, [harness.remote], harness.namespace, settle_seconds=never):
        yield harness
