"""CPU: what the container may use, and what each agent uses with all its children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/cpu")
_TIMES = slice(11, 15)
"""User and system time of a process and of its children that it has buried, after the name in its stat file."""


def read_container_cpu_millicores(v2: Path = _V2, v1: Path = _V1) -> int:
    """The limit of the control group in thousandths of a core; that of the machine where there is none."""
    cores = len(os.sched_getaffinity(0)) * 1000
    try:
        quota, period = (v2 / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((v1 / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        except OSError:
            return cores
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return cores
    return min(cores, int(quota) * 1000 // int(period))


class CpuMeter:
    """Compares the CPU time of sets of processes with that of the look before."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        seconds_of: Callable[[Iterable[int]], float] | None = None,
    ) -> None:
        self._clock = clock
        self._seconds_of = seconds_of or cpu_seconds
        self._before: dict[str, tuple[float, float]] = {}

    def look(self, processes: Mapping[str, Iterable[int]]) -> dict[str, int]:
        """Thousandths of a core since the look before, by name; 0 at the first look at a name."""
        now, used = self._clock(), {}
        seen: dict[str, tuple[float, float]] = {}
        for name, pids in processes.items():
            seconds = self._seconds_of(pids)
            at, before = self._before.get(name, (now, seconds))
            # A process that has ended without being buried takes its time along: that is no negative use.
            used[name] = max(0, round(1000 * (seconds - before) / (now - at))) if now > at else 0
            seen[name] = (now, seconds)
        self._before = seen
        return used


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of the processes that are still there, and of those that they have buried."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[_TIMES])
        except (OSError, ValueError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK")
