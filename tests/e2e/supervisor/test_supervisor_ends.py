"""Every way in which an attempt ends: the reason is told, the work is safe, no process is left."""

from __future__ import annotations

import asyncio

from polecat_kube.resources import BEAD
from support.fake_agent import Faults, install_fake
from support.town_harness import LONG, TownHarness, git

WORK = "echo one > one.txt && git add one.txt && git commit -q -m One && echo two > two.txt"
"""One commit, and one file that is not committed."""


async def saved_files(harness: TownHarness, commit: str) -> set[str]:
    """Names of the files in a commit of the remote."""
    return set((await git(harness.remote, "ls-tree", "-r", "--name-only", commit)).split())


async def started(harness: TownHarness, polecat: dict[str, object]) -> None:
    """Waits until the agent has made its uncommitted file."""

    async def there() -> bool:
        return (harness.worktree(polecat) / "two.txt").exists()

    await harness.until(there, "the agent has begun")


async def test_deleting_a_running_polecat_saves_its_work_and_frees_the_name(harness: TownHarness) -> None:
    await harness.start_town()
    daemon = "setsid sh -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &"
    polecat = await harness.sling("cancelled", [{"bash": f"{daemon} {WORK}"}, {"bash": LONG}])
    await started(harness, polecat)
    assert len(harness.agents(polecat["metadata"]["uid"])) >= 2
    await harness.delete(polecat)
    await harness.until_gone(polecat)

    assert not harness.agents()
    ref = f"refs/polecat/saved/{polecat['spec']['beadRef']['uid']}/1"
    commit = (await harness.remote_refs())[ref]
    assert {"one.txt", "two.txt"} <= await saved_files(harness, commit)
    assert not harness.worktree(polecat).parent.exists()
    events = [event for event in await harness.events_of("cancelled") if event["reason"] == "WorkSaved"]
    assert len(events) == 1
    assert ref in events[0]["message"]

    again = await harness.sling("next-one")
    await harness.until_finished(again)
    assert await harness.condition(again, "Finished") == ("True", "Done")


async def test_deleting_works_before_anything_was_made(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("early", token=False)

    async def claimed() -> bool:
        return "claim" in await harness.status(polecat)

    await harness.until(claimed, "it is claimed")
    await harness.delete(polecat)
    await harness.until_gone(polecat)
    assert not harness.agents()


async def test_deleting_works_before_it_is_claimed_and_leaves_no_lock(harness: TownHarness) -> None:
    await harness.set_slots(1)
    await harness.start_town()
    first = await harness.sling("first", [{"bash": LONG}])
    await harness.until_running(first)
    polecat = await harness.sling("waits", name="maple", token=False)
    lock = harness.data_dir / "locks" / f"{polecat['metadata']['uid']}.lock"

    async def locked() -> bool:
        return lock.exists()

    async def let_go() -> bool:
        return not lock.exists()

    await harness.until(locked, "it waits for the slot")
    await harness.delete(polecat)
    await harness.until_gone(polecat)
    await harness.until(let_go, "its lock file is gone")


async def test_deleting_works_when_the_remote_is_away(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("remote-away", [{"bash": WORK}, {"bash": LONG}])
    await started(harness, polecat)
    harness.remote.rename(harness.remote.with_suffix(".away"))
    await harness.delete(polecat)
    await harness.until_gone(polecat)
    events = [event for event in await harness.events_of("remote-away") if event["reason"] == "WorkSaved"]
    assert events[0]["type"] == "Warning"
    assert "in the town only" in events[0]["message"]


async def test_an_agent_that_never_calls_done_is_asked_three_times(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("idler", [{"bash": WORK}, {"say": "I think that is all.", "forever": True}])
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "WentQuiet")
    assert harness.kinds(polecat).count("nudged") == 3
    assert {"one.txt", "two.txt"} <= await saved_files(harness, status["savedCommit"])
    assert status["result"]["filesChanged"] == 2


async def test_a_quiet_agent_is_asked_and_then_stopped(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("quiet", [{"bash": f"{WORK}; {LONG}", "timeout_seconds": 600}], quietSeconds=2)
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "WentQuiet")
    assert harness.kinds(polecat).count("nudged") == 1
    assert "savedCommit" in status


async def test_an_attempt_has_its_time(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("slow", [{"bash": WORK}, {"bash": LONG}], runSeconds=4)
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "TimedOut")
    assert "savedCommit" in status


async def test_a_process_that_dies_is_told_with_its_signal(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("dies", [{"bash": WORK}, {"tool": "fake_kill", "args": {"signal": 9}}])
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "AgentFailed")
    assert status["exit"]["signal"] == 9
    assert {"one.txt", "two.txt"} <= await saved_files(harness, status["savedCommit"])


async def test_a_model_that_refuses_the_key_ends_the_attempt_at_once(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("refused", [{"fault": {"kind": "status", "status": 401}, "done": "never"}])
    status = await harness.until_finished(polecat, 20)
    assert await harness.condition(polecat, "Finished") == ("True", "ModelFailed")
    assert "401" in status["exit"]["message"]


async def test_a_busy_model_is_asked_again_but_not_for_ever(harness: TownHarness) -> None:
    await harness.start_town(model_retries=3, model_retry_seconds=8)
    passing = {"kind": "status", "status": 429, "times": 1}
    lucky = await harness.sling(
        "busy", [{"fault": passing, "bash": "echo 1 > a; git add a; git commit -qm a"}, {"done": "x"}]
    )
    forever = {"kind": "status", "status": 503}
    unlucky = await harness.sling("away", [{"fault": forever, "done": "never"}], name="maple")
    await asyncio.gather(harness.until_finished(lucky), harness.until_finished(unlucky))
    assert await harness.condition(lucky, "Finished") == ("True", "Done")
    assert await harness.condition(unlucky, "Finished") == ("True", "ModelFailed")
    assert "503" in (await harness.status(unlucky))["exit"]["message"]


async def test_only_the_agent_that_eats_memory_is_stopped(harness: TownHarness) -> None:
    await harness.limit_memory("256Mi")
    await harness.start_town()
    hungry = await harness.sling("hungry", [{"tool": "fake_allocate", "args": {"mebibytes": 400}}, {"bash": LONG}])
    modest = await harness.sling(
        "modest", [{"bash": f"sleep 3; {WORK}; git add -A; git commit -qm 2"}, {"done": "ok"}], name="maple"
    )
    status = await harness.until_finished(hungry)
    assert await harness.condition(hungry, "Finished") == ("True", "OutOfMemory")
    assert "256 MiB" in status["exit"]["message"]
    await harness.until_finished(modest)
    assert await harness.condition(modest, "Finished") == ("True", "Done")


async def test_an_agent_that_exits_at_its_start_is_told_with_its_log(harness: TownHarness) -> None:
    harness.kilo = install_fake(harness.directory / "kilo", Faults(exit_code=3))
    await harness.start_town()
    polecat = await harness.sling("stillborn")
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "StartFailed")
    assert status["exit"]["exitCode"] == 3


async def test_an_agent_that_never_answers_is_given_up(harness: TownHarness) -> None:
    harness.kilo = install_fake(harness.directory / "kilo", Faults(hang_at_start=True))
    await harness.start_town(start_deadline_seconds=2)
    polecat = await harness.sling("hangs")
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "StartFailed")
    assert "not ready after 2 s" in status["exit"]["message"]
    assert not harness.agents()


async def test_without_the_cli_the_pod_takes_no_work_and_recovers(harness: TownHarness) -> None:
    harness.kilo = harness.directory / "kilo" / "bin" / "kilo"
    await harness.start_town(ready=False, binary_check_seconds=0.5)

    async def said() -> bool:
        entry = await harness.pod_entry()
        return entry is not None and entry["reason"] == "AgentBinaryBroken" and str(harness.kilo) in entry["message"]

    await harness.until(said, "the pod names the path")
    polecat = await harness.sling("waits")
    install_fake(harness.directory / "kilo")
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")


async def test_a_setup_command_that_fails_is_told(harness: TownHarness) -> None:
    await harness.rig("broken", setupCommand="echo no such tool; exit 7")
    await harness.start_town()
    polecat = await harness.sling("not-set-up", rig="broken")
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "SetupFailed")
    assert "no such tool" in status["exit"]["message"]


async def test_a_bead_that_has_another_polecat_is_not_worked_on(harness: TownHarness) -> None:
    await harness.start_town()
    bead = await harness.sling("shared", [{"bash": LONG}])
    await harness.until_running(bead)
    found = await harness.api.get(BEAD, harness.namespace, "shared")
    assert found is not None
    stray = await harness.polecat(found, name="maple", attempt=2)
    await harness.until_finished(stray)
    assert await harness.condition(stray, "Finished") == ("True", "Cancelled")
    assert "has toast instead of maple" in (await harness.status(stray))["exit"]["message"]
    assert await harness.condition(bead, "Ready") == ("True", "Running")
