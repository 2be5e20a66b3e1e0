"""Density and starts inside a pod: `make bench-node`. The shipped image on a real node, with the real Kilo CLI.

Prints a table, and JSON lines on standard output's end. Nothing asserts a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from bench.report import Figure, percentile, print_report
from polecat_kube.resources import TOWN
from support.node.cluster import NodeCluster, node_cluster
from support.node.installing import install, shipped_images
from support.node.preflight import why_not
from support.node.world import TOWN_NAME, NodeWorld, node_world
from support.whole import commit

WINDOW_SECONDS = 20.0
"""How long the supervisor's CPU is measured while its agents wait."""
_GIB = 1 << 30


async def round_of(cluster: NodeCluster, size: int, number: int) -> list[Figure]:
    """One town, so many agents at once that all wait at a gate while they are looked at."""
    with tempfile.TemporaryDirectory(prefix="polecat-bench-node-") as directory:
        async with node_world(cluster, Path(directory)) as world:
            await world.town(slots=size, env=[{"name": "POLECAT_TOWN_HEARTBEAT_SECONDS", "value": "2"}])
            await world.rig(polecats={"max": size})
            empty = await measured_memory(world)
            names = [f"bead-{each}" for each in range(size)]
            for name in names:
                wait = {"bash": world.gates.command(name)}
                await world.bead(name, [wait, commit(f"{name}.txt"), {"done": name}])
            await world.arrived(*names)
            starts = [await start_seconds(world, name) for name in names]
            process = cluster.town_process(world.namespace, f"{TOWN_NAME}-0")
            before = sum(process.cpu_times()[:2])
            await asyncio.sleep(WINDOW_SECONDS)
            used = (sum(process.cpu_times()[:2]) - before) / WINDOW_SECONDS
            full = await measured_memory(world)
            world.gates.open(*names)
            await world.succeeded(*names)
            await world.quiet()
    each = (full - empty) / size
    return [
        Figure("claimed → first model request, p50", size, number, percentile(starts, 50), "s"),
        Figure("claimed → first model request, last", size, number, max(starts), "s"),
        Figure("memory of a pod without agents", size, number, empty / (1 << 20), "MiB"),
        Figure("memory of one agent", size, number, each / (1 << 20), "MiB"),
        Figure("agents per GiB", size, number, _GIB / each, ""),
        Figure("supervisor's CPU per waiting agent", size, number, used * 1000 / size, "ms/s"),
    ]


async def measured_memory(world: NodeWorld) -> float:
    """What the pod's entry says, told after this question."""
    town = await world.api.get(TOWN, world.namespace, TOWN_NAME)
    assert town is not None
    asked = town["status"]["pods"][0]["seenTime"]
    later = await world.until(TOWN, TOWN_NAME, lambda town: town["status"]["pods"][0]["seenTime"] > asked)
    return float(later["status"]["pods"][0]["memoryBytes"])


async def start_seconds(world: NodeWorld, name: str) -> float:
    """From the claim, whose time is in whole seconds or finer, to the model's first request."""
    polecat = (await world.polecats())[name]
    claimed = datetime.fromisoformat(polecat["status"]["claim"]["time"]).timestamp()
    request = world.model.first_request(f"Add {name}.txt")
    assert request is not None
    return request.time - claimed


async def run(rounds: int, sizes: list[int]) -> list[Figure]:
    """All figures, from one node."""
    images = await asyncio.to_thread(shipped_images, "--base", "bootstrap")
    figures: list[Figure] = []
    async with node_cluster(images) as cluster:
        await install(cluster)
        for size in sizes:
            for number in range(rounds):
                print(f"{size} at once, round {number + 1} of {rounds}", file=sys.stderr)
                figures += await round_of(cluster, size, number)
    return figures


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5], help="agents at once")
    options = parser.parse_args()
    if lacking := why_not():
        sys.exit(lacking)
    figures = asyncio.run(run(options.rounds, options.sizes))
    print_report(figures)
    for figure in figures:
        print(json.dumps(figure.to_json()))


if __name__ == "__main__":
    main()
