"""I06, I25, I31, I32, I33, I42: what agents do, and what is made of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp

from polecat_api.bead import BeadLimits
from polecat_api.conditions import Reason
from polecat_town.life.state import Step
from polecat_town.life.steps import Action, EndWith, Observation, Policy, Wait, decide
from support.fake_agent import Faults, install_fake
from support.town_harness import LONG, TownHarness
from support.town_made import Signer, state

COMMIT = "git add -A && git commit -q -m Work"
LOOK_SECONDS = 5


async def call_tool(harness: TownHarness, token: str, tool: str, **arguments: Any) -> tuple[int, str]:
    """HTTP status and text of a call of one of the agent's tools."""
    port = (harness.data_dir / "agent-port").read_text()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/mcp", json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_i06_a_slow_start_is_no_failure(watched_harness: TownHarness) -> None:
    """A start that took long was given up and begun again, for hours."""
    harness = watched_harness
    harness.kilo = install_fake(harness.directory / "kilo", Faults(start_delay_seconds=6))
    # Everything else that has a period comes round several times meanwhile.
    await harness.start_town(heartbeat_seconds=1, fencing_seconds=60)
    polecat = await harness.sling("slow")
    seen = set()

    async def finished() -> bool:
        seen.add(await harness.condition(polecat, "Ready"))
        return (await harness.condition(polecat, "Finished"))[0] == "True"

    await harness.until(finished, "the polecat is finished")
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert ("False", "Starting") in seen
    assert harness.kinds(polecat).count("process") == 1


async def test_i25_done_called_three_times_at_once_is_published_once(watched_harness: TownHarness) -> None:
    """An agent that called done twice got its work published twice, or was told nothing."""
    harness = watched_harness
    await harness.start_town()
    polecat = await harness.sling("eager", [{"bash": f"echo 1 > one.txt && {COMMIT}; touch ../made"}, {"bash": LONG}])

    async def made() -> bool:
        return (harness.worktree(polecat).parent / "made").exists() or harness.kinds(polecat).count("tool") >= 3

    await harness.until(made, "the agent has committed")
    token = harness.signer.token(polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"], 1)
    answers = await asyncio.gather(*(call_tool(harness, token, "done", summary=f"Call {n}.") for n in range(3)))
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert status["result"]["commits"] == 1
    assert harness.kinds(polecat).count("pushed") == 1
    texts = [text for _, text in answers]
    assert any("Accepted" in text for text in texts), texts
    assert all(text for text in texts)
    after, _ = await call_tool(harness, token, "done", summary="Once more.")
    assert after == 401
    assert harness.kinds(polecat).count("pushed") == 1


def test_i31_a_long_tool_call_is_left_alone() -> None:
    """A healthy agent was killed in the middle of a long build: here 20 minutes without a word, looked at often."""
    limits, policy = BeadLimits(), Policy(nudges=3, checkpoint_seconds=180)
    at = state(Step.RUNNING)
    for quiet in range(0, 20 * 60, LOOK_SECONDS):
        seen = Observation(agent_present=True, quiet_seconds=float(quiet), run_seconds=float(quiet))
        assert isinstance(decide(at, seen, limits, policy), Wait), quiet
    late = Observation(agent_present=True, quiet_seconds=float(limits.quiet_seconds))
    assert decide(at, late, limits, policy) is Action.NUDGE
    asked = replace(late, quiet_seconds=limits.quiet_seconds + 1.0, since_nudge_seconds=1.0)
    assert isinstance(decide(at.but(nudges=1), asked, limits, policy), Wait)
    decision = decide(at.but(nudges=1), replace(asked, since_nudge_seconds=1e6), limits, policy)
    assert isinstance(decision, EndWith) and decision.end.reason is Reason.WENT_QUIET


async def test_i32_an_agent_that_thinks_between_turns_is_asked_to_go_on(watched_harness: TownHarness) -> None:
    """An agent that ended a turn without a tool call was taken for dead."""
    harness = watched_harness
    await harness.start_town()
    thoughts = [{"say": f"Let me think, part {n}."} for n in range(3)]
    polecat = await harness.sling("thinker", [*thoughts, {"bash": f"echo 1 > one.txt && {COMMIT}"}, {"done": "So."}])
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    kinds = harness.kinds(polecat)
    assert kinds.count("nudged") == 3
    assert kinds.count("process") == 1


async def test_i33_garbage_on_standard_output_is_no_readiness(watched_harness: TownHarness) -> None:
    """A process that never became ready looked healthy; here it prints bytes that are no text, and then hangs."""
    harness = watched_harness
    harness.kilo = install_fake(harness.directory / "kilo", Faults(print_garbage=True, hang_at_start=True))
    await harness.start_town(start_deadline_seconds=2)
    polecat = await harness.sling("garbage")
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "StartFailed")
    assert "not ready after 2 s" in status["exit"]["message"]
    assert status["exit"]["logTail"]
    assert not harness.agents()
    json.dumps(status).encode()  # what it printed can be told to everybody


async def test_i42_a_siblings_name_in_the_call_changes_nothing(watched_harness: TownHarness) -> None:
    """Any agent could act as any other; here each token speaks for its own polecat, whatever the call says."""
    harness = watched_harness
    await harness.start_town()
    toast = await harness.sling("first", [{"bash": LONG}])
    maple = await harness.sling("second", [{"bash": LONG}], name="maple")
    for polecat in (toast, maple):
        await harness.until_running(polecat)
    uid, bead = toast["metadata"]["uid"], toast["spec"]["beadRef"]["uid"]
    own = harness.signer.token(uid, bead, 1)
    foreign = [
        harness.signer.token(maple["metadata"]["uid"], bead, 1),
        harness.signer.token(uid, maple["spec"]["beadRef"]["uid"], 1),
        harness.signer.token(uid, bead, 2),
        Signer(harness.signer.kid).token(uid, bead, 1),
        harness.signer.token(uid, bead, 1, exp=1_000_000),
    ]
    for token in foreign:
        status, _ = await call_tool(harness, token, "escalate", question="Who am I?")
        assert status == 401
        assert token not in harness.log_text()
    status, _ = await call_tool(harness, own, "escalate", question="Mine?", polecat=maple["metadata"]["uid"])
    await harness.until_finished(toast)
    assert (status, await harness.condition(toast, "Finished")) == (200, ("True", "Escalated"))
    assert await harness.condition(maple, "Ready") == ("True", "Running")
