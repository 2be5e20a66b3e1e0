"""Watches the memory of each agent, and buries processes that nobody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import psutil

from polecat_town import metrics
from polecat_town.life.life import Life
from polecat_town.pod.cpu import CpuMeter
from polecat_town.pod.memory import (
    ContainerMemory,
    find_agent_processes,
    measure,
    read_container_memory,
    read_kernel_kills,
)
from polecat_town.pod.pressure import Victim, choose_victim, has_room, is_short
from polecat_town.pod.state import PodState

log = logging.getLogger(__name__)
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_DUMPABLE = 4
_MIB = 1 << 20
CONTAINER_SECONDS = 0.2
"""How often the container's memory is looked at."""
GROWTH_BYTES = 256 * _MIB
"""When the container has grown by so much, agents are measured at once."""
PAUSE_SECONDS = 1.0
"""Between two that must go: the kernel needs a moment to take back what one held."""


def become_subreaper() -> None:
    """Orphans of agents become children of this process, so that they are seen and can be buried."""
    _set("become a subreaper", _PR_SET_CHILD_SUBREAPER, 1)


def become_unreadable() -> None:
    """Memory, environment and descriptors of this process are closed to all others of its user, without Landlock too.

    They hold the API server's token, the rigs' credentials and the models' keys. Programs that it starts are readable.
    """
    _set("close its memory to others", _PR_SET_DUMPABLE, 0)


def _set(what: str, option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        log.warning("can't %s: %s", what, os.strerror(ctypes.get_errno()))


class Reaper:
    """Buries zombies that are nobody's: those seen in two looks in a row, as asyncio buries its own at once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def look(self) -> None:
        """One look."""
        zombies = set()
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if child.status() == psutil.STATUS_ZOMBIE:
                    zombies.add(child.pid)
        for pid in zombies & self._seen:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._seen = zombies


class MemoryGuard:
    """Measures all agents again and again. One above its limit is told to end, and the biggest when the container's
    limit is near."""

    def __init__(
        self,
        lives: Callable[[], Iterable[Life]],
        pod: PodState,
        agent_limit_bytes: Callable[[], int],
        every_seconds: float,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when there is room for another agent again, or no more."""
        self._lives = lives
        self._pod = pod
        self._agent_limit_bytes = agent_limit_bytes
        self._every_seconds = every_seconds
        self._changed = changed
        self._reaper, self._meter = Reaper(), CpuMeter()
        self._stopped_at = 0.0
        self._kernel_kills = read_kernel_kills()

    async def run(self) -> None:
        """Until cancelled. The container is looked at more often than each agent, which costs more."""
        due, known = 0.0, 0
        while True:
            await asyncio.sleep(min(self._every_seconds, CONTAINER_SECONDS))
            container = read_container_memory()
            grown = container.pressing_bytes - known > GROWTH_BYTES
            if grown or is_short(container) or time.monotonic() >= due:
                await self._look()
                container = read_container_memory()
                due, known = time.monotonic() + self._every_seconds, container.pressing_bytes
            self._note_room(container)

    def _running(self) -> dict[str, Life]:
        return {life.identity.uid: life for life in self._lives() if life.agent is not None}

    def _note_room(self, container: ContainerMemory) -> None:
        room = has_room(container, len(self._running()), self._agent_limit_bytes())
        if room is not self._pod.has_room:
            self._pod.has_room = room
            log.log(logging.INFO if room else logging.WARNING, "room in memory for another agent: %s", room)
            self._changed()

    async def _look(self) -> None:
        running = self._running()
        roots = {uid: life.agent.process.pid for uid, life in running.items() if life.agent is not None}
        limit = self._agent_limit_bytes()
        used, busy = await asyncio.to_thread(_measure_all, list(running), roots, limit, self._meter)
        metrics.AGENT_MEMORY_BYTES.set(sum(used.values()))
        for uid, size in used.items():
            life = running[uid]
            life.live = replace(life.live, memory_bytes=size, cpu_millicores=busy.get(uid, 0))
            if size > limit and life.over_memory is None:
                life.over_memory = (
                    f"the agent and its children used {size // _MIB} MiB, more than the {limit // _MIB} MiB allowed"
                )
                metrics.MEMORY_STOPS.labels("agent").inc()
                life.wake()
        going = [life for life in running.values() if life.agent is not None and life.must_free_memory]
        # What those leave behind is free in a moment, and what the kernel's victims held, too.
        if (kills := read_kernel_kills()) > self._kernel_kills:
            self._kernel_kills, self._stopped_at = kills, time.monotonic()
        wait = going or time.monotonic() < self._stopped_at + PAUSE_SECONDS
        victim = None if wait else choose_victim(read_container_memory(), used)
        if victim is not None:
            self._stop(running[victim.uid], victim)
        self._reaper.look()

    def _stop(self, life: Life, victim: Victim) -> None:
        life.log.warning("stopped: %s", victim.message)
        life.make_room(victim.message, alone=victim.alone)
        metrics.MEMORY_STOPS.labels("container").inc()
        self._stopped_at = time.monotonic()
        life.wake()


def _measure_all(
    uids: list[str], roots: dict[str, int], limit: int, meter: CpuMeter
) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes and thousandths of a core, by UID."""
    if not uids:
        return {}, {}
    processes = find_agent_processes(uids, roots)
    return {uid: measure(pids, limit) for uid, pids in processes.items()}, meter.look(processes)
