"""The supervisor is killed, stopped, replaced, doubled: no work is lost, none is done twice."""

from __future__ import annotations

import asyncio

from polecat_api import protocol
from polecat_kube.resources import LEASE, POLECAT
from support.town_harness import LONG, TownHarness, git

COMMIT = "git add -A && git commit -q -m Work"


async def reached(harness: TownHarness, polecat: dict[str, object], file: str) -> None:
    """Waits until the agent has made a file."""

    async def there() -> bool:
        return (harness.worktree(polecat) / file).exists()

    await harness.until(there, f"the agent has made {file}")


async def test_a_killed_supervisor_goes_on_in_the_same_place(harness: TownHarness) -> None:
    await harness.start_town()
    script = [
        {"bash": f"echo 1 > one.txt && {COMMIT} && echo 2 > two.txt"},
        {"bash": f"while [ ! -e go ]; do sleep 0.1; done; {COMMIT}", "timeout_seconds": 600},
        {"done": "Both."},
    ]
    polecat = await harness.sling("killed", script)
    await reached(harness, polecat, "two.txt")
    before = await harness.until_running(polecat)
    await harness.kill_town()
    assert "claim" in await harness.status(polecat)

    await harness.start_town()
    (harness.worktree(polecat) / "go").touch()
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert status["sessionID"] == before["sessionID"]
    assert status["process"]["pid"] != before["process"]["pid"]
    assert len({agent.environ()["POLECAT_UID"] for agent in harness.agents()}) <= 1
    assert harness.kinds(polecat).count("process") == 2
    numbers = [event["seq"] for event in harness.journal(polecat)]
    assert numbers == list(range(1, len(numbers) + 1))
    names = (await git(harness.remote, "ls-tree", "--name-only", status["publishedCommit"])).split()
    assert {"one.txt", "two.txt"} <= set(names)
    await harness.delete(polecat)
    await harness.until_gone(polecat)
    assert not harness.agents()


async def test_killed_while_checks_run_it_publishes_all_the_same(harness: TownHarness) -> None:
    flag = harness.directory / "town" / "rigs" / "slow" / "toast" / "go"
    await harness.rig("slow", checks=[f"until [ -e {flag} ]; do sleep 0.1; done"])
    await harness.start_town()
    polecat = await harness.sling("checking", rig="slow")

    async def checking() -> bool:
        return await harness.condition(polecat, "Ready") == ("True", "Publishing")

    await harness.until(checking, "the checks run")
    await harness.kill_town()
    flag.touch()
    await harness.start_town()
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert (await harness.remote_refs())[f"refs/heads/{polecat['spec']['branch']}"] == status["publishedCommit"]


async def test_draining_saves_all_and_exits_with_zero(harness: TownHarness) -> None:
    await harness.start_town()
    names = ("toast", "maple", "birch")
    script = [{"bash": f"echo 1 > one.txt && {COMMIT} && echo 2 > two.txt"}, {"bash": LONG}]
    polecats = [await harness.sling(f"drained-{name}", script, name=name) for name in names]
    for polecat in polecats:
        await reached(harness, polecat, "two.txt")
    assert await harness.drain_town() == 0
    await harness.all_saved(polecats, "one.txt", "two.txt")
    assert not harness.agents()
    entry = await harness.pod_entry()
    assert entry is not None
    assert (entry["ready"], entry["reason"]) == (False, "Stopping")
    lease = await harness.api.get(LEASE, harness.namespace, protocol.pod_lease_name("main-0"))
    assert lease is not None
    assert not lease["spec"].get("holderIdentity")


async def test_a_new_pod_saves_what_the_old_one_left(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("left", [{"bash": f"echo 1 > one.txt && {COMMIT}"}, {"bash": LONG}])
    await reached(harness, polecat, "one.txt")
    await harness.until_running(polecat)
    await harness.kill_town()
    harness.pod_uid = "pod-uid-2"
    await harness.start_town()
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Interrupted")
    assert status["claim"]["podUID"] == "pod-uid-1"
    assert (await harness.remote_refs())[status["savedRef"]] == status["savedCommit"]
    await harness.delete(polecat)
    await harness.until_gone(polecat)


async def test_a_new_pod_without_the_volume_says_that_it_ended(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("lost", [{"bash": LONG}])
    await harness.until_running(polecat)
    await harness.kill_town()
    harness.pod_uid = "pod-uid-2"
    harness.data_dir = harness.directory / "another-volume"
    await harness.start_town()
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Interrupted")
    await harness.delete(polecat)
    await harness.until_gone(polecat)


async def test_work_of_a_polecat_that_vanished_meanwhile_is_saved(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("orphan", [{"bash": f"echo 1 > one.txt && {COMMIT}"}, {"bash": LONG}])
    await reached(harness, polecat, "one.txt")
    await harness.until_running(polecat)
    await harness.kill_town()
    await harness.delete(polecat)
    finalizers = [{"op": "remove", "path": "/metadata/finalizers"}]
    await harness.api.patch_json(POLECAT, harness.namespace, polecat["metadata"]["name"], finalizers)
    await harness.start_town()

    async def removed() -> bool:
        left = list((harness.data_dir / "state").glob("*.json"))
        return not left and not harness.worktree(polecat).parent.exists()

    await harness.until(removed, "directory and state are removed")
    ref = f"refs/polecat/saved/{polecat['spec']['beadRef']['uid']}/1"
    assert ref in await harness.remote_refs()


async def test_a_second_supervisor_of_the_same_pod_waits(harness: TownHarness) -> None:
    await harness.start_town()
    first = harness.town
    assert first is not None
    polecat = await harness.sling("double", [{"bash": LONG}])
    await harness.until_running(polecat)
    await harness.start_town(ready=False, listen="127.0.0.1:0")
    second = harness.town
    assert second is not None
    await harness.until(lambda: _said(harness, "another supervisor is at work"), "the second one waits")
    assert harness.kinds(polecat).count("process") == 1
    second.kill()
    await second.wait()
    assert await harness.condition(polecat, "Ready") == ("True", "Running")
    harness.town = first


async def _said(harness: TownHarness, words: str) -> bool:
    return words in harness.log_text()


async def test_slots_are_kept(harness: TownHarness) -> None:
    await harness.set_slots(1)
    await harness.start_town()
    first = await harness.sling("first", [{"bash": LONG}])
    await harness.until_running(first)
    second = await harness.sling("second", name="maple")
    assert "claim" not in await harness.status(second)
    await harness.delete(first)
    await harness.until_gone(first)
    await harness.until_finished(second)


async def test_many_start_at_once(harness: TownHarness) -> None:
    await harness.set_slots(20)
    await harness.start_town()
    polecats = await asyncio.gather(*(harness.sling(f"many-{n}", name=f"cat-{n}") for n in range(12)))
    await asyncio.gather(*(harness.until_finished(polecat, 120) for polecat in polecats))
    refs = await harness.remote_refs()
    assert {f"refs/heads/{polecat['spec']['branch']}" for polecat in polecats} <= set(refs)
