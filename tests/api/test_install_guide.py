"""docs/install.md as a reader follows it: each block that needs no node is run as it stands."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import yaml

from polecat_kube.resources import BEAD, POLECAT, TOWN, ResourceType
from support.fake_agent import FAKE_KILO
from support.paths import ROOT
from support.whole import World, commit, condition
from support.world_fixture import StartWorld, start_world

__all__ = ["start_world"]

GUIDE = (ROOT / "docs/install.md").read_text()
BLOCK = re.compile(r"<!-- on: any -->\n```sh\n(.*?)```", re.DOTALL)
DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment")
CRD = ResourceType("apiextensions.k8s.io", "v1", "customresourcedefinitions", "", namespaced=False)
CLUSTER_ROLE = ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


def blocks(heading: str) -> list[str]:
    """The shell commands of one section."""
    _, found, rest = GUIDE.partition(f"\n## {heading}\n")
    assert found, f"the guide has a section {heading}"
    return BLOCK.findall(rest.partition("\n## ")[0])


class Reader:
    """Somebody at the top of the checkout, with kubectl and the rights of an administrator."""

    def __init__(self, world: World, directory: Path) -> None:
        plane = world.cluster.control_plane
        self.directory = directory
        directory.mkdir()
        (directory / "manifests").symlink_to(ROOT / "manifests")
        self.env = {
            "PATH": f"{plane.kubectl.parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(directory),
            "KUBECONFIG": str(world.cluster.kubeconfig),
        }

    async def follows(self, *commands: str) -> str:
        """Runs blocks one after the other; each must succeed. Gives what they print."""
        said = ""
        for each in commands:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-euo", "pipefail", "-c", each),
                cwd=self.directory,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            assert process.returncode == 0, f"{each}\n{output.decode()}"
            said += output.decode()
        return said


def test_blocks_are_found() -> None:
    sections = ("On kind", "On a cluster that others use", "Upgrade", "Back up", "Restore", "Uninstall")
    assert [len(blocks(each)) for each in sections] == [3, 1, 1, 1, 1, 4]
    assert GUIDE.count("```sh") == GUIDE.count("<!-- on: "), "each block says where it can be run"


async def test_install_back_up_restore_and_uninstall(start_world: StartWorld, tmp_path: Path) -> None:
    """One bead has ended and one is at work when the cluster is lost; then both go their way, and all is taken out."""
    world = await start_world(kilo_path=FAKE_KILO)
    reader = Reader(world, tmp_path / "checkout")
    said = await reader.follows(*blocks("On kind"))
    assert said.splitlines()[-1].count(".") == 2, "a token for the dashboard"
    assert await world.api.get(DEPLOYMENT, "polecat-system", "polecat-operator")
    await reader.follows(*blocks("Upgrade"))
    await production_passes(reader)

    await world.rig()
    await world.bead("done", [commit("done.txt"), {"done": "ok"}])
    await world.bead("open", [commit("open.txt"), {"bash": world.gates.command("open")}, {"done": "ok"}])
    (done,) = await world.succeeded("done")
    await world.until_true(lambda: "open" in world.gates.arrived, "an agent works")
    await reader.follows(*blocks("Back up"))
    backed_up = yaml.safe_load((reader.directory / "polecat.yaml").read_text())["items"]
    assert {each["kind"] for each in backed_up} == {"Town", "Rig", "Bead"}

    # All is gone: by the first commands for uninstalling, while there is somebody to save the work.
    await reader.follows(blocks("Uninstall")[0])
    assert not (await world.api.list(POLECAT))[0]
    await world.cluster.operator.stop(30.0)
    await reader.follows(*blocks("Restore"))
    restored = await world.api.get(BEAD, world.namespace, "done")
    assert restored is not None and restored["status"] == done["status"]
    world.gates.open("open")
    await world.cluster.operator.start()
    await world.succeeded("open")
    again = await world.api.get(BEAD, world.namespace, "done")
    assert again is not None and again["status"]["attempts"] == 1 and condition(again, "Succeeded") == "True"

    await world.quiet()
    work, of_namespace, rest, hanging = blocks("Uninstall")
    await reader.follows(work)
    assert not (await world.api.list(TOWN))[0]
    await world.cluster.operator.stop(30.0)
    await world.cluster.town.stop(30.0)
    await reader.follows(of_namespace, hanging, rest)
    left = [*(await world.api.list(CRD))[0], *(await world.api.list(CLUSTER_ROLE))[0]]
    assert not [each["metadata"]["name"] for each in left if "polecat" in each["metadata"]["name"]]


async def production_passes(reader: Reader) -> None:
    """The overlay for production over what is there; then that of kind again."""
    (command,) = blocks("On a cluster that others use")
    await reader.follows(f"{command.strip()} --dry-run=server")
