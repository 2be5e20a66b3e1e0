"""All programs of a node, from wherever this machine can have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polecat_local.binaries import Binaries
from polecat_local.cache import Cache
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries
from support.node.building import CONTAINERD, KUBERNETES, built
from support.node.packages import Packaged, packaged


@dataclass(frozen=True)
class NodePrograms:
    """Where they are."""

    control_plane: Binaries
    kubernetes: Path
    """Directory of kubelet, kube-proxy and kube-scheduler."""
    containerd: Path
    """Directory of containerd, its shim, ctr and pause."""
    packaged: Packaged


async def node_programs(cache: Cache, progress: Progress) -> NodePrograms:
    """Fetches and builds what is not in the user's cache yet. Raises NodeProgramsError, LocalError."""
    packages = await packaged(cache, progress)
    control_plane = await control_plane_binaries(cache, progress)
    kubernetes, containerd = await built((KUBERNETES, CONTAINERD), cache, progress)
    return NodePrograms(control_plane, kubernetes, containerd, packages)
