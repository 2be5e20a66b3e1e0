"""Agents that take more than their share: of memory, processes and disk."""

from __future__ import annotations

import pytest

from polecat_kube.resources import BEAD, TOWN
from polecat_oracle.looking import agent_processes
from support.node import MARKS
from support.node.cluster import DATA_DIR, Cluster
from support.node.world import TOWN_NAME, NodeWorld
from support.whole import commit, condition

pytestmark = MARKS


EAT = "python3 -c \"import time; held = [bytearray(b'x' * (64 << 20)) for _ in range(60)]; time.sleep(600)\""
FORK = "for n in $(seq 200); do setsid nohup sleep 900 >/dev/null 2>&1 & done; sleep 1; touch forked"
FILL = "dd if=/dev/zero of=full bs=1M 2>/dev/null"


async def a_quiet_sibling(world: NodeWorld) -> None:
    """An agent at work that minds its own business."""
    await world.bead("calm", [{"bash": world.gates.command("calm")}, commit("calm.txt"), {"done": "Calmly."}])
    await world.arrived("calm")


async def the_sibling_is_done(world: NodeWorld) -> None:
    """At its first attempt, without having noticed anything."""
    world.gates.open("calm")
    (bead,) = await world.succeeded("calm")
    assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
    assert await world.restarts() == 0


async def test_who_eats_memory_is_stopped_alone(world: NodeWorld) -> None:
    await world.town(slots=2, resources={"requests": {"memory": "256Mi"}, "limits": {"memory": "4Gi"}})
    await world.rig()
    await a_quiet_sibling(world)
    await world.bead("hungry", [{"bash": EAT}, {"done": "Full."}], limits={"attempts": 1})
    (bead,) = await world.ended("hungry")
    assert condition(bead, "Succeeded") == "False"
    assert "memory" in (condition(bead, "Succeeded", "message") or "").lower(), bead["status"]
    await the_sibling_is_done(world)
    await world.quiet()


async def test_who_forks_leaves_nothing_behind(world: NodeWorld, cluster: Cluster) -> None:
    await world.town(slots=2)
    await world.rig()
    await a_quiet_sibling(world)
    await world.bead("forks", [{"bash": FORK}, commit("forks.txt"), {"done": "Forked."}])
    await world.succeeded("forks")
    await world.until_true(lambda: len(agent_processes(DATA_DIR)) == 1, "one agent is left")
    left = await world.run("exec", "main-0", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep 900" not in left
    await the_sibling_is_done(world)
    await world.quiet()


async def test_a_full_disk_is_told_and_all_goes_on_when_there_is_room(world: NodeWorld, cluster: Cluster) -> None:
    if cluster.small_class is None:
        pytest.skip("this cluster has no volumes that can be filled")
    await world.town(slots=2, storage={"size": "100Mi", "className": cluster.small_class})
    await world.rig()
    await a_quiet_sibling(world)
    # In one command: the CLI itself can't write down what it has done, either.
    await world.bead("fills", [{"bash": f"{FILL}; {world.gates.command('full')}"}, {"done": "Full."}])
    await world.arrived("full")
    await world.until(TOWN, TOWN_NAME, lambda town: condition(town, "Ready") == "False")
    # Work that can't be saved is never thrown away by itself: a person makes room.
    await world.run("exec", "main-0", "--", "sh", "-c", "rm /data/rigs/web/*/*/worktree/full")
    await world.api.delete(BEAD, world.namespace, "fills")
    await world.until_gone(BEAD, "fills")
    await world.until(TOWN, TOWN_NAME, lambda town: condition(town, "Ready") == "True")
    await the_sibling_is_done(world)
    await world.quiet()
