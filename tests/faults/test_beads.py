"""Attempts, interruptions, breakers, endings: on the real API server, with a town played by the test."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, EVENT, POLECAT, RIG, TOWN
from support.control_plane import SharedControlPlane
from support.played_town import Json, PlayedTown, eventually, find, running_operator, timestamp


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses after failures last a fifth of a second instead of ten seconds to ten minutes."""
    monkeypatch.setattr("polecat_operator.planner.retries.pause_seconds", lambda failures: 0.2 if failures else 0)


async def test_i10_attempts_are_counted_on_the_bead_and_survive_everything(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, short_pauses: None
) -> None:
    """Retries for 70 hours: the counter lived on the agent, and began anew with each. An agent that always fails,
    with a new operator and a new name in between, runs exactly `attempts` times.
    """
    async with PlayedTown(kube_api, namespace).open() as town:
        await town.bead("doomed", limits={"attempts": 3})
        names = []
        for attempt in (1, 2, 3):
            pool = {"polecats": {"max": 5, "names": [f"name-{attempt}"]}}
            await kube_api.patch_merge(RIG, namespace, "web", {"spec": pool})
            async with running_operator(control_plane.connection, namespace, identity=f"operator-{attempt}"):
                polecat = await town.until_attempt("doomed", attempt)
                names.append(polecat["spec"]["name"])
                await town.finish(polecat["metadata"]["name"], "AgentFailed", "it broke")
                await town.until_gone(polecat["metadata"]["name"])
        async with running_operator(control_plane.connection, namespace):
            ended = await town.until_bead("doomed", "AttemptsExhausted")
            assert find(ended, "Succeeded")["status"] == "False"
            assert "it broke" in find(ended, "Succeeded")["message"]
            assert (ended["status"]["attempts"], ended["status"]["interruptions"]) == (3, 0)
            await town.bead("after")
            await town.until_attempt("after", 1)
    assert len(set(names)) > 1
    assert len(town.seen) == 4


async def test_i11_interruptions_never_use_up_attempts(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, short_pauses: None
) -> None:
    """The cap became a grave: after an outage nothing was ever started again. Twenty interruptions in a row leave
    the attempts alone, and the work goes on by itself.
    """
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("one", limits={"attempts": 1})
        for serial in range(1, 21):
            polecat = await town.until_attempt("one", serial)
            await town.finish(polecat["metadata"]["name"], "Interrupted", "the pod was drained")
        polecat = await town.until_attempt("one", 21)
        bead = await town.get_bead("one")
        assert (bead["status"].get("attempts", 0), bead["status"]["interruptions"]) == (0, 20)
        await town.finish(polecat["metadata"]["name"], "Done")
        done = await town.until_bead("one", "Done")
        assert done["status"]["attempts"] == 1


async def test_i12_a_healthy_load_leaves_the_breaker_closed(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """A breaker took a busy hour for a storm. A hundred healthy beads at once, some drained pods among them."""
    async with (
        PlayedTown(kube_api, namespace).open(slots=25, max_polecats=50, pods=("main-0", "main-1")) as town,
        running_operator(control_plane.connection, namespace),
    ):
        ending = Ending(town, lambda polecat: "Interrupted" if first_of_ten(polecat) else "Done")
        await asyncio.gather(*(town.bead(f"b{number:03}") for number in range(100)))

        async def over() -> bool:
            await ending.end_all()
            beads, _ = await kube_api.list(BEAD, namespace)
            reasons = [find(bead, "Ready").get("reason") for bead in beads]
            assert "BreakerOpen" not in reasons
            return reasons.count("Done") == 90 and reasons.count("BackingOff") == 10

        await eventually(over)
        rig = await kube_api.get(RIG, namespace, "web")
        assert find(rig, "Stalled")["status"] == "False"


def first_of_ten(polecat: Json) -> bool:
    """Whether its bead has a number that ends with 0."""
    return bool(polecat["spec"]["beadRef"]["name"].endswith("0"))


class Ending:
    """Ends each claimed polecat, as `how` says of it, once."""

    def __init__(self, town: PlayedTown, how: Any) -> None:
        self._town = town
        self._how = how
        self.ended: set[str] = set()
        self.beads: set[str] = set()
        """Names of the beads whose polecats were ended."""

    async def end_all(self) -> None:
        """One round over those that exist."""
        finishing = []
        for polecat in await self._town.polecats():
            uid = polecat["metadata"]["uid"]
            if (polecat.get("status") or {}).get("claim") and uid not in self.ended:
                self.ended.add(uid)
                self.beads.add(polecat["spec"]["beadRef"]["name"])
                finishing.append(self._town.finish(polecat["metadata"]["name"], self._how(polecat), "no route to host"))
        await asyncio.gather(*finishing)


async def test_i13_a_rig_where_nothing_starts_is_left_alone_and_tried_again_by_itself(
    control_plane: SharedControlPlane,
    kube_api: KubeApi,
    namespace: str,
    short_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A breaker that never opened: storms of 160 agents. The repository is away, thirty beads: a bounded number of
    starts, a condition that says why, and all goes on by itself when the repository is there again.
    """
    monkeypatch.setattr("polecat_operator.planner.breaker.FIRST_PAUSE_SECONDS", 2)
    async with (
        PlayedTown(kube_api, namespace).open(slots=3, max_polecats=3) as town,
        running_operator(control_plane.connection, namespace),
    ):
        broken = Ending(town, lambda polecat: "StartFailed")
        began = time.monotonic()
        await asyncio.gather(*(town.bead(f"b{number:02}") for number in range(30)))

        async def all_held() -> bool:
            await broken.end_all()
            rig = await kube_api.get(RIG, namespace, "web")
            return find(rig, "Stalled").get("status") == "True" and not await town.polecats()

        await eventually(all_held)
        # Five beads open it while two more are at work; each pause, twice as long as the last, lets one more try.
        tries = math.floor(math.log2(1 + (time.monotonic() - began) / 2))
        assert 5 <= len(broken.beads) <= 5 + 2 + tries
        assert len(broken.ended) <= 3 * len(broken.beads)
        waiting = await town.until_bead("b29", "BreakerOpen")
        assert "no route to host" in find(waiting, "Ready")["message"]
        rig = await kube_api.get(RIG, namespace, "web")
        assert find(rig, "Ready")["reason"] == "BreakerOpen"
        assert "no route to host" in find(rig, "Ready")["message"]

        before = len(broken.ended)

        async def single_try_failed() -> bool:
            await broken.end_all()
            assert len(broken.ended) <= before + 1
            return len(broken.ended) == before + 1

        await eventually(single_try_failed)
        mended = Ending(town, lambda polecat: "Done")

        async def all_done() -> bool:
            await mended.end_all()
            beads, _ = await kube_api.list(BEAD, namespace)
            return all(find(bead, "Ready").get("reason") == "Done" for bead in beads)

        await eventually(all_done)
        rig = await kube_api.get(RIG, namespace, "web")
        assert find(rig, "Stalled")["status"] == "False"


FAR_PAST = "0000-01-01T00:00:00Z"
"""A time that the API server takes, and that Python has no date for."""


async def test_i15_an_object_that_cannot_be_read_stops_no_other(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """One unreadable object ended the whole pass. A bead, a polecat and a pod's entry that can't be read: the others
    go on, what can be healed is, and the second pod of the town takes the work.
    """
    async with PlayedTown(kube_api, namespace).open(pods=("main-0", "main-1")) as town:
        town.claiming = False
        async with running_operator(control_plane.connection, namespace):
            await town.bead("one")
            await town.until_polecat("web-toast", claimed=False)
        await town.bead("nonsense")
        status: Json = {"nextAttemptTime": FAR_PAST, "startTime": FAR_PAST, "conditions": []}
        await kube_api.patch_merge(BEAD, namespace, "nonsense", {"status": status}, subresource="status")
        await town.report_pod("main-0", seenTime=FAR_PAST)
        async with running_operator(control_plane.connection, namespace):
            town.claiming = True
            await town.bead("two")
            placed = await town.until_attempt("two", 1)
            assert placed["spec"]["pod"] == "main-1"
            healed = await town.until_bead("nonsense", "Starting")
            assert healed["status"]["startTime"] != FAR_PAST
            beating = {"heartbeatTime": FAR_PAST, "conditions": []}
            await kube_api.patch_merge(POLECAT, namespace, "web-toast", {"status": beating}, subresource="status")
            await town.finish("web-toast", "Done")
            await town.until_bead("one", "Done")


async def test_i16_clearing_away_never_opens_finished_work_again(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, short_pauses: None
) -> None:
    """Garbage collection opened finished work again. Polecats, rig and town are deleted round beads that have ended
    well and badly, and a new operator begins: nothing of them changes.
    """
    async with PlayedTown(kube_api, namespace).open() as town:
        town.settling = False
        async with running_operator(control_plane.connection, namespace):
            await town.bead("good")
            await town.bead("bad", limits={"attempts": 1})
            await town.bead("after", dependsOn=["bad"])
            good, bad = await town.until_attempt("good", 1), await town.until_attempt("bad", 1)
            await town.finish(good["metadata"]["name"], "Done", publishedCommit="a" * 40)
            await town.finish(bad["metadata"]["name"], "AgentFailed")
            before = [
                await town.until_bead("good", "Done"),
                await town.until_bead("bad", "AttemptsExhausted"),
                await town.until_bead("after", "DependencyFailed"),
            ]
        for polecat in await town.polecats():
            await kube_api.delete(POLECAT, namespace, polecat["metadata"]["name"])
            await town.settle(polecat)
        await kube_api.delete(RIG, namespace, "web")
        await kube_api.delete(TOWN, namespace, "main")
        async with running_operator(control_plane.connection, namespace, resync_seconds=0.2):
            await town.bead("new")
            await town.until_bead("new", "InvalidReference")
            await town.create_rig()
            await kube_api.create(TOWN, namespace, {"metadata": {"name": "main"}, "spec": {"slots": 5}})
            await town.report_pod("main-0")
            await town.report_repository()
            await town.until_attempt("new", 1)
            for bead in before:
                now = await town.get_bead(bead["metadata"]["name"])
                assert now["status"] == bead["status"]


@pytest.mark.parametrize("reason", ["StartFailed", "SetupFailed", "OutOfMemory", "ModelFailed"])
async def test_i20_a_failure_is_told_once_with_its_cause(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, reason: str
) -> None:
    """Failures were recorded as empty strings, 4,000 an hour: each has its reason and message in the status and in
    one Event, and its log tail on the Polecat.
    """
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        running_operator(control_plane.connection, namespace, resync_seconds=0.2),
    ):
        town.settling = False
        await town.bead("one", limits={"attempts": 5})
        await town.until_polecat("web-toast")
        exit_ = {"reason": reason, "exitCode": 127, "message": "exit code 127", "logTail": "kilo: not found"}
        await town.finish("web-toast", reason, "exit code 127: kilo: not found", exit=exit_)
        paused = await town.until_bead("one", "BackingOff")
        said = find(paused, "Ready")["message"]
        assert reason in said
        assert "exit code 127: kilo: not found" in said
        polecat = await town.until_polecat("web-toast")
        assert polecat["status"]["exit"]["logTail"] == "kilo: not found"

        async def told() -> list[Json]:
            items, _ = await kube_api.list(EVENT, namespace)
            return [each for each in items if "kilo: not found" in each["message"]]

        await eventually(told)
        stamp = timestamp()
        await town.bead("later")
        await town.until_attempt("later", 1)
        (event,) = await told()
        assert event["involvedObject"]["name"] == "one"
        assert event.get("count", 1) == 1
        assert event["type"] == "Warning"
        assert (await town.get_bead("one"))["status"] == paused["status"], f"changed by {stamp}"
