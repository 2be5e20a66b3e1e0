"""The rights with which the operator makes the pods of towns: each is needed, and none is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from polecat_kube.resources import NAMESPACE, STATEFUL_SET, TOWN
from polecat_local.cluster import LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from support.audit import is_refused, read_audit_log, who_sent
from support.rbac_use import shipped_grants, told, used

OPERATOR = "system:serviceaccount:polecat-system:polecat-operator"
DEADLINE_SECONDS = 120.0


async def test_the_operator_uses_each_right_of_its_role_for_towns(
    start_cluster: Callable[..., Awaitable[LocalCluster]],
) -> None:
    """A town in a namespace of its own, from its first object to a change that takes another StatefulSet."""
    cluster = await start_cluster(
        run_town=False,
        operator_env={"POLECAT_OPERATOR_TOWN_WORKLOADS": "managed"},
        control_plane=ControlPlaneOptions(unsafe_no_fsync=True, audit_log=True),
    )
    grants = shipped_grants("polecat-operator-towns")
    async with cluster.api() as api:
        await api.create(NAMESPACE, None, {"metadata": {"name": "team"}})
        await api.create(TOWN, "team", {"metadata": {"name": "east"}, "spec": {"replicas": 1}})
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (made := await api.get(STATEFUL_SET, "team", "east")) is None:
                await asyncio.sleep(0.1)
            # Volumes of another size take another StatefulSet; the size of one can't be changed.
            await api.patch_merge(TOWN, "team", "east", {"spec": {"storage": {"size": "30Gi"}}})
            while (now := await api.get(STATEFUL_SET, "team", "east")) is None or _uid(now) == _uid(made):
                await asyncio.sleep(0.1)
            # A pod that was scaled away long ago: it is looked for, and then its entry is taken out.
            gone = {"name": "east-7", "uid": "gone", "seenTime": "2026-01-01T00:00:00.000000Z"}
            await api.apply(TOWN, "team", "east", {"status": {"pods": [gone]}}, "status", manager="polecat-town-east-7")
            while ((await api.get(TOWN, "team", "east")) or {})["status"].get("pods"):
                await asyncio.sleep(0.1)
    log = read_audit_log(cluster.data.logs / "audit.log")
    refused = [entry["requestURI"] for entry in log if is_refused(entry) and who_sent(entry) == OPERATOR]
    assert not refused
    assert not told(grants - used(grants, log, OPERATOR))


def _uid(item: dict[str, Any]) -> str:
    return str(item["metadata"]["uid"])
