"""The rights with which the operator makes the pods of towns: each is needed, and none is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
    """A town in a namespace of its own, from its first object to a change of its size."""
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
            while await api.get(STATEFUL_SET, "team", "east") is None:
                await asyncio.sleep(0.1)
            await api.patch_merge(TOWN, "team", "east", {"spec": {"replicas": 2}})
            while (await api.get(STATEFUL_SET, "team", "east") or {})["spec"]["replicas"] != 2:
                await asyncio.sleep(0.1)
    log = read_audit_log(cluster.data.logs / "audit.log")
    refused = [entry["requestURI"] for entry in log if is_refused(entry) and who_sent(entry) == OPERATOR]
    assert not refused
    assert not told(grants - used(grants, log, OPERATOR))
