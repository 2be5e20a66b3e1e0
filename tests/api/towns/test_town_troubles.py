"""What keeps the pods of a town from running: said in its conditions, and over by itself when it is mended.

Scheduler and kubelet are played: there is no node here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import (
    EVENT,
    PERSISTENT_VOLUME_CLAIM,
    ResourceType,
)
from support.control_plane import Kubectl, SharedControlPlane
from support.kstatus import kstatus
from support.managed_town import ManagedTown
from support.objects import rules_without
from support.played_node import PlayedNode
from support.played_town import eventually, running_operator, timestamp

Json = dict[str, Any]
QUOTA = ResourceType("", "v1", "resourcequotas", "ResourceQuota")
LIMITS = ResourceType("", "v1", "limitranges", "LimitRange")


TROUBLES: dict[str, tuple[str, Callable[[PlayedNode], Awaitable[None]]]] = {
    "no node has room": (
        "PodUnschedulable",
        lambda node: node.refuse("main-0", "0/3 nodes are available: 3 Insufficient memory."),
    ),
    "the volume can't be bound": (
        "VolumeUnbound",
        lambda node: node.refuse(
            "main-0", "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
        ),
    ),
    "the image does not exist": (
        "ImageUnavailable",
        lambda node: node.container("main-0", {"waiting": {"reason": "ErrImagePull", "message": "not found"}}),
    ),
    "the image has another program": (
        "ContainerCrashing",
        lambda node: node.container(
            "main-0",
            {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            {"terminated": {"exitCode": 1, "reason": "Error", "message": "No module named polecat_town"}},
            restarts=2,
        ),
    ),
    "it was killed for its memory": (
        "PodOutOfMemory",
        lambda node: node.container(
            "main-0", {"running": {}}, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, restarts=1
        ),
    ),
}


@pytest.mark.parametrize("what", TROUBLES)
async def test_what_keeps_a_pod_from_running_stands_in_the_town_until_it_is_over(
    town: ManagedTown, node: PlayedNode, what: str
) -> None:
    reason, happen = TROUBLES[what]
    await town.create()
    await node.until_pods("main-0")
    await happen(node)
    said = await town.until("Ready", "False", reason)
    assert "main-0" in said["message"]
    await town.until("Progressing", "True", reason)
    await town.played.report_pod("main-0", uid=await node.run("main-0"))
    await town.until("Ready", "True", "Ok")
    await town.until_kstatus("Current")


async def test_a_storage_class_that_does_not_exist_is_named(town: ManagedTown, node: PlayedNode) -> None:
    """The volume controller says so in an Event of the claim only."""
    await town.create(storage={"className": "fast"})
    await node.until_pods("main-0")
    claim = await town.until_there(PERSISTENT_VOLUME_CLAIM, "data-main-0")
    about = {"kind": "PersistentVolumeClaim", "name": "data-main-0", "namespace": town.namespace}
    event = {
        "metadata": {"name": "data-main-0.1", "namespace": town.namespace},
        "involvedObject": {**about, "uid": claim["metadata"]["uid"]},
        "type": "Warning",
        "reason": "ProvisioningFailed",
        "message": 'storageclass.storage.k8s.io "fast" not found',
        "lastTimestamp": f"{timestamp()[:19]}Z",
    }
    await town.api.create(EVENT, town.namespace, event)
    said = await town.until("Ready", "False", "VolumeUnbound")
    assert 'storageclass.storage.k8s.io "fast" not found' in said["message"]
    bound = {"status": {"phase": "Bound"}}
    await town.api.patch_merge(PERSISTENT_VOLUME_CLAIM, town.namespace, "data-main-0", bound, subresource="status")
    await town.until("Ready", "False", "PodMissing")


@pytest.mark.parametrize(
    ("resource", "spec", "reason", "words"),
    [
        (QUOTA, {"hard": {"pods": "0"}}, "QuotaExceeded", "exceeded quota"),
        (QUOTA, {"hard": {"persistentvolumeclaims": "0"}}, "QuotaExceeded", "exceeded quota"),
        (
            LIMITS,
            {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]},
            "PodRefused",
            "maximum memory usage per Container is 1Gi",
        ),
    ],
    ids=["quota of pods", "quota of claims", "limit range"],
)
async def test_what_the_namespace_refuses_stands_in_the_town_until_it_is_mended(
    town: ManagedTown, node: PlayedNode, resource: ResourceType, spec: Json, reason: str, words: str
) -> None:
    await town.api.create(resource, town.namespace, {"metadata": {"name": "small"}, "spec": spec})
    if resource is QUOTA:

        async def counted() -> bool:
            found = await town.api.get(QUOTA, town.namespace, "small") or {}
            return bool(found.get("status", {}).get("hard"))

        await eventually(counted)
    await town.create(resources={"limits": {"memory": "8Gi"}})
    said = await town.until("Ready", "False", reason)
    assert words in said["message"]
    await town.until("Stalled", "True", reason)
    assert kstatus(await town.get()) == "Failed"
    await town.api.delete(resource, town.namespace, "small")
    await node.until_pods("main-0")
    await town.until("Stalled", "False", "Ok")


async def test_too_little_memory_for_one_agent_is_said_and_no_bead_is_started(
    town: ManagedTown, node: PlayedNode, kubectl: Kubectl
) -> None:
    await town.create(resources={"limits": {"memory": "2Gi"}})
    await node.until_pods("main-0")
    await town.played.report_pod("main-0", uid=await node.run("main-0"))
    said = await town.until("Ready", "False", "MemoryTooSmall")
    assert "raise the limit or lower agentMemory" in said["message"]

    async def told() -> bool:
        return "MemoryTooSmall" in kubectl("get", "events", "--field-selector=involvedObject.kind=Town")

    await eventually(told)
    await town.played.create_rig()
    await town.played.report_repository()
    await town.played.bead("one")
    await town.played.until_bead("one", "TownNotReady")
    await town.change(agentMemory="1Gi")
    await town.until("Ready", "True", "Ok")
    await town.played.until_bead("one", "Starting")


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("services", "may not make what the town needs"), ("pods", "may not watch the pods of towns")],
)
async def test_an_operator_without_rights_says_what_it_may_not(
    control_plane: SharedControlPlane,
    kube_api: KubeApi,
    kubectl: Kubectl,
    namespace: str,
    node: PlayedNode,
    lacking: str,
    words: str,
) -> None:
    """And goes on by itself when it gets them."""
    kubectl("create", "serviceaccount", "weak")
    account = f"{namespace}:weak"
    own = ["leases.coordination.k8s.io", "secrets"]
    kubectl("create", "role", "own", "--verb=*", *(f"--resource={each}" for each in own))
    kubectl("create", "rolebinding", "own", "--role=own", f"--serviceaccount={account}")
    role = json.loads(kubectl("get", "clusterrole", "polecat-operator-towns", "-o", "json"))
    weak = {
        "apiVersion": role["apiVersion"],
        "kind": "ClusterRole",
        "metadata": {"name": f"{namespace}-weak"},
        "rules": rules_without(role["rules"], lacking),
    }
    try:
        kubectl("create", "-f", "-", stdin=json.dumps(weak))
        for name in (f"{namespace}-weak", "polecat-operator"):
            kubectl(
                "create",
                "clusterrolebinding",
                f"{namespace}-{name}",
                f"--clusterrole={name}",
                f"--serviceaccount={account}",
            )
        connection = replace(control_plane.connection, token=kubectl("create", "token", "weak").strip())
        town = ManagedTown(kube_api, namespace)
        async with running_operator(connection, namespace, town_workloads="managed"):
            await town.create()
            said = await town.until("Stalled", "True", "RightsMissing")
            assert words in said["message"]
            assert lacking in said["message"]
            kubectl("apply", "-f", "-", stdin=json.dumps({**weak, "rules": role["rules"]}))
            await node.until_pods("main-0")
            await town.until("Stalled", "False", "Ok")
    finally:
        for name in (f"{namespace}-weak", "polecat-operator"):
            kubectl("delete", "clusterrolebinding", f"{namespace}-{name}", "--ignore-not-found")
        kubectl("delete", "clusterrole", f"{namespace}-weak", "--ignore-not-found")
