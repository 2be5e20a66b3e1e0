"""Fixtures for all tests: one real control plane for the session, a fresh namespace for each test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from polecat_kube.api import KubeApi
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from support.control_plane import Kubectl, SharedControlPlane, shared_control_plane
from support.namespaces import end_namespace

StartCluster = Callable[..., Awaitable[LocalCluster]]

# How long an example takes says how busy the machine is, and nothing about Polecat.
settings.register_profile("polecat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("polecat")

TOGETHER = ("tests/e2e/dashboard/",)
"""Folders whose tests share a cluster, which is started once when one worker runs them all."""


class OneByOne(LoadScopeScheduling):
    """Each test goes to the worker that is free next; those that belong together go to one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne:
    """How pytest-xdist spreads tests over workers. Its groups have no effect with the node ids of pytest 9.2."""
    return OneByOne(config, log)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[SharedControlPlane]:
    """A real API server with CRDs and RBAC rules, shared by all workers; no operator, no town."""
    with shared_control_plane() as plane:
        yield plane


@pytest.fixture(scope="session")
def admin(control_plane: SharedControlPlane) -> Iterator[kubernetes.client.ApiClient]:
    """The official client, as administrator."""
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
        str(control_plane.kubeconfig), client_configuration=configuration
    )
    with kubernetes.client.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def namespace(admin: kubernetes.client.ApiClient) -> Iterator[str]:
    """The name of a fresh namespace; its deletion is begun after the test and not waited for."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    core = kubernetes.client.CoreV1Api(admin)
    metadata = kubernetes.client.V1ObjectMeta(name=name)
    core.create_namespace(kubernetes.client.V1Namespace(metadata=metadata))
    yield name
    end_namespace(admin, name)


@pytest.fixture
def kubectl(control_plane: SharedControlPlane, namespace: str) -> Kubectl:
    """The real kubectl in the test's namespace: `kubectl("get", "beads")` gives its output."""
    return Kubectl(control_plane, namespace)


@pytest.fixture
async def kube_api(control_plane: SharedControlPlane) -> AsyncIterator[KubeApi]:
    """Our own API layer, as administrator."""
    async with KubeApi(control_plane.connection, manager="test") as api:
        yield api


@pytest.fixture
async def start_cluster(tmp_path: Path) -> AsyncIterator[StartCluster]:
    """`await start_cluster(...)` starts a whole cluster of the test's own (about 4 s) and waits until its
    town is ready; arguments are those of ClusterSettings, `wait=False` does not wait. All are ended after
    the test; those that the test has ended are left alone.
    """
    started: list[LocalCluster] = []

    async def start(*, wait: bool = True, **settings: Any) -> LocalCluster:
        defaults: dict[str, Any] = {
            "data_dir": tmp_path / "cluster",
            "control_plane": ControlPlaneOptions(unsafe_no_fsync=True),
            "drain_seconds": 30.0,
        }
        cluster = await LocalCluster.prepare(ClusterSettings(**(defaults | settings)), say=print)
        started.append(cluster)
        await cluster.start()
        if wait and cluster.settings.run_town:
            await cluster.wait_ready()
        return cluster

    yield start
    await asyncio.gather(*(cluster.stop() for cluster in started))
