"""Plays a plan, waits until all has come to rest, closes the books."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from polecat_kube.errors import ApiError
from polecat_oracle.oracle import BrokenRulesError, Oracle
from polecat_oracle.view import Violation
from soak import books
from soak.faults import Faults
from soak.figures import Figures
from soak.plan import Plan, PlannedAct, PlannedBead, make_plan
from soak.setting import CALM, Setting, setting
from soak.users import Users
from support.whole import condition

Json = dict[str, Any]
SETTLE_SECONDS = 120.0
"""How long a bead may be in a state that its polecats contradict: every part is away now and then."""
DRAIN_SECONDS = 30.0
"""How long beads go on by themselves when faults have stopped, before those that still wait are suspended."""
COLLECT_SECONDS = 20.0
"""After that, Secrets whose owners are gone are no longer left to a garbage collector that has met outages."""
REST_SECONDS = 240.0
"""By then all must be at rest; far more than any pause that is not a bead's own."""
POLL_SECONDS = 0.5


async def soak(seed: int, seconds: float, directory: Path) -> Figures:
    """Runs one; `seconds` is how long there are faults."""
    plan = make_plan(seed, seconds)
    async with setting(directory) as here:
        users, faults = Users(here), Faults(here)
        remotes = [remote.path for remote in here.remotes.values()]
        problems: list[str] = []
        # A client of its own: it must see what others can't.
        async with here.cluster.api() as api:
            oracle = Oracle(api, [here.cluster.data.town], remotes, settle_seconds=SETTLE_SECONDS, tell=_tell)
            with suppress(BrokenRulesError):
                async with oracle:
                    await _play(plan, users, faults)
                    problems += await _come_to_rest(here, users)
        problems += await asyncio.to_thread(books.lost_commits, here.ledger.commits, remotes, here.cluster.data.town)
        return await _figures(plan, here, users, faults, oracle, problems)


async def _play(plan: Plan, users: Users, faults: Faults) -> None:
    entries: list[PlannedBead | PlannedAct] = [*plan.beads, *plan.faults, *plan.wishes]
    start, in_faults = time.monotonic(), set(plan.faults)
    for entry in sorted(entries, key=lambda each: each.at_seconds):
        await asyncio.sleep(max(0.0, start + entry.at_seconds - time.monotonic()))
        if isinstance(entry, PlannedBead):
            users.apply(entry)
        elif entry in in_faults:
            faults.begin(entry)
        else:
            users.wish(entry)
    await asyncio.sleep(max(0.0, start + plan.seconds - time.monotonic()))
    await faults.settle()
    await users.settle()


async def _come_to_rest(here: Setting, users: Users) -> list[str]:
    """Lets the rest be done, suspends what waits for long, and looks at what is left; gives what should not be."""
    problems = await _one_more(users)
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while [bead for bead in await users.beads() if _is_open(bead)]:
                await asyncio.sleep(POLL_SECONDS)
    for bead in await users.beads():
        if _is_open(bead):
            await users.patch(bead["metadata"]["name"], {"suspend": True})
    left = await _what_stays(here, COLLECT_SECONDS)
    if left and all(line.startswith("secret ") for line in left):
        # Kubernetes' garbage collector; new, it begins without the pauses that the outages have cost it.
        await here.cluster.control_plane.controller_manager.kill()
    return [*problems, *await _what_stays(here, REST_SECONDS)]


async def _what_stays(here: Setting, seconds: float) -> list[str]:
    """What is still left over after that time; comes back at once when nothing is."""
    left = ["nobody could look"]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left:
                with suppress(ApiError):
                    left = await books.leftovers(here)
                await asyncio.sleep(POLL_SECONDS)
    return left


async def _one_more(users: Users) -> list[str]:
    """Beads that nothing disturbs: they must arrive, whatever was before."""
    late = [PlannedBead(0.0, f"last-{number}", CALM, "plain", 1, 0.1, "Critical", (), 1) for number in range(2)]
    for bead in late:
        users.apply(bead)
    await users.settle()
    waiting = {bead.name for bead in late}
    problems: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            while waiting:
                for item in await users.beads():
                    name = item["metadata"]["name"]
                    if name in waiting and not _is_open(item):
                        waiting.discard(name)
                        if condition(item, "Succeeded") != "True":
                            problems.append(f"the undisturbed bead {name} ended: {item['status']['conditions']}")
                await asyncio.sleep(POLL_SECONDS)
    return [*problems, *(f"the undisturbed bead {name} never ended" for name in sorted(waiting))]


async def _figures(
    plan: Plan, here: Setting, users: Users, faults: Faults, oracle: Oracle, problems: list[str]
) -> Figures:
    beads = await users.beads()
    statuses = [bead.get("status") or {} for bead in beads]
    there = await asyncio.to_thread(books.reachable, [remote.path for remote in here.remotes.values()])
    missing = users.applied.keys() - users.deleted - {bead["metadata"]["name"] for bead in beads}
    return Figures(
        seed=plan.seed,
        minutes=round(plan.seconds / 60, 2),
        beads=dict(books.outcomes(beads)),
        deleted=len(users.deleted),
        attempts=sum(status.get("attempts", 0) for status in statuses),
        interruptions=sum(status.get("interruptions", 0) for status in statuses),
        wishes=dict(users.done),
        faults=dict(faults.done),
        faults_left_out=faults.left_out,
        restarts=dict(here.restarts),
        commits=len(here.ledger.commits),
        commits_in_store_only=len(here.ledger.commits.keys() - there),
        looks=oracle.looks,
        violations=[str(violation) for violation in oracle.violations],
        open_books=[*problems, *(f"bead {name} is gone, and nobody deleted it" for name in sorted(missing))],
    )


def _is_open(bead: Json) -> bool:
    return condition(bead, "Succeeded") not in ("True", "False")


def _tell(violation: Violation) -> None:
    print(violation, file=sys.stderr, flush=True)
