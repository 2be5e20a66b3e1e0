"""The whole way with the real Kilo CLI: apply beads, named agents work side by side, their branches arrive."""

from __future__ import annotations

from datetime import datetime

import yaml

from polecat_api.names import POOL
from polecat_kube.resources import BEAD, POLECAT
from support.whole import Json, NeverTwo, World, agent_processes, commit, condition, reason, script

FIVE = [f"bead-{number}" for number in range(1, 6)]


async def test_five_beads_at_once(world: World) -> None:
    await world.rig()
    for name in FIVE:
        await world.bead(name, [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": f"Did {name}."}])
    await world.until_true(lambda: set(FIVE) <= world.gates.arrived, "five agents work at the same time")
    polecats = await world.polecats()
    assert {each["spec"]["name"] for each in polecats.values()} == set(POOL[:5])
    assert len(agent_processes(world.cluster.data.town)) == 5
    assert len({each["status"]["worktree"] for each in polecats.values()}) == 5
    world.gates.open(*FIVE)
    for bead in await world.succeeded(*FIVE):
        name, status = bead["metadata"]["name"], bead["status"]
        assert status["attempts"] == 1
        assert status["interruptions"] == 0
        assert status["result"]["summary"] == f"Did {name}."
        assert (status["result"]["commits"], status["result"]["filesChanged"]) == (1, 1)
        assert status["usage"]["outputTokens"] > 0
        assert status["branch"].startswith(f"polecat/{polecats[name]['spec']['name']}/")
        assert world.git("show", f"{status['branch']}:{name}.txt") == "hello"
        assert "polecat" not in status
    await world.quiet()


async def test_sling_of_eight_into_a_cap_of_five(world: World) -> None:
    await world.rig()
    items = [f"item-{number}" for number in range(1, 9)]
    documents = []
    for name in items:
        steps = [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}]
        documents.append({"name": name, "title": f"Work on {name}", "prompt": script(steps)})
    code, output = await world.polecat_command("sling", "web", "-f", "-", stdin=yaml.safe_dump(documents))
    assert code == 0, output
    again, output = await world.polecat_command("sling", "web", "-f", "-", stdin=yaml.safe_dump(documents))
    assert again == 0, output
    await world.until_true(lambda: len(world.gates.arrived) == 5, "five agents work")
    first = await world.polecats()
    assert {each["spec"]["name"] for each in first.values()} == set(POOL[:5])
    waiting = [name for name in items if name not in first]
    assert len(waiting) == 3
    positions = set()
    for name in waiting:
        bead = await world.until(BEAD, name, lambda bead: "queuePosition" in bead["status"])
        assert reason(bead) in ("RigFull", "TownFull")
        positions.add(bead["status"]["queuePosition"])
    assert positions == {1, 2, 3}
    # The name that is freed first is taken by the next in the queue.
    by_name = {each["spec"]["name"]: bead for bead, each in first.items()}
    world.gates.open(by_name["maple"])
    await world.succeeded(by_name["maple"])
    await world.until_true(lambda: len(world.gates.arrived) == 6, "the next bead has started")
    now = await world.polecats()
    (next_bead,) = set(now) - set(first)
    assert now[next_bead]["spec"]["name"] == "maple"
    world.gates.open(*items)
    await world.succeeded(*items)
    await world.quiet()


async def test_deleting_a_running_bead_saves_its_work(world: World) -> None:
    await world.rig()
    bead = await world.bead(
        "doomed",
        [commit("kept.txt"), {"bash": "echo half > uncommitted.txt"}, {"bash": world.gates.command("doomed")}],
    )
    await world.until_true(lambda: "doomed" in world.gates.arrived, "the agent is at work")
    await world.api.delete(BEAD, world.namespace, "doomed")
    await world.until_gone(POLECAT, "web-toast")
    await world.quiet()
    (message,) = await world.events("doomed", "WorkSaved")
    ref = f"refs/polecat/saved/{bead['metadata']['uid']}/1"
    assert ref in message
    assert world.git("show", f"{ref}:kept.txt") == "hello"
    assert world.git("show", f"{ref}:uncommitted.txt") == "half"
    await world.bead("next", [commit("next.txt"), {"done": "ok"}])
    (done,) = await world.succeeded("next")
    assert done["status"]["branch"].startswith("polecat/toast/")


async def test_operator_killed_in_the_middle(world: World) -> None:
    await world.rig()
    async with NeverTwo(world.cluster.data.town):
        for name in FIVE[:3]:
            await world.bead(name, [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}])
        await world.until_true(lambda: set(FIVE[:3]) <= world.gates.arrived, "three agents work")
        await world.cluster.operator.kill()
        world.gates.open(*FIVE[:3])
        for bead in await world.succeeded(*FIVE[:3]):
            assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
        await world.quiet()


async def test_supervisor_killed_in_the_middle(world: World) -> None:
    await world.rig()
    async with NeverTwo(world.cluster.data.town):
        for name in FIVE[:3]:
            await world.bead(
                name,
                [
                    commit(f"{name}-before.txt"),
                    {"bash": world.gates.command(name)},
                    commit(f"{name}-after.txt"),
                    {"done": "ok"},
                ],
            )
        await world.until_true(lambda: set(FIVE[:3]) <= world.gates.arrived, "three agents work")
        before = await world.polecats()
        await world.cluster.town.kill()
        world.gates.open(*FIVE[:3])
        for bead in await world.succeeded(*FIVE[:3]):
            name = bead["metadata"]["name"]
            assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
            assert bead["status"]["branch"] == before[name]["spec"]["branch"]
            assert world.git("show", f"{bead['status']['branch']}:{name}-before.txt") == "hello"
            assert world.git("show", f"{bead['status']['branch']}:{name}-after.txt") == "hello"
            numbers = [event["seq"] for event in world.journal(bead)]
            assert numbers == list(range(1, len(numbers) + 1))
        await world.quiet()


async def test_an_agent_that_never_calls_done(world: World) -> None:
    await world.rig()
    bead = await world.bead(
        "silent", [commit("work.txt"), {"say": "I am finished.", "forever": True}], limits={"attempts": 1}
    )
    (ended,) = await world.ended("silent")
    assert reason(ended) == "AttemptsExhausted"
    assert "without calling done" in (condition(ended, "Succeeded", "message") or "")
    assert ended["status"]["attempts"] == 1
    nudges = [event for event in world.journal(bead) if event["kind"] == "nudged"]
    assert len(nudges) == 3
    saved = ended["status"]["savedRef"]
    assert world.git("rev-parse", saved) == ended["status"]["savedCommit"]
    assert world.git("show", f"{saved}:work.txt") == "hello"
    await world.quiet()


async def test_a_failing_check_is_told_and_mended(world: World) -> None:
    await world.rig(checks=["test -f mended.txt || { echo 'mended.txt is missing'; exit 1; }"])
    bead = await world.bead("careless", [commit("work.txt"), {"done": "ok"}, commit("mended.txt"), {"done": "ok now"}])
    (done,) = await world.succeeded("careless")
    assert done["status"]["attempts"] == 1
    assert done["status"]["result"]["summary"] == "ok now"
    checks = [event["data"] for event in world.journal(bead) if event["kind"] == "check"]
    assert [check["passed"] for check in checks] == [False, True]
    assert "mended.txt is missing" in checks[0]["output"]


async def test_a_dependency_is_waited_for(world: World) -> None:
    await world.rig()
    await world.bead("second", [commit("second.txt"), {"done": "ok"}], dependsOn=["first"])
    waiting = await world.until(BEAD, "second", lambda bead: reason(bead) == "WaitingForDependency")
    assert "first" in (condition(waiting, "Succeeded", "message") or "")
    await world.bead("first", [commit("first.txt"), {"done": "ok"}])
    first, second = await world.succeeded("first", "second")
    assert moment(second, "startTime") >= moment(first, "completionTime")


async def test_a_rerun_of_a_finished_bead(world: World) -> None:
    await world.rig()
    await world.bead("again", [commit("again.txt", "$(date +%s%N)"), {"done": "ok"}])
    (once,) = await world.succeeded("again")
    await world.api.patch_merge(BEAD, world.namespace, "again", {"spec": {"rerun": "please"}})
    await world.until(BEAD, "again", lambda bead: condition(bead, "Succeeded") == "Unknown")
    (twice,) = await world.succeeded("again")
    assert (once["status"]["attempts"], twice["status"]["attempts"]) == (1, 2)
    assert twice["status"]["headCommit"] != once["status"]["headCommit"]


def moment(bead: Json, field: str) -> datetime:
    """A time of the bead's status."""
    return datetime.fromisoformat(bead["status"][field])
