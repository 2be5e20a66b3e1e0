"""I45: the clock of operator and town is set by an hour while agents work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults.conftest import WatchWorld
from polecat_api.times import parse_time
from polecat_kube.resources import BEAD, POLECAT
from support.whole import Json, World, commit, reason

HOUR_SECONDS = 3600
SHIFTED_CLOCK = Path(__file__).parents[1] / "support" / "shifted_clock"


async def test_i45_a_clock_that_jumps_ends_no_attempt(watched_worlds: WatchWorld, tmp_path: Path) -> None:
    """The clock was set, and agents were taken for late, their tokens for expired, and pauses never ended."""
    clock = tmp_path / "offset"
    env = {"PYTHONPATH": str(SHIFTED_CLOCK), "SHIFTED_CLOCK": str(clock)}
    world = await watched_worlds(operator_env=env, town_env={**env, "POLECAT_TOWN_HEARTBEAT_SECONDS": "2"})
    await world.rig()
    names = ["forward", "both-ways"]
    for name in names:
        script = [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}]
        # Shorter than the jump: whatever is reckoned with the wall clock would be over.
        await world.bead(name, script, limits={"runSeconds": 1800, "quietSeconds": 1200})
    await world.until_true(lambda: set(names) <= world.gates.arrived, "the agents work")
    await jump(world, clock, HOUR_SECONDS, "forward")
    world.gates.open("forward")
    await world.bead("after-forward", [commit("after-forward.txt"), {"done": "ok"}])
    await world.bead("fails", [{"fault": {"kind": "status", "status": 401}}])
    await world.succeeded("forward", "after-forward")
    paused = await world.until(BEAD, "fails", lambda bead: reason(bead) == "BackingOff")
    assert parse_time(paused["status"]["nextAttemptTime"]) > datetime.now(UTC) + timedelta(seconds=HOUR_SECONDS / 2)
    await jump(world, clock, -HOUR_SECONDS, "both-ways")
    await world.bead("after-back", [commit("after-back.txt"), {"done": "ok"}])
    world.gates.open("both-ways")
    beads = await world.succeeded("forward", "after-forward", "both-ways", "after-back")
    assert [(bead["status"]["attempts"], bead["status"]["interruptions"]) for bead in beads] == [(1, 0)] * 4
    await world.until(BEAD, "fails", lambda bead: bead["status"]["attempts"] >= 2)


async def jump(world: World, clock: Path, seconds: int, bead: str) -> None:
    """Sets the clock so far from the true one, and waits until the agent's heartbeat has been stamped with it."""
    clock.write_text(str(seconds))
    name = (await world.polecats())[bead]["metadata"]["name"]

    def stamped(polecat: Json) -> bool:
        beat = parse_time(polecat["status"]["heartbeatTime"])
        return abs(beat - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=HOUR_SECONDS / 2)

    await world.until(POLECAT, name, stamped)
