"""One cluster for all tests here, with the shipped image and the shipped manifests in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.node.building import NodeProgramsError
from support.node.cluster import Cluster, Images, node_cluster
from support.node.installing import NoImageBuilderError, install, shipped_images
from support.node.kind import kind_cluster, why_no_kind
from support.node.preflight import why_not
from support.node.world import NodeWorld, node_world

ON_KIND = os.environ.get("POLECAT_TEST_CLUSTER") == "kind"
"""`make test-kind` runs the same tests on a cluster that kind makes."""


@pytest.fixture(scope="session")
def images() -> Images:
    """The shipped image, built if need be."""
    if lacking := why_no_kind() if ON_KIND else why_not():
        pytest.skip(lacking)
    try:
        return shipped_images(*([] if ON_KIND else ["--base", "bootstrap"]))
    except NoImageBuilderError as error:
        pytest.skip(str(error))


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
