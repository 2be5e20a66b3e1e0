"""What a user can get wrong about a town: a condition says what and why, and all is well once it is mended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polecat_kube.resources import TOWN
from support.node import MARKS
from support.node.cluster import EMPTY_IMAGE, IMAGE
from support.node.world import TOWN_NAME, NodeWorld
from support.objects import rules_without
from support.whole import Json, condition

pytestmark = MARKS


LITTLE = {"requests": {"memory": "64Mi"}, "limits": {"memory": "1Gi"}}
ENOUGH = {"requests": {"memory": "64Mi"}, "limits": {"memory": "4Gi"}}
MUCH = {"requests": {"memory": "64Ti"}, "limits": {"memory": "64Ti"}}
OPERATOR_ROLE = "polecat-operator-towns"
"""What the operator may do for towns that it runs."""
UNCONFINED = "container.apparmor.security.beta.kubernetes.io/town"
"""No pod of a namespace that enforces `restricted` may have AppArmor switched off."""
WRONG: list[tuple[str, Json, Json]] = [
    ("ImageUnavailable", {"image": "registry.invalid/polecat:0"}, {"image": IMAGE}),
    ("AgentBinaryBroken", {"image": EMPTY_IMAGE}, {"image": IMAGE}),
    ("MemoryTooSmall", {"agentMemory": "3Gi", "resources": LITTLE}, {"resources": ENOUGH}),
    ("PodRefused", {"podAnnotations": {UNCONFINED: "unconfined"}}, {"podAnnotations": {UNCONFINED: None}}),
    ("PodUnschedulable", {"nodeSelector": {"kubernetes.io/arch": "pdp11"}}, {"nodeSelector": None}),
    ("PodUnschedulable", {"resources": MUCH}, {"resources": ENOUGH}),
]


async def says(world: NodeWorld, reason: str) -> Json:
    """The town, once it is not ready for this reason, with a sentence."""

    def told(town: Json) -> bool:
        return (condition(town, "Ready"), condition(town, "Ready", "reason")) == ("False", reason)

    town = await world.until(TOWN, TOWN_NAME, told)
    assert condition(town, "Ready", "message")
    return town


async def mended(world: NodeWorld, spec: dict[str, Any]) -> None:
    """The user changes the spec, and the town becomes ready."""
    await world.run("patch", f"town/{TOWN_NAME}", "--type=merge", "-p", json.dumps({"spec": spec}))
    await becomes_ready(world)


async def becomes_ready(world: NodeWorld) -> None:
    """By itself."""
    await world.until(TOWN, TOWN_NAME, lambda town: condition(town, "Ready") == "True")


@pytest.mark.parametrize(
    ("reason", "wrong", "right"), WRONG, ids=["image", "empty image", "memory", "Pod Security", "node", "size"]
)
async def test_a_wrong_spec_is_told_and_can_be_mended(world: NodeWorld, reason: str, wrong: Json, right: Json) -> None:
    await world.town(wait=False, **wrong)
    await says(world, reason)
    await mended(world, right)


async def test_a_missing_storage_class_is_told(world: NodeWorld) -> None:
    await world.town(wait=False, storage={"size": "1Gi", "className": "no-such-class"})
    await says(world, "VolumeUnbound")


async def test_a_quota_is_told_and_can_be_raised(world: NodeWorld) -> None:
    await world.run("create", "quota", "tight", "--hard=pods=0")
    await world.town(wait=False)
    await says(world, "QuotaExceeded")
    await world.run("delete", "quota", "tight")
    await becomes_ready(world)


async def test_a_limit_range_that_refuses_the_pod_is_told(world: NodeWorld) -> None:
    limit = {"type": "Container", "max": {"memory": "1Gi"}}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "tight"}, "spec": {"limits": [limit]}}
    await world.run("apply", "-f", "-", stdin=json.dumps(body))
    await world.town(wait=False)
    await says(world, "PodRefused")
    await world.run("delete", "limitrange", "tight")
    await becomes_ready(world)


async def test_rights_that_are_taken_from_the_operator_are_missed_in_words(world: NodeWorld) -> None:
    """What runs goes on; once the rights are back, so does all else."""
    await world.town()
    before = await world.pod_uid()
    rules = json.loads(await world.run("get", "clusterrole", OPERATOR_ROLE, "-o", "json"))["rules"]

    async def allow(some: list[Json]) -> None:
        await world.run("patch", "clusterrole", OPERATOR_ROLE, "--type=merge", "-p", json.dumps({"rules": some}))

    try:
        await allow(rules_without(rules, "statefulsets"))
        await world.run("patch", f"town/{TOWN_NAME}", "--type=merge", "-p", '{"spec": {"podAnnotations": {"a": "b"}}}')
        town = await world.until(TOWN, TOWN_NAME, lambda town: condition(town, "Stalled", "reason") == "RightsMissing")
        assert "statefulsets" in condition(town, "Stalled", "message")
        assert await world.pod_uid() == before
    finally:
        await allow(rules)
    await world.another_pod(before)
    await becomes_ready(world)
