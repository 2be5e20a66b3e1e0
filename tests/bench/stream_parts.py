"""Processes of the stage for streams, and what is made of their figures."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

Json = dict[str, Any]
MARGIN_SECONDS = 3.0


class Part:
    """One process of the stage."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, name: str, *, wait: bool = False, **given: Any) -> Part:
        """Starts it; with `wait` it says when it is ready."""
        command = [sys.executable, "-m", "bench.stream_stage", name, json.dumps(given)]
        part = cls(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 28))
        if wait:
            assert part._process.stdout is not None
            await part._process.stdout.readline()
        return part

    async def result(self) -> Json:
        """What it has measured."""
        output, _ = await self._process.communicate()
        return dict(json.loads(output))


def at(delays: list[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return sorted(delays)[min(len(delays) - 1, int(share * len(delays)))] * 1000 if delays else float("nan")


def row(what: str, written: Json, seen: list[Json], cpu: float, expected: float) -> Json:
    """One line of the table; `seen` of several processes are one."""
    latest: dict[str, float] = {}
    for each in seen:
        for key, delay in each["delays"].items():
            latest[key] = max(delay, latest.get(key, 0.0))
    delays = list(latest.values())
    return {
        "what": what,
        "events": written["written"],
        "seen_share": sum(each["count"] for each in seen) / expected,
        "p50_ms": at(delays, 0.5),
        "p99_ms": at(delays, 0.99),
        "cpu_cores": cpu,
        "memory_first_mib": written["memory"][0],
        "memory_most_mib": max(written["memory"]),
        "memory_last_mib": written["memory"][-1],
    }
