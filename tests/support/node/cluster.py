"""What the tests of tests/node need of a cluster, and the one made of a node on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psutil
import yaml

from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.control_plane import Kubectl, SharedControlPlane
from support.node.node import Node, running_node
from support.node.plan import NODE_NAME
from support.node.programs import node_programs

IMAGE = "polecat:latest"
"""As the overlay `kind` names it."""
NEXT_IMAGE = "polecat:next"
"""The same content under another name, for roll-outs."""
EMPTY_IMAGE = "polecat:without-kilo"
"""The same without the Kilo CLI."""
DATA_DIR = Path("/data")
"""Where a town's container sees its volume."""
_VOLUMES = 48
_CLASS = "polecat-volumes"


class Images(NamedTuple):
    """Docker-archives that a cluster is given."""

    shipped: Path
    next: Path
    """NEXT_IMAGE."""
    empty: Path
    """EMPTY_IMAGE."""


class Cluster(Protocol):
    """A cluster with the image in it, and ways to do to it what happens to clusters."""

    plane: SharedControlPlane
    """Kubeconfig (as administrator) and kubectl."""
    machine_address: str
    """At which address pods reach servers of this process."""
    small_class: str | None
    """Storage class of volumes of some hundred MiB that can really be full; None if there is none."""

    def volumes(self) -> Sequence[Path]:
        """Directories of this machine in which volumes lie, the unused ones included; none if it can't see them."""
        ...

    async def kill_container(self, namespace: str, pod: str) -> None:
        """SIGKILL to the first process of the pod's container."""
        ...

    async def kill_kubelet(self) -> None:
        """SIGKILL to the kubelet; whatever watches over it starts it again."""
        ...


class NodeCluster:
    """The control plane and one node, as processes of this machine."""

    small_class = "polecat-small"

    def __init__(self, node: Node) -> None:
        self.node = node
        self.plane = SharedControlPlane(node.plan.kubeconfig, node.kubectl, node.plan.home)
        self.machine_address = node.plan.machine_address

    def volumes(self) -> Sequence[Path]:
        """Of all PersistentVolumes but the small one, which only the node sees."""
        return sorted(self.node.plan.volumes.glob("volume-*"))

    def town_process(self, namespace: str, pod: str) -> psutil.Process:
        """The supervisor of a pod. Raises LookupError while it does not run."""
        for process in self.node.processes():
            with suppress(psutil.Error):
                env = process.environ()
                name = (env.get("POLECAT_TOWN_NAMESPACE"), env.get("POLECAT_TOWN_POD_NAME"))
                if name == (namespace, pod) and "polecat_town" in process.cmdline():
                    return process
        raise LookupError(f"no town runs in {namespace}/{pod}")

    async def kill_container(self, namespace: str, pod: str) -> None:
        """As the kernel does it."""
        self.town_process(namespace, pod).kill()

    async def kill_kubelet(self) -> None:
        """And wait until another one runs."""
        killed = self.node.program("kubelet")
        killed.kill()
        async with asyncio.timeout(60):
            while True:
                with suppress(LookupError):
                    if self.node.program("kubelet").pid != killed.pid:
                        return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def node_cluster(images: Images) -> AsyncIterator[NodeCluster]:
    """The node with the images and with volumes to claim."""
    programs = await node_programs(Cache(), Progress())
    with running_node(programs) as node:
        for each in images:
            await asyncio.to_thread(node.ctr, "images", "import", str(each))
        cluster = NodeCluster(node)
        _make_volumes(cluster)
        yield cluster


def _make_volumes(cluster: NodeCluster) -> None:
    objects: list[dict[str, Any]] = [_storage_class(_CLASS, default=True), _storage_class(cluster.small_class)]
    objects.append(_volume("small", cluster.node.plan.small_volume, cluster.small_class))
    for number in range(_VOLUMES):
        directory = cluster.node.plan.volumes / f"volume-{number:02}"
        directory.mkdir()
        objects.append(_volume(directory.name, directory, _CLASS))
    apply(cluster.plane, objects)


def apply(plane: SharedControlPlane, objects: Sequence[dict[str, Any]]) -> None:
    """Applies objects that name their namespaces themselves."""
    Kubectl(plane, "default")("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))


def _storage_class(name: str, *, default: bool = False) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volume(name: str, directory: Path, class_name: str) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": class_name,
            "local": {"path": str(directory)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
