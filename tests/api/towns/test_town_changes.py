"""Towns that grow, shrink and get a new image: what they say on the way, and who gets the work.

Scheduler and kubelet are played: there is no node here.
"""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client

from polecat_kube.api import KubeApi
from polecat_kube.resources import (
    POD,
    POLECAT,
    STATEFUL_SET,
    TOWN,
)
from support.control_plane import Kubectl, SharedControlPlane
from support.kstatus import kstatus
from support.managed_town import ManagedTown
from support.played_node import PlayedNode
from support.played_town import eventually, running_operator

Json = dict[str, Any]


async def test_a_town_comes_up_is_scaled_and_says_so(town: ManagedTown, node: PlayedNode, kubectl: Kubectl) -> None:
    """`kubectl scale`, `kubectl rollout status`, `kubectl wait` and kstatus all tell the truth on the way."""
    await town.create()
    await node.until_pods("main-0")
    await town.until("Progressing", "True", "Scaling")
    assert kstatus(await town.get()) == "InProgress"
    node.take("main-0")
    await town.played.report_pod("main-0", uid=await node.run("main-0"))
    found = await town.until_kstatus("Current")
    assert found["status"]["replicas"] == 1
    kubectl("wait", "--for=condition=Ready", "town/main", "--timeout=10s")
    kubectl("rollout", "status", "statefulset/main", "--timeout=30s")

    kubectl("scale", "town/main", "--replicas=3")
    await node.until_pods("main-0", "main-1", "main-2")
    await town.until_kstatus("InProgress")
    scale = json.loads(kubectl("get", "--raw", f"{TOWN.path(town.namespace, 'main')}/scale"))
    assert scale["status"] == {"replicas": 3, "selector": "polecat.dev/town=main"}
    assert kubectl("get", "pods", "-l", scale["status"]["selector"], "-o", "name").count("pod/main-") == 3
    for pod in ("main-1", "main-2"):
        node.take(pod)
        await town.played.report_pod(pod, uid=await node.run(pod))
    await town.until_kstatus("Current")

    kubectl("scale", "town/main", "--replicas=1")
    await town.until_kstatus("InProgress")
    for pod in ("main-1", "main-2"):
        await node.until_ending(pod)
        node.finish(pod)
    found = await town.until_kstatus("Current")
    assert found["status"]["replicas"] == 1

    async def entries() -> bool:
        return [each["name"] for each in (await town.get())["status"]["pods"]] == ["main-0"]

    await eventually(entries)


async def test_a_new_image_goes_round_one_pod_at_a_time(town: ManagedTown, node: PlayedNode, kubectl: Kubectl) -> None:
    await town.create(replicas=2)
    before = {}
    for pod in await node.until_pods("main-0", "main-1"):
        name = pod["metadata"]["name"]
        node.take(name)
        before[name] = await node.run(name)
        await town.played.report_pod(name, uid=before[name])
    await town.until_kstatus("Current")

    await town.change(image="polecat:next")
    for name, other in (("main-1", "main-0"), ("main-0", None)):
        await node.until_ending(name)
        assert kstatus(await town.get()) == "InProgress"
        if other is not None:
            still = await town.api.get(POD, town.namespace, other)
            assert still is not None and "deletionTimestamp" not in still["metadata"]
        node.finish(name)
        made = await node.until_other(name, before[name])
        assert made["spec"]["containers"][0]["image"] == "polecat:next"
        node.take(name)
        await town.played.report_pod(name, uid=await node.run(name))
    await town.until_kstatus("Current")
    kubectl("rollout", "status", "statefulset/main", "--timeout=30s")


async def test_more_slots_don_t_replace_pods(town: ManagedTown, node: PlayedNode) -> None:
    await town.create(slots=5)
    await node.until_pods("main-0")
    before = await until_rolled(town, replicas=1)
    await town.change(slots=9, replicas=2)
    await node.until_pods("main-0", "main-1")
    assert await until_rolled(town, replicas=2) == before


async def until_rolled(town: ManagedTown, replicas: int) -> str:
    """The revision of the StatefulSet that its controller has come to for so many pods."""

    async def look() -> str:
        found = await town.until_there(STATEFUL_SET)
        status = found["status"]
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return str(status["updateRevision"]) if seen and found["spec"]["replicas"] == replicas else ""

    return await eventually(look)


async def test_work_of_a_pod_that_goes_is_handed_to_another(town: ManagedTown, node: PlayedNode) -> None:
    """Scaled down: the surplus pod gets nothing new at once, keeps what it has while it drains, and what it leaves
    behind goes to others as soon as it is gone for certain, long before the fence."""
    played = town.played
    played.settling = False  # the pod dies with its work in hand
    async with played.open(slots=1, pods=(), max_polecats=9, replicas=2):
        await town.run_pods(node, 2)
        await played.bead("one")
        await played.bead("two")
        holders = {}
        for bead in ("one", "two"):
            polecat = await played.until_attempt(bead, 1)
            holders[polecat["spec"]["pod"]] = (bead, polecat["metadata"]["name"])
            await played.running(polecat["metadata"]["name"])
        assert set(holders) == {"main-0", "main-1"}
        stays, (moves, lost) = holders["main-0"], holders["main-1"]

        await town.change(replicas=1)
        await node.until_ending("main-1")
        await played.bead("three")
        await played.until_bead("three", "TownFull")
        held = await town.api.get(POLECAT, town.namespace, lost)
        assert held is not None and "deletionTimestamp" not in held["metadata"], "its pod is draining, not gone"

        node.finish("main-1")
        await played.until_gone(lost)
        bead = await played.until_bead(moves, "BackingOff")
        assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (0, 1)
        played.settling = True
        await played.finish(stays[1], "Done")
        again = await played.until_attempt("three", 1)
        assert again["spec"]["pod"] == "main-0"


async def test_a_new_operator_finds_out_by_itself_that_a_pod_is_gone(
    control_plane: SharedControlPlane, kube_api: KubeApi, admin: client.ApiClient, namespace: str
) -> None:
    """The pod went while no operator looked: nobody has seen it go, so the API server is asked."""
    node = PlayedNode(kube_api, admin, namespace)
    town = ManagedTown(kube_api, namespace)
    played = town.played
    played.settling = False
    async with played.open(slots=1, pods=(), replicas=2):
        async with running_operator(control_plane.connection, namespace, town_workloads="managed"):
            await town.run_pods(node, 2)
            await played.bead("one")
            await played.bead("two")
            polecats = [await played.until_attempt(bead, 1) for bead in ("one", "two")]
        (lost,) = [each for each in polecats if each["spec"]["pod"] == "main-1"]
        await town.change(replicas=1)
        await kube_api.patch_merge(STATEFUL_SET, namespace, "main", {"spec": {"replicas": 1}})
        await node.until_ending("main-1")
        node.finish("main-1")
        async with running_operator(control_plane.connection, namespace, town_workloads="managed"):
            await played.until_gone(lost["metadata"]["name"])
            await played.until_bead(lost["spec"]["beadRef"]["name"], "BackingOff")


async def test_a_pod_that_is_replaced_settles_what_its_former_life_had(town: ManagedTown, node: PlayedNode) -> None:
    """It has the volume with the work: nobody else gets it while a pod of that name is to come."""
    played = town.played
    async with played.open(slots=1, pods=(), replicas=1):
        await town.run_pods(node, 1)
        await played.bead("one")
        polecat = await played.until_attempt("one", 1)
        former = played.uids["main-0"]
        node.finish("main-0")
        await node.until_other("main-0", former)
        await town.run_pods(node, 1)
        held = await town.api.get(POLECAT, town.namespace, polecat["metadata"]["name"])
        assert held is not None and held["metadata"]["uid"] == polecat["metadata"]["uid"]
        assert "deletionTimestamp" not in held["metadata"]
