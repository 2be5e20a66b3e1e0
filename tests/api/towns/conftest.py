"""An operator that makes the pods of towns, and a node that is played."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from kubernetes import client

from polecat_kube.api import KubeApi
from polecat_operator import workers
from polecat_operator.controllers import workload
from support.control_plane import SharedControlPlane
from support.managed_town import ManagedTown
from support.played_node import PlayedNode
from support.played_town import running_operator


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is looked at again sooner than in production."""
    monkeypatch.setattr(workload, "AGAIN_SECONDS", 0.5)
    monkeypatch.setattr(workload, "NUDGE_SECONDS", 1.0)
    monkeypatch.setattr(workers, "HOPELESS_PAUSE_SECONDS", 1.0)


@pytest.fixture
async def town(control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str) -> AsyncIterator[ManagedTown]:
    """A Town yet to be applied, with an operator that waits for it."""
    settings = {"town_workloads": "managed", "town_image": "polecat:test"}
    async with running_operator(control_plane.connection, namespace, **settings):
        yield ManagedTown(kube_api, namespace)


@pytest.fixture
def node(kube_api: KubeApi, admin: client.ApiClient, namespace: str) -> PlayedNode:
    """Takes pods when told to."""
    return PlayedNode(kube_api, admin, namespace)
