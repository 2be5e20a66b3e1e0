"""I21: beads that are changed or deleted while a polecat is at them, with whole clusters and the fake agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from polecat_kube.resources import BEAD
from support.whole import Json, World, agent_processes, commit, condition, reason

STAGES = ("starting", "running", "publishing")
CHANGES = ("delete", "suspend", "rerun")
NOW = "$(date +%s%N)"


async def test_i21_a_changed_bead_leaves_no_process_and_no_lost_work(
    watched_worlds: Callable[..., Awaitable[World]],
) -> None:
    """Editing or deleting a bead that ran left its process. Deleted, suspended, run again, each while starting, running
    and publishing: the process is gone, the work saved, the name free; what goes on goes on from there.
    """
    world = await watched_worlds(slots=9)
    gates = world.gates
    await world.rig("starting", setupCommand=gates.command("setup"))
    await world.rig("running")
    await world.rig("publishing", checks=[gates.command("check")])
    for stage in STAGES:
        for change in CHANGES:
            name = f"{change}-{stage}"
            wait = [{"bash": gates.command(name)}] if stage == "running" else []
            await world.bead(name, [commit(f"{name}.txt", NOW), *wait, {"done": "ok"}], rig=stage)
    await asyncio.gather(*(at_stage(world, f"{change}-{stage}", stage) for stage in STAGES for change in CHANGES))
    polecats = await world.polecats()
    assert len(polecats) == 9

    stopped = [f"{change}-{stage}" for stage in STAGES for change in ("delete", "suspend")]
    for stage in STAGES:
        await world.api.delete(BEAD, world.namespace, f"delete-{stage}")
        await change_bead(world, f"suspend-{stage}", suspend=True)
        await change_bead(world, f"rerun-{stage}", rerun="again")
    await world.until_true(
        lambda: (
            not {polecats[name]["metadata"]["uid"] for name in stopped} & set(agent_processes(world.cluster.data.town))
        ),
        "their processes are gone",
    )
    for stage in ("running", "publishing"):
        bead = world.made[f"delete-{stage}"]
        ref = f"refs/polecat/saved/{bead['metadata']['uid']}/1"
        await saved(world, f"delete-{stage}", ref)
        assert world.git("show", f"{ref}:delete-{stage}.txt")
        paused = await world.until(BEAD, f"suspend-{stage}", lambda bead: reason(bead) == "Suspended")
        assert world.git("rev-parse", paused["status"]["savedRef"]) == paused["status"]["savedCommit"]
        assert paused["status"]["attempts"] == 0
    await world.until(BEAD, "suspend-starting", lambda bead: reason(bead) == "Suspended")

    async def only_three() -> bool:
        return len(await world.polecats()) == 3

    async with asyncio.timeout(60):
        while not await only_three():
            await asyncio.sleep(0.1)

    gates.open("setup", "check", *(f"{change}-running" for change in CHANGES))
    for stage in STAGES:
        await change_bead(world, f"suspend-{stage}", suspend=False)
    for stage in STAGES:
        (resumed,) = await world.succeeded(f"suspend-{stage}")
        assert resumed["status"]["attempts"] == 1
        assert world.git("show", f"{resumed['status']['branch']}:suspend-{stage}.txt")
        again = await world.until(BEAD, f"rerun-{stage}", twice)
        assert again["status"]["observedRerun"] == "again"
    await world.quiet()
    await world.bead("next", [commit("next.txt"), {"done": "ok"}], rig="running")
    (after,) = await world.succeeded("next")
    assert after["status"]["branch"].startswith("polecat/toast/")


def twice(bead: Json) -> bool:
    """Whether it has ended well for the second time."""
    return condition(bead, "Succeeded") == "True" and bead["status"]["attempts"] == 2


async def at_stage(world: World, name: str, stage: str) -> None:
    """Comes back when the bead's polecat is in the middle of that stage."""
    word = {"starting": "Starting", "running": "Running", "publishing": "Publishing"}[stage]
    await world.until(BEAD, name, lambda bead: reason(bead) == word)
    gate = {"starting": "setup", "running": name, "publishing": "check"}[stage]
    await world.until_true(lambda: gate in world.gates.arrived, f"{name} waits at {gate}")


async def change_bead(world: World, name: str, **spec: object) -> None:
    """Changes fields of a bead's spec."""
    await world.api.patch_merge(BEAD, world.namespace, name, {"spec": spec})


async def saved(world: World, name: str, ref: str) -> None:
    """Comes back when an Event tells that the work of a deleted bead is at `ref`."""
    async with asyncio.timeout(60):
        while not any(ref in message for message in await world.events(name, "WorkSaved")):
            await asyncio.sleep(0.1)
