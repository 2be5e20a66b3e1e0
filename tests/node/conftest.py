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
from support.node.cluster import NEXT_IMAGE, Cluster, Images, node_cluster
from support.node.kind import kind_cluster, why_no_kind
from support.node.preflight import why_not
from support.node.world import NodeWorld, node_world
from support.paths import ROOT

ON_KIND = os.environ.get("POLECAT_TEST_CLUSTER") == "kind"
"""`make test-kind` runs the same tests on a cluster that kind makes."""
OVERLAY = ROOT / "manifests" / "overlays" / "kind"


@pytest.fixture(scope="session")
def images() -> Images:
    """The shipped image, built if need be; POLECAT_TEST_IMAGE names a docker-archive that is there."""
    if lacking := why_no_kind() if ON_KIND else why_not():
        pytest.skip(lacking)
    if given := os.environ.get("POLECAT_TEST_IMAGE"):
        return Images(Path(given), Path(given))
    base = [] if ON_KIND else ["--base", "bootstrap"]
    return Images(*(build_image(*base, *again) for again in ((), ("--retag", NEXT_IMAGE))))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(images: Images) -> AsyncIterator[Cluster]:
    """A cluster with the operator in it, as `kubectl apply -k` installs it."""
    make = kind_cluster if ON_KIND else node_cluster
    try:
        async with make(images) as running:
            await install(running)
            yield running
    except NodeProgramsError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(loop_scope="session")
async def world(cluster: Cluster, tmp_path: Path) -> AsyncIterator[NodeWorld]:
    """A namespace that enforces Pod Security `restricted`, without a town yet."""
    async with node_world(cluster, tmp_path) as made:
        yield made


def build_image(*arguments: str) -> Path:
    """The archive that the image's own builder writes; without one on this machine the test is skipped."""
    build = [sys.executable, str(ROOT / "container" / "image" / "build.py"), *arguments]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the image can't be built here: {done.stderr.strip().splitlines()[-1]}")
    return Path(done.stdout.strip().splitlines()[-1])


async def install(cluster: Cluster) -> None:
    """Applies the manifests as they stand, and waits until all that they start is available."""
    kubectl = Kubectl(cluster.plane, "polecat-system")
    await asyncio.to_thread(kubectl, "apply", "--server-side", "-k", str(OVERLAY))
    for deployment in ("polecat-operator", "polecat-dashboard"):
        await asyncio.to_thread(kubectl, "rollout", "status", f"deployment/{deployment}", "--timeout=110s")
