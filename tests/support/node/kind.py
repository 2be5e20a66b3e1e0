"""The same tests' cluster made by kind, where its command line and docker or podman are found."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from polecat_local.cache import Cache
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries
from support.control_plane import SharedControlPlane
from support.node.cluster import Images

_ENGINES = ("docker", "podman")


def why_no_kind() -> str | None:
    """One sentence about what this machine lacks; None if it can make a cluster with kind."""
    if shutil.which("kind") is None:
        return "kind is not installed (https://kind.sigs.k8s.io)"
    reasons = []
    for engine in _ENGINES:
        if shutil.which(engine) is None:
            reasons.append(f"{engine} is not installed")
        elif subprocess.run([engine, "info"], capture_output=True, check=False).returncode != 0:
            reasons.append(f"`{engine} info` fails")
        else:
            return None
    return f"kind needs a container engine: {' and '.join(reasons)}"


class KindCluster:
    """One node in a container; what lies on its volumes can't be seen from here."""

    small_class = None

    def __init__(self, engine: str, name: str, plane: SharedControlPlane) -> None:
        self.plane = plane
        self._engine = engine
        self._node = f"{name}-control-plane"
        network = json.loads(self._run("network", "inspect", "kind"))[0]
        subnets = network.get("IPAM", {}).get("Config") or network.get("subnets", [])
        gateways = [each.get("Gateway") or each.get("gateway") for each in subnets]
        self.machine_address = next(gateway for gateway in gateways if gateway and ":" not in gateway)

    def volumes(self) -> Sequence[Path]:
        """None: they are in the container's file system."""
        return []

    async def kill_container(self, namespace: str, pod: str) -> None:
        """By the runtime's own word for its process."""
        find = f"crictl ps -q --label io.kubernetes.pod.name={pod} --label io.kubernetes.pod.namespace={namespace}"
        pid = f"crictl inspect --output go-template --template '{{{{.info.pid}}}}' $({find})"
        await asyncio.to_thread(self._run, "exec", self._node, "sh", "-c", f"kill -9 $({pid})")

    async def kill_kubelet(self) -> None:
        """systemd starts it again."""
        await asyncio.to_thread(self._run, "exec", self._node, "systemctl", "kill", "--signal=KILL", "kubelet")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([self._engine, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{self._engine} {' '.join(arguments)}: {done.stderr}"
        return done.stdout


@asynccontextmanager
async def kind_cluster(images: Images) -> AsyncIterator[KindCluster]:
    """A cluster of one node with the images in it, deleted at the end."""
    engine = next(each for each in _ENGINES if shutil.which(each))
    name = f"polecat-{os.getpid()}"
    binaries = await control_plane_binaries(Cache(), Progress())
    with tempfile.TemporaryDirectory(prefix="polecat-kind-") as home:
        kubeconfig = Path(home) / "kubeconfig"

        def kind(*arguments: str) -> None:
            env = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine}
            done = subprocess.run(["kind", *arguments], env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"kind {' '.join(arguments)}: {done.stderr}"

        try:
            await asyncio.to_thread(kind, "create", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}")
            for each in images:
                await asyncio.to_thread(kind, "load", "image-archive", str(each), f"--name={name}")
            yield KindCluster(engine, name, SharedControlPlane(kubeconfig, binaries.kubectl, Path(home)))
        finally:
            await asyncio.to_thread(kind, "delete", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}")
