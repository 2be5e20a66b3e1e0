"""Latency, API writes per bead and memory, printed as a table beside the peers' figures and as JSON lines.

`make bench`, or `make bench ARGS="--rounds 5 --sizes 1,50"`. It runs a whole cluster with the fake agent,
since what is measured is Polecat and not the model. Nothing asserts a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from bench.latency import measure_latency
from bench.memory import measure_memory
from bench.report import Figure, print_report
from bench.stage import bench_world, numbers, say
from bench.writes import measure_writes

SLOTS = 200


async def run(rounds: int, sizes: list[int], stored: list[int]) -> list[Figure]:
    """All figures, from one cluster on this machine."""
    figures: list[Figure] = []
    async with bench_world(SLOTS) as world:
        if stored:
            figures += measure_memory(world, 0)
        for size in sizes:
            say(f"{size} at once, {rounds} rounds")
            figures += await measure_latency(world, size, rounds)
        say("writes per bead")
        figures += await measure_writes(world, 20)
        have = 0
        for count in stored:
            say(f"{count} stored beads")
            await world.store(count - have)
            have = count
            figures += measure_memory(world, count)
    return figures


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each latency is measured")
    parser.add_argument("--sizes", type=numbers, default=[1, 50, 200], help="beads at once")
    parser.add_argument("--stored", type=numbers, default=[1000, 10000], help="beads stored while memory is read")
    options = parser.parse_args()
    figures = asyncio.run(run(options.rounds, options.sizes, options.stored))
    print_report(figures)
    for figure in figures:
        print(json.dumps(figure.to_json()))


if __name__ == "__main__":
    main()
