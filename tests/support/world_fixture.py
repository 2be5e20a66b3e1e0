"""The fixture `start_world`: a whole cluster for each test, with what a test acts on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from polecat_local.demo.model import ScriptedModel
from support.whole import Gates, World, make_remote

StartWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def start_world(start_cluster: Any, tmp_path: Path) -> AsyncIterator[StartWorld]:
    """`await start_world()` gives a World; arguments are those of ClusterSettings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> World:
            cluster = await start_cluster(**settings)
            model = await stack.enter_async_context(ScriptedModel())
            gates = await stack.enter_async_context(Gates())
            api = await stack.enter_async_context(cluster.api())
            return World(cluster, api, make_remote(tmp_path / "remote.git"), model, gates)

        yield start
