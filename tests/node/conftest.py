"""One cluster for all tests here, with the shipped image and the shipped manifests in it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.control_plane import Kubectl
from support.node.building import NodeProgramsError
from support.node.cluster import Cluster, node_cluster
from support.node.preflight import why_not
from support.node.world import NodeWorld, node_world
from support.paths import ROOT

OVERLAY = ROOT / "manifests" / "overlays" / "kind"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them on one worker, so that there is one cluster; what it takes to start it is not the tests' time."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("node"))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"))
            item.add_marker(pytest.mark.timeout(600, func_only=True))


@pytest.fixture(scope="session")
def image() -> Path:
    """The shipped image as a docker-archive, built if need be; POLECAT_TEST_IMAGE names one that is there."""
    if lacking := why_not():
        pytest.skip(lacking)
    if given := os.environ.get("POLECAT_TEST_IMAGE"):
        return Path(given)
    build = [sys.executable, str(ROOT / "container" / "image" / "build.py"), "--base", "bootstrap"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the image can't be built here: {done.stderr.strip().splitlines()[-1]}")
    return Path(done.stdout.strip().splitlines()[-1])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(image: Path) -> AsyncIterator[Cluster]:
    """A node with the operator in it, as `kubectl apply -k` installs it."""
    try:
        async with node_cluster(image) as running:
            await install(running)
            yield running
    except NodeProgramsError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(loop_scope="session")
async def world(cluster: Cluster, tmp_path: Path) -> AsyncIterator[NodeWorld]:
    """A namespace that enforces Pod Security `restricted`, without a town yet."""
    async with node_world(cluster, tmp_path) as made:
        yield made


async def install(cluster: Cluster) -> None:
    """Applies the manifests as they stand, and waits until all that they start is available."""
    kubectl = Kubectl(cluster.plane, "polecat-system")
    await asyncio.to_thread(kubectl, "apply", "--server-side", "-k", str(OVERLAY))
    for deployment in ("polecat-operator", "polecat-dashboard"):
        await asyncio.to_thread(kubectl, "rollout", "status", f"deployment/{deployment}", "--timeout=110s")
