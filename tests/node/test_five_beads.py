"""The whole way in a cluster: shipped image, shipped manifests, Pod Security `restricted`, the real Kilo CLI."""

from __future__ import annotations

from pathlib import Path

from polecat_api.names import POOL
from polecat_kube.resources import BEAD
from polecat_local.demo.plays import load_plays, script_of
from polecat_local.demo.repository import create_repository, read_branch
from polecat_local.demo.stage import CHECKS
from polecat_oracle.looking import agent_processes
from support.node import MARKS
from support.node.cluster import DATA_DIR, Cluster
from support.node.world import NodeWorld, node_world
from support.whole import commit, condition

pytestmark = MARKS


FIVE = [f"bead-{number}" for number in range(1, 6)]


async def test_five_beads_are_done_side_by_side_in_one_pod(world: NodeWorld) -> None:
    await world.town()
    await world.rig()
    for name in FIVE:
        await world.bead(name, [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": f"Did {name}."}])
    await world.arrived(*FIVE)
    polecats = await world.polecats()
    assert {each["spec"]["name"] for each in polecats.values()} == set(POOL[:5])
    assert {each["spec"]["pod"] for each in polecats.values()} == {"main-0"}
    assert len(agent_processes(DATA_DIR)) == 5
    world.gates.open(*FIVE)
    for bead in await world.succeeded(*FIVE):
        name, status = bead["metadata"]["name"], bead["status"]
        assert (status["attempts"], status["interruptions"]) == (1, 0)
        assert world.git("show", f"{status['branch']}:{name}.txt") == "hello"
    await world.quiet()
    assert await world.restarts() == 0


async def test_the_demos_five_agents_pass_their_checks_in_a_pod(cluster: Cluster, tmp_path: Path) -> None:
    remote = tmp_path / "pennybook.git"
    await create_repository(remote)
    plays = load_plays()
    async with node_world(cluster, tmp_path, remote) as world:
        world.model.plays = script_of(plays)
        await world.town()
        await world.rig("pennybook", checks=list(CHECKS))
        for play in plays:
            await world.api.create(BEAD, world.namespace, play.bead("pennybook"))
        for bead in await world.succeeded(*(play.name for play in plays)):
            arrived = await read_branch(remote, bead["status"]["branch"])
            assert arrived is not None and arrived.commit == bead["status"]["headCommit"]
            assert condition(bead, "Ready") == "True"
        await world.quiet()
