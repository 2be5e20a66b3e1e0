"""A supervisor's surroundings for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polecat_kube.api import KubeApi
from support.control_plane import SharedControlPlane
from support.town_harness import TownHarness


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
