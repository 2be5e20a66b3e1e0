"""I05, I07, I36, I37: supervisors that are doubled, frozen, drained or wedged."""

from __future__ import annotations

import asyncio
import re
import signal

import aiohttp

from polecat_kube.resources import POLECAT
from support.fake_agent import Faults
from support.town_harness import LONG, POD, TownHarness

COMMIT = "git add -A && git commit -q -m Work"
_HOLDER = re.compile(r'is held by \{\\+"pid\\+": (\d+)')
"""Who has the volume, in the log line (JSON in JSON) of the supervisor that waits for it."""
GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL for a town's pod."""


async def test_i05_fifty_starts_at_once_make_one_process(watched_harness: TownHarness) -> None:
    """Two starts in the same millisecond made two processes for one agent."""
    harness = watched_harness
    harness.spoil(Faults(start_delay_seconds=2))
    await harness.start_town(ready=False)
    first = harness.town
    await harness.start_town(ready=False, listen="127.0.0.1:0")
    second = harness.town
    assert first is not None and second is not None
    try:
        polecat = await harness.sling("wanted", [{"bash": LONG}])
        name = polecat["metadata"]["name"]
        await asyncio.gather(
            *(
                harness.api.patch_merge(POLECAT, harness.namespace, name, {"metadata": {"annotations": {"n": str(n)}}})
                for n in range(50)
            )
        )
        await harness.until_running(polecat)
        assert harness.kinds(polecat).count("claimed") == 1
        assert harness.kinds(polecat).count("process") == 1

        # Whichever leads is killed: the other one goes on, and there is still one process.
        async def told() -> bool:
            return _HOLDER.search(harness.log_text()) is not None

        await harness.until(told, "the one that waits says for whom")
        holder = _HOLDER.search(harness.log_text())
        leader, other = (first, second) if holder and int(holder[1]) == first.pid else (second, first)
        leader.kill()
        await leader.wait()
        if other.returncode is None:

            async def again() -> bool:
                return harness.kinds(polecat).count("process") == 2

            await harness.until(again, "the other one has taken over")
            await harness.until_running(polecat)
    finally:
        for town in (first, second):
            if town.returncode is None:
                town.kill()
                await town.wait()


async def test_i07_a_zombie_is_refused_when_it_wakes(watched_harness: TownHarness) -> None:
    """An agent whose bead had been given to another pushed, reported and was believed."""
    harness = watched_harness
    script = [
        {"bash": f"while [ ! -e go ]; do sleep 0.1; done; rm go; echo 1 > one.txt && {COMMIT}", "timeout_seconds": 600},
        {"done": "I am the zombie."},
    ]
    await harness.start_town(fencing_seconds=10)
    zombie, frozen = harness.town, await harness.sling("fought-over", script)
    assert zombie is not None
    await harness.until_running(frozen)
    old_worktree, old_agents = harness.worktree(frozen), harness.agents(frozen["metadata"]["uid"])
    old_journal = harness.data_dir / "streams" / frozen["spec"]["beadRef"]["uid"] / "1.jsonl"
    zombie.send_signal(signal.SIGSTOP)
    try:
        harness.pod_uid, harness.data_dir = "pod-uid-2", harness.directory / "another-volume"
        await harness.start_town()
        await harness.until_finished(frozen)
        assert await harness.condition(frozen, "Finished") == ("True", "Interrupted")
        # The zombie's agent goes on meanwhile, and calls done.
        (old_worktree / "go").touch()
        await harness.delete(frozen)
        await harness.until_gone(frozen)
        following = await harness.sling("fought-over", name="maple", attempt=2)
        await harness.until_running(following)
        zombie.send_signal(signal.SIGCONT)

        async def stopped() -> bool:
            return not any(agent.is_running() for agent in old_agents)

        await harness.until(stopped, "the zombie's agent is stopped")
        (harness.worktree(following) / "go").touch()
        status = await harness.until_finished(following)
        assert await harness.condition(following, "Finished") == ("True", "Done")
        refs = await harness.remote_refs()
        assert refs[f"refs/heads/{following['spec']['branch']}"] == status["publishedCommit"]
        assert f"refs/heads/{frozen['spec']['branch']}" not in refs
        assert '"pushed"' not in old_journal.read_text()
    finally:
        zombie.kill()
        await zombie.wait()


async def test_i36_a_drain_is_done_within_the_grace_period(watched_harness: TownHarness) -> None:
    """The grace period of a pod ended in the middle of the saving; here no agent heeds SIGTERM."""
    harness = watched_harness
    harness.spoil(Faults(ignore_term=True))
    await harness.set_slots(harness.many)
    await harness.start_town()
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    script = [{"bash": f"echo 1 > one.txt && {COMMIT} && echo 2 > two.txt; {deaf}", "timeout_seconds": 600}]
    polecats = await asyncio.gather(
        *(harness.sling(f"drained-{n}", script, name=f"cat-{n}") for n in range(harness.many))
    )

    async def all_at_work() -> bool:
        return all((harness.worktree(each) / "two.txt").exists() for each in polecats)

    await harness.until(all_at_work, "all agents work")
    assert harness.town is not None
    harness.town.send_signal(signal.SIGTERM)
    late = await harness.sling("late", name="late")
    async with asyncio.timeout(GRACE_SECONDS):
        assert await harness.town.wait() == 0
    await harness.all_saved(polecats, "one.txt", "two.txt")
    assert "claim" not in await harness.status(late)
    assert not harness.agents()


async def test_i37_a_wedged_supervisor_is_noticed_and_its_agents_go_on(watched_harness: TownHarness) -> None:
    """A supervisor that did nothing looked alive for 52 minutes."""
    harness = watched_harness
    await harness.start_town()
    script = [
        {"bash": "while [ ! -e go ]; do sleep 0.1; done"},
        {"bash": f"echo 1 > one.txt && {COMMIT}"},
        {"done": "x"},
    ]
    names = ("toast", "maple", "birch")
    polecats = [await harness.sling(f"wedged-{name}", script, name=name) for name in names]
    for polecat in polecats:
        await harness.until_running(polecat)
    url = f"http://127.0.0.1:{(harness.data_dir / 'town-port').read_text()}/healthz"
    assert await is_live(url)
    assert harness.town is not None
    harness.town.send_signal(signal.SIGSTOP)
    assert not await is_live(url)
    # What the kubelet does then.
    await harness.kill_town()
    await harness.start_town()
    for polecat in polecats:
        (harness.worktree(polecat) / "go").touch()
    for polecat in polecats:
        await harness.until_finished(polecat)
        assert await harness.condition(polecat, "Finished") == ("True", "Done")
        assert harness.kinds(polecat).count("process") == 2
    entry = await harness.pod_entry()
    assert entry is not None and entry["name"] == POD and entry["ready"]


async def is_live(url: str) -> bool:
    """What a probe with the kubelet's deadline of a second sees."""
    try:
        deadline = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession(timeout=deadline) as session, session.get(url) as answer:
            return answer.status == 200
    except (TimeoutError, aiohttp.ClientError):
        return False
