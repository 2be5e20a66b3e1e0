"""What the operator does when pods, polecats and operators fail: on the real API server, with a played town."""

import asyncio
import signal

from polecat_api.protocol import OPERATOR_LEASE
from polecat_kube.api import KubeApi
from polecat_kube.resources import LEASE, POLECAT, RIG
from support.control_plane import SharedControlPlane
from support.operator_process import operator_process
from support.played_town import PlayedTown, eventually, find, running_operator

LEASE_TIMES = {"LEASE_SECONDS": "6", "RENEW_SECONDS": "4", "RETRY_SECONDS": "0.5"}
"""Shorter than in production, so that a test need not wait for 15 s."""


async def until_leader(api: KubeApi, namespace: str, identity: str) -> None:
    """Comes back when this operator holds the Lease and knows it, as it has renewed it."""

    async def look() -> bool:
        lease = await api.get(LEASE, namespace, OPERATOR_LEASE)
        held = lease["spec"] if lease else {}
        return held.get("holderIdentity") == identity and held["renewTime"] != held["acquireTime"]

    await eventually(look)


async def test_killed_operator_is_followed_by_one_that_adopts_what_runs(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with PlayedTown(kube_api, namespace).open() as town:
        async with operator_process(control_plane, namespace, IDENTITY="first", **LEASE_TIMES) as first:
            await town.bead("one")
            await town.until_polecat("web-toast")
            await town.running("web-toast")
            await town.until_bead("one", "Running")
            first.send_signal(signal.SIGKILL)
        await town.bead("two")
        async with operator_process(control_plane, namespace, IDENTITY="second", **LEASE_TIMES):
            await town.until_polecat("web-maple")
            await town.finish("web-toast", "Done")
            done = await town.until_bead("one", "Done")
            assert (done["status"]["attempts"], done["status"]["interruptions"]) == (1, 0)
    assert town.seen == ["web-toast", "web-maple"]


async def test_operator_that_is_ended_hands_over_at_once(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        operator_process(control_plane, namespace, IDENTITY="first", **LEASE_TIMES) as first,
    ):
        await until_leader(kube_api, namespace, "first")
        async with operator_process(control_plane, namespace, IDENTITY="second", **LEASE_TIMES):
            await town.bead("one")
            await town.until_polecat("web-toast")
            first.send_signal(signal.SIGTERM)
            assert await first.wait() == 0
            await until_leader(kube_api, namespace, "second")
            await town.bead("two")
            await town.until_polecat("web-maple")
    assert town.seen == ["web-toast", "web-maple"]


async def test_operator_that_was_frozen_does_not_act_on_what_it_used_to_know(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        operator_process(control_plane, namespace, IDENTITY="first", **LEASE_TIMES) as first,
    ):
        await until_leader(kube_api, namespace, "first")
        first.send_signal(signal.SIGSTOP)
        async with operator_process(control_plane, namespace, IDENTITY="second", **LEASE_TIMES):
            await until_leader(kube_api, namespace, "second")
            await asyncio.gather(*(town.bead(f"b{number}") for number in range(5)))
            for name in ("toast", "maple", "birch", "shadow", "copper"):
                await town.until_polecat(f"web-{name}")
            first.send_signal(signal.SIGCONT)
            assert await first.wait() == 1
    assert sorted(town.seen) == sorted(f"web-{name}" for name in ("toast", "maple", "birch", "shadow", "copper"))


async def test_silent_pod_is_fenced_before_its_work_is_given_to_another(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    settings = {"fencing_seconds": 2.0, "fence_margin_seconds": 1.0}
    async with (
        PlayedTown(kube_api, namespace).open(pods=("main-0", "main-1")) as town,
        running_operator(control_plane.connection, namespace, **settings),
    ):
        town.settling = False
        await town.bead("one")
        lost = await town.until_polecat("web-toast")
        assert lost["spec"]["pod"] == "main-0"
        await town.running("web-toast")
        await town.report_pod("main-0", ready=False)

        async def other_pod_lives() -> bool:
            await town.report_pod("main-1")
            bead = await town.get_bead("one")
            return find(bead, "Ready").get("reason") == "BackingOff"

        await eventually(other_pod_lives)
        paused = await town.get_bead("one")
        assert "PodLost" in find(paused, "Ready")["message"]
        assert (paused["status"]["attempts"], paused["status"]["interruptions"]) == (0, 1)
        await town.until_gone("web-toast")


async def test_polecat_that_nobody_claims_is_given_up_and_tried_again(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        running_operator(control_plane.connection, namespace, claim_seconds=0.5),
    ):
        town.claiming = town.settling = False
        await town.bead("one")
        paused = await town.until_bead("one", "BackingOff")
        assert "StartFailed" in find(paused, "Ready")["message"]
        assert paused["status"]["interruptions"] == 1
        town.claiming = town.settling = True
        await town.until_attempt("one", 2)


async def test_name_taken_by_a_foreign_polecat_is_passed_over(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """`a-b` + `c` and `a` + `b-c` meet in one object name; the second takes its next name."""
    town, other = PlayedTown(kube_api, namespace, rig="a"), PlayedTown(kube_api, namespace, rig="a-b")
    async with town.open(), running_operator(control_plane.connection, namespace):
        await other.create_rig(polecats={"max": 5, "names": ["c", "d"]})
        await other.report_repository()
        await kube_api.patch_merge(RIG, namespace, "a", {"spec": {"polecats": {"names": ["b-c", "e"]}}})
        await other.bead("one")
        await town.until_polecat("a-b-c")
        await town.bead("two")
        await town.until_polecat("a-e")


async def test_polecat_that_no_bead_knows_is_deleted(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("one")
        real = await town.until_polecat("web-toast")
        spec = {**real["spec"], "name": "maple"}
        meta = {"name": "web-maple", "labels": real["metadata"]["labels"], "finalizers": real["metadata"]["finalizers"]}
        await kube_api.create(POLECAT, namespace, {"metadata": meta, "spec": spec})
        await town.until_gone("web-maple")
        assert [each["metadata"]["name"] for each in await town.polecats()] == ["web-toast"]
