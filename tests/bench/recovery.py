"""How long Polecat takes to be as before after a fault: JSON lines as they come, at the end a table beside the aims.

`make bench-recovery`, or `make bench-recovery QUICK=1`. Whole clusters with the fake agent; faults are real:
SIGKILL, and a TCP proxy between operator, town and API server. Nothing asserts a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.report import Figure, print_report
from bench.stage import bench_world, numbers, say
from polecat_kube.resources import BEAD, POLECAT
from support.tcp_proxy import TcpProxy
from support.whole import World, commit, condition

Json = dict[str, Any]
POLL_SECONDS = 0.02
LONGEST_SECONDS = 900.0
WORKERS = 5
_numbers = itertools.count(1)


@dataclass
class Sight:
    """What a watch of the Polecats has told, with its own way to the API server."""

    polecats: dict[str, Json] = field(default_factory=dict)
    """Name of the bead → its newest Polecat."""
    created: dict[str, float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)
    """Name of the bead → when this was first seen, in seconds on one clock."""

    def see(self, polecat: Json) -> None:
        """Takes a Polecat in."""
        bead, now = polecat["spec"]["beadRef"]["name"], time.perf_counter()
        self.polecats[bead] = polecat
        self.created.setdefault(bead, now)
        if polecat.get("status", {}).get("claim"):
            self.claimed.setdefault(bead, now)

    async def until(self, holds: Callable[[], bool]) -> float:
        """When it held, as far as this looks often enough."""
        async with asyncio.timeout(LONGEST_SECONDS):
            while not holds():
                await asyncio.sleep(POLL_SECONDS)
        return time.perf_counter()


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[Sight]:
    """Watches until the end of the block."""
    sight = Sight()
    async with world.cluster.api() as api:
        items, version = await api.list(POLECAT, world.namespace)
        for item in items:
            sight.see(item)

        async def watch(since: str) -> None:
            while True:
                async for kind, item in api.watch(POLECAT, world.namespace, since):
                    since = item["metadata"]["resourceVersion"]
                    if kind in ("ADDED", "MODIFIED"):
                        sight.see(item)

        task = asyncio.create_task(watch(version))
        try:
            yield sight
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def new_beads(world: World, count: int, *, waiting: bool = False) -> list[str]:
    """Names of beads that were just applied; `waiting` ones end when their gate is opened."""
    names = [f"recovery-{next(_numbers)}" for _ in range(count)]
    for name in names:
        wait = [{"bash": world.gates.command(name)}] if waiting else []
        await world.bead(name, [*wait, commit(f"{name}.txt"), {"done": "ok"}], rig="bench")
    return names


async def working_agents(world: World, sight: Sight, count: int) -> list[str]:
    """Names of beads, each with an agent that waits at its gate."""
    names = await new_beads(world, count, waiting=True)
    await sight.until(lambda: set(names) <= world.gates.arrived)
    await sight.until(lambda: all(condition(sight.polecats[name], "Ready") == "True" for name in names))
    return names


async def finish(world: World, names: list[str]) -> None:
    """Lets agents go on, and waits until nothing of them is left."""
    world.gates.open(*names)
    await world.succeeded(*names)
    await world.quiet()


async def operator_restart(world: World, stored: int, number: int) -> Figure:
    """From the start of an operator's process to the Polecat of a bead that waited for it."""
    operator = world.cluster.operator
    async with watching(world) as sight:
        await operator.kill(restart=False)
        names = await new_beads(world, 1)
        begun = time.perf_counter()
        await operator.start()
        await sight.until(lambda: names[0] in sight.created)
        figure = Figure("operator started → first action", stored, number, sight.created[names[0]] - begun, "s")
        await finish(world, names)
    return figure


async def supervisor_restart(world: World, agents: int, number: int) -> Figure:
    """From SIGKILL to the supervisor until all its agents answer again, in processes of the new life."""
    town = world.cluster.town
    async with watching(world) as sight:
        names = await working_agents(world, sight, agents)
        before = {name: sight.polecats[name]["status"]["process"] for name in names}

        def resumed() -> bool:
            polecats = {name: sight.polecats[name] for name in names}
            return all(
                polecat["status"].get("process") not in (None, before[name]) and condition(polecat, "Ready") == "True"
                for name, polecat in polecats.items()
            )

        begun = time.perf_counter()
        await town.kill(restart=False)
        await town.start()
        ended = await sight.until(resumed)
        await finish(world, names)
    return Figure("supervisor killed → all agents resumed", agents, number, ended - begun, "s")


async def api_server_away(world: World, proxy: TcpProxy, seconds: int) -> Figure:
    """From the first moment at which the API server can be reached again until what happened meanwhile is told.

    Five agents finish while it is away, and one bead is applied; caught up means that five beads are done, and that the
    sixth has an agent at work.
    """
    async with watching(world) as sight:
        names = await working_agents(world, sight, WORKERS)
        proxy.cut()
        world.gates.open(*names)
        late = await new_beads(world, 1, waiting=True)
        await asyncio.sleep(seconds)
        proxy.mend()
        begun = time.perf_counter()
        async with asyncio.timeout(LONGEST_SECONDS):
            while not (late[0] in world.gates.arrived and await _all_done(world, names)):
                await asyncio.sleep(POLL_SECONDS)
        ended = time.perf_counter()
        await finish(world, [*names, *late])
    return Figure(f"API server back after {seconds} s → all caught up", WORKERS + 1, 0, ended - begun, "s")


async def _all_done(world: World, names: list[str]) -> bool:
    beads = [await world.api.get(BEAD, world.namespace, name) for name in names]
    return all(bead is not None and condition(bead, "Succeeded") == "True" for bead in beads)


async def connections_lost(world: World, proxy: TcpProxy, number: int, *, reset: bool) -> list[Figure]:
    """From the loss of all connections, watches among them, until a bead has its Polecat, and this is claimed."""
    async with watching(world) as sight:
        begun = time.perf_counter()
        if reset:
            proxy.cut()
            proxy.mend()
        else:
            proxy.strand()
        names = await new_beads(world, 1)
        await sight.until(lambda: names[0] in sight.claimed)
        await finish(world, names)
    how = "reset" if reset else "dead without a word"
    reached = {"operator": sight.created[names[0]], "town": sight.claimed[names[0]]}
    return [
        Figure(f"connections {how} → noticed by the {who}", 1, number, at - begun, "s") for who, at in reached.items()
    ]


async def run(rounds: int, stored: list[int], agents: list[int], away_seconds: int) -> list[Figure]:
    """All figures, from two clusters on this machine, one after the other; each is printed as it comes."""
    figures: list[Figure] = []

    def tell(*some: Figure) -> None:
        figures.extend(some)
        for figure in some:
            print(json.dumps(figure.to_json(), ensure_ascii=False), flush=True)

    async with TcpProxy() as proxy, bench_world(WORKERS + 1, proxy) as world:
        for number in range(rounds):
            say(f"connections lost, round {number + 1}")
            tell(*await connections_lost(world, proxy, number, reset=True))
            tell(*await connections_lost(world, proxy, number, reset=False))
        say(f"API server away for {away_seconds} s")
        tell(await api_server_away(world, proxy, away_seconds))
    async with bench_world(max(agents, default=1)) as world:
        for count in agents:
            say(f"supervisor restarts with {count} agents, {rounds} rounds")
            for number in range(rounds):
                tell(await supervisor_restart(world, count, number))
        have = 0
        for count in stored:
            say(f"operator restarts with {count} stored beads, {rounds} rounds")
            await world.store(count - have)
            have = count
            for number in range(rounds):
                tell(await operator_restart(world, count, number))
    return figures


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--stored", type=numbers, default=[0, 1000, 10000], help="beads stored when an operator starts")
    parser.add_argument("--agents", type=numbers, default=[1, 5, 25], help="agents when the supervisor is killed")
    parser.add_argument("--away", type=int, default=120, help="seconds without the API server")
    parser.add_argument("--quick", action="store_true", help="one round, 20 s without the API server, 1,000 stored")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.away, options.stored = 1, 20, [0, 1000]
    load = os.getloadavg()[0]
    figures = asyncio.run(run(options.rounds, options.stored, options.agents, options.away))
    print_report(figures)
    print(f"load average of this machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
