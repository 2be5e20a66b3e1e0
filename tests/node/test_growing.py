"""A town grows, shrinks and gets a new image while its agents work."""

from __future__ import annotations

import json

import yaml

from polecat_kube.resources import POD, TOWN
from support.node import MARKS
from support.node.cluster import NEXT_IMAGE
from support.node.world import TOWN_NAME, NodeWorld
from support.whole import Json, commit, condition

pytestmark = MARKS


THREE = ["one", "two", "three"]


def steps(world: NodeWorld, name: str) -> list[Json]:
    """A commit, a wait, another commit."""
    wait = {"bash": world.gates.command(name)}
    return [commit(f"{name}-1.txt"), wait, commit(f"{name}-2.txt"), {"done": f"Did {name}."}]


async def all_done(world: NodeWorld) -> None:
    """All three beads at their first attempt, with all that they committed."""
    world.gates.open(*THREE)
    for bead in await world.succeeded(*THREE):
        name, status = bead["metadata"]["name"], bead["status"]
        assert status["attempts"] == 1, yaml.safe_dump(status)
        for number in (1, 2):
            assert world.git("show", f"{status['branch']}:{name}-{number}.txt") == "hello"
    await world.quiet()


async def test_three_pods_work_at_once_and_one_takes_over_what_two_leave(world: NodeWorld) -> None:
    await world.town(slots=1)
    await world.rig()
    for name in THREE:
        await world.bead(name, steps(world, name))
    await world.until_true(lambda: len(world.gates.arrived) == 1, "the one pod works")
    await world.run("scale", f"town/{TOWN_NAME}", "--replicas=3")
    await world.arrived(*THREE)
    assert {each["spec"]["pod"] for each in (await world.polecats()).values()} == {"main-0", "main-1", "main-2"}
    town = await world.until(TOWN, TOWN_NAME, lambda town: town["status"]["replicas"] == 3)
    pods = (await world.run("get", "pods", "-l", town["status"]["selector"], "-o", "name")).split()
    assert len(pods) == 3
    await world.run("scale", f"town/{TOWN_NAME}", "--replicas=1")
    for leaving in ("main-1", "main-2"):
        await world.until_gone(POD, leaving)
    await all_done(world)
    await world.until(TOWN, TOWN_NAME, lambda town: condition(town, "Ready") == "True")


async def test_a_new_image_goes_round_pod_by_pod_while_agents_work(world: NodeWorld) -> None:
    await world.town(replicas=2, slots=2)
    await world.rig()
    for name in THREE:
        await world.bead(name, steps(world, name))
    await world.arrived(*THREE)
    patch = {"spec": {"image": NEXT_IMAGE}}
    await world.run("patch", f"town/{TOWN_NAME}", "--type=merge", "-p", json.dumps(patch))

    for name in ("main-0", "main-1"):
        await world.until(POD, name, lambda pod: pod["spec"]["containers"][0]["image"] == NEXT_IMAGE)
    await world.run("rollout", "status", f"statefulset/{TOWN_NAME}", "--timeout=100s")
    await all_done(world)
