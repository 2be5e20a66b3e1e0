"""Resident memory of operator and supervisor while so many beads are stored."""

from __future__ import annotations

import psutil

from bench.report import Figure
from support.whole import World


def measure_memory(world: World, stored: int) -> list[Figure]:
    """MiB of each program now."""
    parts = {"operator": world.cluster.operator.pid, "supervisor": world.cluster.town.pid}
    return [
        Figure(f"resident memory, {name}", stored, 0, psutil.Process(pid).memory_info().rss / 2**20, "MiB")
        for name, pid in parts.items()
        if pid is not None
    ]
