"""How quickly many viewers see what many agents do, and what that costs: `make bench-streams`.

Fifty viewers of thirty agents, a thousand events a second in all: from the write of an event until its last viewer
has it; CPU and memory of the process that writes and serves. Beside it, in the same run, `tail -f` of the same files;
the same through the dashboard with 0, 1 and 50 viewers, and what that asks of the API server each minute; and what
thirty agents that write text cost with and without gathering their pieces. Nothing asserts a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.stage import say
from bench.stream_dashboard import measure
from bench.stream_parts import MARGIN_SECONDS, Part, row

Json = dict[str, Any]
READERS = 2
"""Processes that share the viewers."""


async def look(options: argparse.Namespace, what: str, streams: int, stuck: int = 0, seconds: float = 0) -> Json:
    """Viewers over HTTP."""
    say(what)
    seconds = seconds or options.seconds
    with tempfile.TemporaryDirectory() as directory:
        root, port_file = Path(directory), Path(directory) / "url"
        writer = await Part.start(
            "write",
            root=directory, agents=options.agents, rate=options.rate, seconds=seconds, port_file=str(port_file),
        )  # fmt: skip
        while not port_file.exists():
            await asyncio.sleep(0.05)
        url, share = port_file.read_text(), options.viewers // READERS
        given = {
            "root": directory,
            "url": url,
            "viewers": share,
            "streams": streams,
            "seconds": seconds + MARGIN_SECONDS,
        }
        readers = [
            await Part.start("read", wait=True, stuck=stuck if number == 0 else 0, **given) for number in range(READERS)
        ]
        (root / "go").touch()
        written = await writer.result()
        expected = written["written"] * (options.viewers if streams > 1 else options.viewers / options.agents)
        return row(what, written, [await reader.result() for reader in readers], written["cpu"], expected)


async def tails(options: argparse.Namespace) -> Json:
    """`tail -f`; its CPU is that of all tails."""
    with tempfile.TemporaryDirectory() as directory:
        root, port_file = Path(directory), Path(directory) / "url"
        given = {"root": directory, "agents": options.agents, "rate": options.rate, "seconds": options.seconds}
        writer = await Part.start("write", port_file=str(port_file), **given)
        while not port_file.exists():
            await asyncio.sleep(0.05)
        reader = await Part.start(
            "tail",
            wait=True, root=directory, viewers=options.viewers, agents_count=options.agents,
            seconds=options.seconds + MARGIN_SECONDS,
        )  # fmt: skip
        (root / "go").touch()
        written, seen = await writer.result(), await reader.result()
        expected = written["written"] * options.viewers
        return row("tail -f, one for each viewer", written, [seen], seen["cpu"], expected)


async def chatty(options: argparse.Namespace, coalesce: float) -> Json:
    """Thirty agents that write text."""
    with tempfile.TemporaryDirectory() as directory:
        given = {"count": options.agents, "deltas": options.deltas, "seconds": options.seconds / 2}
        done = await (await Part.start("agents", root=directory, coalesce=coalesce, **given)).result()
    what = f"{options.agents} agents × {options.deltas} pieces/s, " + (
        f"gathered for {coalesce * 1000:.0f} ms" if coalesce else "each an event"
    )
    return {"what": what, "events": done["events"], "cpu_cores": done["cpu"]}


async def run(options: argparse.Namespace) -> list[Json]:
    """All figures."""
    rows = [await chatty(options, 0.0), await chatty(options, 0.05)]
    rows.append(await look(options, f"{options.viewers} viewers, one agent each", 1))
    rows.append(await look(options, f"{options.viewers} viewers, all {options.agents} agents each", options.agents))
    rows.append(await tails(options))
    rows += await measure(options, (0, 1, options.viewers))
    if options.stuck_minutes:
        seconds = options.stuck_minutes * 60
        what = f"ten stuck readers beside, {options.stuck_minutes:g} minutes"
        rows.append(await look(options, what, 1, stuck=10, seconds=seconds))
    return rows


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=30)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--rate", type=float, default=1000, help="events a second in all")
    parser.add_argument("--deltas", type=float, default=60, help="pieces of text a second of one chatty agent")
    parser.add_argument("--seconds", type=float, default=20, help="how long each is measured")
    parser.add_argument("--stuck-minutes", type=float, default=0, help="also with readers that stop, for so long")
    rows = asyncio.run(run(parser.parse_args()))
    table = Table(
        "", "events", "last viewer p50", "p99", "seen", "CPU", "API requests/min", "memory first → most → last"
    )
    for each in rows:
        memory, delays = "", ("", "", "")
        if "p50_ms" in each:
            delays = (f"{each['p50_ms']:.0f} ms", f"{each['p99_ms']:.0f} ms", f"{each['seen_share']:.0%}")
        if "memory_first_mib" in each:
            memory = " → ".join(f"{each[f'memory_{when}_mib']:.0f}" for when in ("first", "most", "last")) + " MiB"
        requests = f"{each['requests_per_minute']:.0f}" if "requests_per_minute" in each else ""
        table.add_row(each["what"], str(each["events"]), *delays, f"{each['cpu_cores'] * 100:.0f} %", requests, memory)
    Console(width=150).print(table)
    for each in rows:
        print(json.dumps(each))


if __name__ == "__main__":
    main()
