"""I22: the pod goes, with or without its volume, and the work goes on."""

from __future__ import annotations

import shutil

from polecat_kube.resources import BEAD
from support.whole import Json, World, commit


def steps(world: World, name: str) -> list[Json]:
    """An agent that commits, waits at a gate, leaves something uncommitted, waits, and commits again.

    Steps are repeated when another attempt begins anew, so that each can be done twice.
    """
    before = f"echo hello > {name}-before.txt && git add -A && (git diff --cached --quiet || git commit -qm Before)"
    return [
        {"bash": before},
        {"bash": world.gates.command(name)},
        commit(f"{name}-after.txt"),
        {"done": "ok"},
    ]


async def test_i22_an_evicted_pod_without_its_volume_goes_on_from_saved_work(watched_world: World) -> None:
    """Nine agents were evicted, their work was gone, and the next ones began from nothing.

    The town is ended as by an eviction, its volume deleted; meanwhile another bead takes the name.
    """
    world = watched_world
    await world.rig()
    await world.bead("evicted", steps(world, "evicted"))
    await world.until_true(lambda: "evicted" in world.gates.arrived, "the agent works")
    before = await world.polecats()
    await world.cluster.town.stop(world.cluster.settings.drain_seconds)
    shutil.rmtree(world.cluster.data.town)
    saved = await world.until(BEAD, "evicted", lambda bead: bead["status"].get("interruptions") == 1)
    assert world.git("show", f"{saved['status']['savedRef']}:evicted-before.txt") == "hello"
    # Starts first, and so takes the first free name, which was that of the evicted one.
    steps_of_next = [{"bash": world.gates.command("next")}, commit("next.txt"), {"done": "ok"}]
    await world.bead("next", steps_of_next, priority="Critical")
    world.gates.arrived.clear()
    await world.cluster.town.start()
    await world.until_true(lambda: {"evicted", "next"} <= world.gates.arrived, "both work")
    again = await world.polecats()
    assert before["evicted"]["spec"]["name"] == again["next"]["spec"]["name"] == "toast"
    assert again["evicted"]["spec"]["name"] == "maple"
    assert again["evicted"]["spec"]["startCommit"] == saved["status"]["savedCommit"]
    world.gates.open("evicted", "next")
    done, _ = await world.succeeded("evicted", "next")
    assert (done["status"]["attempts"], done["status"]["interruptions"]) == (1, 1)
    assert world.git("show", f"{done['status']['branch']}:evicted-before.txt") == "hello"
    world.git("merge-base", "--is-ancestor", saved["status"]["savedCommit"], done["status"]["headCommit"])


async def test_i22_a_killed_town_with_its_volume_goes_on_in_place(watched_world: World) -> None:
    """A town that was killed began its agents' work anew."""
    world = watched_world
    await world.rig()
    await world.bead("killed", steps(world, "killed"))
    await world.until_true(lambda: "killed" in world.gates.arrived, "the agent works")
    before = await world.polecats()
    await world.cluster.town.kill()
    world.gates.open("killed")
    (done,) = await world.succeeded("killed")
    assert (done["status"]["attempts"], done["status"]["interruptions"]) == (1, 0)
    assert done["status"]["branch"] == before["killed"]["spec"]["branch"]
    assert world.git("rev-list", "--count", f"main..{done['status']['headCommit']}") == "2"
    await world.quiet()
