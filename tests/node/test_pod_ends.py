"""Pods that end in every way there is: no commit is lost, no work is done twice, and nobody has to do anything."""

from __future__ import annotations

import json

import yaml

from support.node import MARKS
from support.node.cluster import Cluster
from support.node.world import NodeWorld
from support.whole import Json, commit

pytestmark = MARKS


FIRST = (
    "if [ -e first.txt ]; then touch kept.txt; else echo hello > first.txt; fi; "
    "git add -A; git commit -qm First || true"
)
"""Who begins anew from saved work leaves a file that says so."""


async def at_work(world: NodeWorld, name: str) -> None:
    """An agent that has committed once, and waits."""
    await world.town()
    await world.rig()
    steps = [{"bash": FIRST}, {"bash": world.gates.command(name)}, commit("second.txt"), {"done": "Both."}]
    await world.bead(name, steps)
    await world.arrived(name)


async def goes_on(world: NodeWorld, name: str, *, from_saved_work: bool = False) -> Json:
    """The bead, done at the first attempt, with both commits on the remote."""
    world.gates.open(name)
    (bead,) = await world.succeeded(name)
    assert bead["status"]["attempts"] == 1, yaml.safe_dump(bead["status"])
    for file in ("first.txt", "second.txt"):
        assert world.git("show", f"{bead['status']['branch']}:{file}") == "hello"
    if from_saved_work:
        assert "kept.txt" in world.git("ls-tree", "--name-only", bead["status"]["branch"])
    await world.quiet()
    return bead


async def test_a_killed_container_starts_again_and_goes_on(world: NodeWorld, cluster: Cluster) -> None:
    await at_work(world, "killed")
    await cluster.kill_container(world.namespace, "main-0")
    await world.until_restarted(1)
    bead = await goes_on(world, "killed")
    assert bead["status"]["interruptions"] <= 1
    assert await world.restarts() == 1


async def test_a_deleted_pod_hands_over_within_its_grace(world: NodeWorld) -> None:
    await at_work(world, "deleted")
    before = await world.pod_uid()
    await world.run("delete", "pod", "main-0", "--wait=true")
    await world.another_pod(before)
    bead = await goes_on(world, "deleted", from_saved_work=True)
    assert bead["status"]["interruptions"] == 1


async def test_a_pod_deleted_without_grace_loses_nothing_that_is_on_its_volume(world: NodeWorld) -> None:
    await at_work(world, "forced")
    before = await world.pod_uid()
    await world.run("delete", "pod", "main-0", "--grace-period=0", "--force")
    await world.another_pod(before)
    bead = await goes_on(world, "forced", from_saved_work=True)
    assert bead["status"]["interruptions"] == 1


async def test_an_evicted_pod_hands_over(world: NodeWorld) -> None:
    await at_work(world, "evicted")
    before = await world.pod_uid()
    about = {"name": "main-0", "namespace": world.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    path = f"/api/v1/namespaces/{world.namespace}/pods/main-0/eviction"
    await world.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    await world.another_pod(before)
    await goes_on(world, "evicted", from_saved_work=True)


async def test_a_lost_volume_costs_the_work_since_the_last_save_only(world: NodeWorld) -> None:
    await at_work(world, "lost")
    before = await world.pod_uid()
    await world.run("delete", "pvc", "data-main-0", "--wait=false")
    await world.run("delete", "pod", "main-0", "--grace-period=0", "--force")
    await world.another_pod(before)
    await goes_on(world, "lost")


async def test_a_killed_kubelet_interrupts_nobody(world: NodeWorld, cluster: Cluster) -> None:
    await at_work(world, "unwatched")
    before = await world.pod_uid()
    await cluster.kill_kubelet()
    bead = await goes_on(world, "unwatched")
    assert (bead["status"]["interruptions"], await world.restarts(), await world.pod_uid()) == (0, 0, before)


async def test_killed_operators_are_replaced_and_the_work_goes_on(world: NodeWorld, cluster: Cluster) -> None:
    await at_work(world, "unled")
    system = ["--namespace=polecat-system", "delete", "pod", "-l", "app.kubernetes.io/name=polecat-operator"]
    await world.run(*system, "--grace-period=0", "--force")
    bead = await goes_on(world, "unled")
    assert bead["status"]["interruptions"] == 0
