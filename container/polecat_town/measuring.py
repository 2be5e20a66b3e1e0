"""Figures that are asked for when somebody wants to know them, not kept all the time."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from polecat_api.conditions import Reason
from polecat_town import metrics
from polecat_town.life.life import Life
from polecat_town.life.state import Step
from polecat_town.pod.lease import PodLease
from polecat_town.pod.memory import read_container_memory

STATES = (
    Reason.OK,
    Reason.STOPPING,
    Reason.POD_SILENT,
    Reason.AGENT_BINARY_BROKEN,
    Reason.DISK_FULL,
    Reason.VOLUME_NOT_WRITABLE,
)
"""What a pod's entry can say of itself."""
_TICK_SECONDS = 1.0


class Measurer:
    """Brings the gauges up to date. What that costs follows the slots of the pod."""

    def __init__(
        self, lives: Callable[[], Iterable[Life]], state: Callable[[], Reason], lease: PodLease, data_dir: Path
    ) -> None:
        self._lives = lives
        self._state = state
        self._lease = lease
        self._data_dir = data_dir

    def look(self) -> None:
        """Called before each answer."""
        lives = list(self._lives())
        steps = Counter(life.state.step for life in lives)
        for step in Step:
            metrics.AGENTS.labels(step.value).set(steps[step])
        state = self._state()
        metrics.STATE.clear()
        for each in {*STATES, state}:
            metrics.STATE.labels(each.value).set(each is state)
        metrics.AGENT_CPU_CORES.set(sum(life.live.cpu_millicores for life in lives) / 1000)
        at_work = [life.reporter.age_seconds for life in lives if life.state.end is None]
        metrics.REPORT_AGE_SECONDS.set(max(at_work, default=0.0))
        metrics.LEASE_AGE_SECONDS.set(self._lease.age_seconds)
        memory = read_container_memory()
        metrics.MEMORY_BYTES.set(memory.used_bytes)
        metrics.MEMORY_LIMIT_BYTES.set(memory.limit_bytes)
        self._look_at_volume()

    def _look_at_volume(self) -> None:
        try:
            found = os.statvfs(self._data_dir)
        except OSError:
            return  # the state tells what is wrong with it
        metrics.VOLUME_FREE_BYTES.set(found.f_bavail * found.f_frsize)
        metrics.VOLUME_SIZE_BYTES.set(found.f_blocks * found.f_frsize)

    async def watch_loop(self) -> None:
        """Finds out how late the event loop is. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))
