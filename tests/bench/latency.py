"""From the answer to `create` to the watch event of the Polecat, and of its claim."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from bench.report import Figure, percentile
from polecat_kube.resources import BEAD, POLECAT
from support.whole import World, commit, script

Json = dict[str, Any]
_numbers = itertools.count(1)


@dataclass
class Times:
    """Seconds on one clock, by the name of the bead."""

    applied: dict[str, float] = field(default_factory=dict)
    created: dict[str, float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)

    def see(self, polecat: Json) -> None:
        """What a watch event tells."""
        bead, now = polecat["spec"]["beadRef"]["name"], time.perf_counter()
        self.created.setdefault(bead, now)
        if polecat.get("status", {}).get("claim"):
            self.claimed.setdefault(bead, now)


async def measure_latency(world: World, size: int, rounds: int) -> list[Figure]:
    """p50, p99 and rate of `size` beads applied at once, one set of figures for each round."""
    figures = []
    for number in range(rounds):
        times = await _round(world, size)
        first, last = min(times.applied.values()), max(times.claimed.values())
        for what, reached in (("polecat created", times.created), ("claimed", times.claimed)):
            waits = [1000 * (reached[bead] - times.applied[bead]) for bead in times.applied]
            for share in (50, 99):
                figures.append(Figure(f"apply → {what}, p{share}", size, number, percentile(waits, share), "ms"))
        figures.append(Figure("claimed a second", size, number, size / (last - first), "1/s"))
    return figures


async def _round(world: World, size: int) -> Times:
    names = [f"bench-{next(_numbers)}" for _ in range(size)]
    times, watching = Times(), asyncio.Event()
    async with world.cluster.api() as looking:
        watcher = asyncio.create_task(_watch(world, looking, times, watching))
        await watching.wait()
        await asyncio.gather(*(_apply(world, name, times) for name in names))
        async with asyncio.timeout(120):
            while not times.claimed.keys() >= set(names):
                await asyncio.sleep(0.01)
        watcher.cancel()
    # What agents do after the claim is not measured, and 200 processes on few cores would take minutes for it.
    await asyncio.gather(*(world.api.delete(BEAD, world.namespace, name) for name in names))
    await world.quiet()
    return times


async def _apply(world: World, name: str, times: Times) -> None:
    body = {
        "metadata": {"name": name},
        "spec": {
            "rigRef": {"name": "bench"},
            "title": name,
            "prompt": script([commit(f"{name}.txt"), {"done": "ok"}]),
        },
    }
    await world.api.create(BEAD, world.namespace, body)
    times.applied[name] = time.perf_counter()


async def _watch(world: World, api: Any, times: Times, watching: asyncio.Event) -> None:
    _, version = await api.list(POLECAT, world.namespace)
    watching.set()
    async for kind, polecat in api.watch(POLECAT, world.namespace, version):
        if kind in ("ADDED", "MODIFIED"):
            times.see(polecat)
