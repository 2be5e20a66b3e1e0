"""The first process of a node's namespaces: `python -P holder.py PLAN.json`; when it ends, the kernel ends the rest.

Started by `support.node.node`, which gives it a network, and waits for its file `ready`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from polecat_kube.connection import Connection
from polecat_local.binaries import Binaries
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.kubeconfig import write_kubeconfig
from polecat_local.paths import make_private, write_private
from polecat_local.ports import Ports
from polecat_local.process import Child
from polecat_local.supervise import Supervised

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.node.configuration import write_all
from support.node.images import PAUSE, write_image
from support.node.plan import BRIDGE, NODE_NAME, POD_GATEWAY, SMALL_VOLUME_MIB, UPLINK, NodePlan

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05


def run(*command: str) -> None:
    """Runs a tool of the system's; a failure ends this process, and so the node, with what it said on its log."""
    subprocess.run(command, check=True, stdout=sys.stdout, stderr=sys.stderr)


async def appears(path: Path) -> None:
    """Until there is something of that name. Raises TimeoutError."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not path.exists():
            await asyncio.sleep(POLL_SECONDS)


def lay_mounts(plan: NodePlan) -> None:
    """Covers what containerd, kubelet and CNI write outside of the node's directory, for this namespace only."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for covered in ("lib", "log"):
        upper, work = plan.home / f"var-{covered}", plan.home / f".var-{covered}"
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir=/var/{covered},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", "overlay", "-o", options, f"/var/{covered}")
    plan.small_volume.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={SMALL_VOLUME_MIB}m", "tmpfs", str(plan.small_volume))


async def join_network(plan: NodePlan) -> None:
    """Gives the link its address, and makes the bridge that pods are plugged into."""
    await appears(Path(f"/proc/sys/net/ipv4/conf/{UPLINK}"))
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{plan.node_address}/30", "dev", UPLINK)
    run("ip", "link", "set", UPLINK, "up")
    run("ip", "route", "add", "default", "via", plan.machine_address)
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", POD_GATEWAY, "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


class Programs:
    """Starts the node's programs and keeps them running, as an init system does."""

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan
        self._logs = plan.plane / "logs"
        self._env = {"PATH": f"{plan.path}:{plan.containerd}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(plan.home)}

    async def start(self, program: Path, *arguments: str) -> None:
        """From now on it runs; its output goes to a log of its name."""
        command = [str(program), *arguments]

        async def launch() -> Child:
            return await Child.start(program.name, command, self._logs, self._env)

        await Supervised(program.name, launch, print).start()

    async def containerd(self) -> None:
        """The runtime, and in it the image that holds pods' namespaces."""
        plan = self._plan
        await self.start(plan.containerd / "containerd", f"--config={plan.home / 'containerd.toml'}")
        await appears(plan.socket)
        archive = plan.home / "pause.tar"
        write_image(archive, PAUSE, plan.containerd / "pause")
        run(str(plan.containerd / "ctr"), f"--address={plan.socket}", "-n=k8s.io", "images", "import", str(archive))

    async def kubernetes(self) -> None:
        """Everything that makes a node of this machine."""
        plan = self._plan
        kubeconfig = f"--kubeconfig={plan.plane / 'kubeconfig'}"
        await self.start(plan.kubernetes / "kube-scheduler", kubeconfig, "--leader-elect=false", "--secure-port=0")
        await self.start(plan.kubernetes / "kube-proxy", f"--config={plan.home / 'proxy.yaml'}")
        await self.start(
            plan.kubernetes / "kubelet",
            kubeconfig,
            f"--config={plan.home / 'kubelet.yaml'}",
            f"--root-dir={plan.home / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={plan.node_address}",
        )


async def hold(plan: NodePlan) -> None:
    """Starts everything, says so, and stays."""
    lay_mounts(plan)
    await join_network(plan)
    write_all(plan)
    make_private(plan.plane, "data")
    # As in any other cluster: what agents may not reach is known by these numbers.
    write_private(plan.plane / "ports.json", json.dumps(asdict(Ports(api=6443, etcd_client=2379, etcd_peer=2380))))
    binaries = Binaries.in_directory(plan.home / "programs", "the tests' own")
    options = ControlPlaneOptions(unsafe_no_fsync=True, audit_log=True, nodes_at=plan.node_address)
    plane = ControlPlane(plan.plane, binaries, options, print)
    programs = Programs(plan)
    await asyncio.gather(plane.start(), _containerd_later(programs, plan))
    inside = plane.connection
    outside = Connection(server=f"https://{plan.node_address}:6443", ca=inside.ca, token=inside.token)
    write_kubeconfig(plan.kubeconfig, outside, "admin")
    await programs.kubernetes()
    plan.ready.touch()
    await asyncio.Event().wait()


async def _containerd_later(programs: Programs, plan: NodePlan) -> None:
    # The directory of the logs is made by the control plane.
    await appears(plan.plane / "logs")
    await programs.containerd()


if __name__ == "__main__":
    asyncio.run(hold(NodePlan.load(Path(sys.argv[1]))))
