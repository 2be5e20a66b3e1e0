"""What a town runs on, as the operator makes and keeps it, with the real StatefulSet controller.

Scheduler and kubelet are played: there is no node here.
"""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client

from polecat_kube.api import KubeApi
from polecat_kube.resources import (
    CLUSTER_ROLE_BINDING,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    TOWN,
    ResourceType,
)
from polecat_operator.metrics import REGISTRY
from support.control_plane import Kubectl, SharedControlPlane
from support.managed_town import ManagedTown
from support.played_node import PlayedNode
from support.played_town import eventually, running_operator

Json = dict[str, Any]


async def test_a_town_gets_all_it_runs_on(town: ManagedTown, namespace: str) -> None:
    await town.create(
        slots=12,
        resources={"requests": {"cpu": "2"}, "limits": {"memory": "16Gi"}},
        nodeSelector={"pool": "agents"},
        tolerations=[{"key": "agents", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
        env=[{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        podAnnotations={"example.com/team": "web"},
        imagePullSecrets=[{"name": "registry"}],
        storage={"size": "5Gi", "className": "fast"},
    )
    made = await town.until_there(STATEFUL_SET)
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Town", "main", True)
    spec, template = made["spec"], made["spec"]["template"]
    pod = template["spec"]
    (container,) = pod["containers"]
    assert (spec["replicas"], spec["serviceName"], container["image"]) == (1, "main", "polecat:test")
    assert template["metadata"]["annotations"] == {"example.com/team": "web"}
    assert pod["nodeSelector"] == {"pool": "agents"}
    assert pod["tolerations"] == [
        {"key": "agents", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    ]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["terminationGracePeriodSeconds"] == 60 + 30 * 20
    assert container["resources"] == {"requests": {"cpu": "2", "memory": "16Gi"}, "limits": {"memory": "16Gi"}} or (
        container["resources"] == {"requests": {"cpu": "2"}, "limits": {"memory": "16Gi"}}
    )
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert int(env["POLECAT_TOWN_DRAIN_SECONDS"] or 0) < pod["terminationGracePeriodSeconds"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    claim = await town.until_there(PERSISTENT_VOLUME_CLAIM, "data-main-0")
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"

    service = await town.until_there(SERVICE)
    assert (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]) == ("None", 7400)
    budget = await town.until_there(POD_DISRUPTION_BUDGET)
    assert budget["spec"]["maxUnavailable"] == 1
    await town.until_there(SERVICE_ACCOUNT, "polecat-town")
    subject = {"kind": "ServiceAccount", "name": "polecat-town", "namespace": namespace}
    for resource, name in (
        (ROLE_BINDING, "polecat-town"),
        (CLUSTER_ROLE_BINDING, f"polecat-town-reviews-{namespace}"),
    ):
        binding = await town.until_there(resource, name)
        assert binding["subjects"] == [subject]
        assert not binding["metadata"].get("ownerReferences")
    await town.api.delete(CLUSTER_ROLE_BINDING, None, f"polecat-town-reviews-{namespace}")


async def test_pods_pass_the_restricted_profile(town: ManagedTown, node: PlayedNode, kubectl: Kubectl) -> None:
    kubectl("label", "namespace", town.namespace, "pod-security.kubernetes.io/enforce=restricted")
    await town.create(replicas=2)
    await node.until_pods("main-0", "main-1")


async def test_nothing_is_written_while_nothing_changes(
    control_plane: SharedControlPlane, kube_api: KubeApi, admin: client.ApiClient, namespace: str
) -> None:
    """Not at a resync either, at which everything is compared."""
    node = PlayedNode(kube_api, admin, namespace)
    town = ManagedTown(kube_api, namespace)
    settings: Json = {"town_workloads": "managed", "resync_seconds": 0.5}
    async with running_operator(control_plane.connection, namespace, **settings):
        await town.create()
        await node.until_pods("main-0")
        node.take("main-0")
        await town.played.report_pod("main-0", uid=await node.run("main-0"))
        await town.until_kstatus("Current")
        kinds = (STATEFUL_SET, SERVICE, POD_DISRUPTION_BUDGET, ROLE_BINDING, SERVICE_ACCOUNT, TOWN)

        async def versions() -> dict[str, str]:
            return {
                f"{kind.plural}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
                for kind in kinds
                for each in (await kube_api.list(kind, namespace))[0]
            }

        def lists() -> float:
            told = {"verb": "list", "resource": "beads", "code": "200"}
            return REGISTRY.get_sample_value("polecat_operator_api_requests_total", told) or 0.0

        async def untouched() -> bool:
            """Whether three more resyncs have changed nothing."""
            before, seen = await versions(), lists()

            async def three_more() -> bool:
                return lists() >= seen + 3

            await eventually(three_more)
            return before == await versions()

        assert await eventually(untouched)


async def remove(town: ManagedTown, resource: ResourceType, name: str = "main") -> str:
    found = await town.until_there(resource, name)
    await town.api.delete(resource, town.namespace, name)
    return str(found["metadata"]["uid"])


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        (STATEFUL_SET, "main"),
        (SERVICE, "main"),
        (POD_DISRUPTION_BUDGET, "main"),
        (ROLE_BINDING, "polecat-town"),
        (SERVICE_ACCOUNT, "polecat-town"),
    ],
    ids=lambda each: each.kind if isinstance(each, ResourceType) else each,
)
async def test_what_somebody_removes_is_made_again(town: ManagedTown, resource: ResourceType, name: str) -> None:
    """Of a town that does well without it at its next resync, of one whose pods don't report at once."""
    await town.create()
    await town.until("Ready", "False", "PodMissing")
    former = await remove(town, resource, name)
    await town.until_there(resource, name, former)


async def test_what_somebody_changes_is_changed_back(town: ManagedTown, node: PlayedNode, kubectl: Kubectl) -> None:
    """At once, not at the next resync."""
    await town.create()
    await town.run_pods(node, 1)
    await town.until_kstatus("Current")
    kubectl("scale", "statefulset/main", "--replicas=3")

    async def back() -> bool:
        return (await town.until_there(STATEFUL_SET))["spec"]["replicas"] == 1

    await eventually(back)
    await node.until_pods("main-0")


async def test_another_size_of_volumes_makes_the_statefulset_anew_around_its_pods(
    town: ManagedTown, node: PlayedNode
) -> None:
    """A StatefulSet's claims can't be changed. New pods get the new size, those that run keep theirs."""
    await town.create(storage={"size": "5Gi"})
    (before,) = await node.until_pods("main-0")
    former = (await town.until_there(STATEFUL_SET))["metadata"]["uid"]
    await town.change(storage={"size": "7Gi"}, replicas=2)
    await town.until_there(STATEFUL_SET, former=former)
    after = await node.until_pods("main-0", "main-1")
    assert after[0]["metadata"]["uid"] == before["metadata"]["uid"]
    sizes = [
        (await town.until_there(PERSISTENT_VOLUME_CLAIM, f"data-main-{number}"))["spec"]["resources"]["requests"]
        for number in range(2)
    ]
    assert sizes == [{"storage": "5Gi"}, {"storage": "7Gi"}]


@pytest.mark.parametrize("resource", [STATEFUL_SET, SERVICE], ids=lambda each: each.kind)
async def test_an_object_of_somebody_else_is_left_alone(
    town: ManagedTown, node: PlayedNode, kubectl: Kubectl, resource: ResourceType
) -> None:
    labels = {"app": "other"}
    ports = [{"port": 80}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    theirs: Json = {"selector": labels, "ports": ports}
    if resource is STATEFUL_SET:
        theirs = {"selector": {"matchLabels": labels}, "serviceName": "x", "replicas": 0, "template": template}
    made = await town.api.create(resource, town.namespace, {"metadata": {"name": "main"}, "spec": theirs})
    await town.create()
    said = await town.until("Stalled", "True", "WorkloadRefused")
    assert f"there is a {resource.kind} main that is not this town's" in said["message"]
    found = await town.api.get(resource, town.namespace, "main") or {}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["spec"] == made["spec"]
    kubectl("delete", resource.plural, "main")
    await node.until_pods("main-0")
    await town.until("Stalled", "False", "Ok")


async def test_a_town_that_is_deleted_takes_all_of_its_own_with_it(town: ManagedTown, node: PlayedNode) -> None:
    """And is made anew under its name at once."""
    await town.create()
    (pod,) = await node.until_pods("main-0")
    former = (await town.until_there(STATEFUL_SET))["metadata"]["uid"]
    await town.api.delete(TOWN, town.namespace, "main")
    await town.create()
    await town.until_there(STATEFUL_SET, former=former)
    await node.until_other("main-0", pod["metadata"]["uid"])
