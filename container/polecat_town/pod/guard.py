"""Watches the memory of each agent, and buries processes that nobody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace

import psutil

from polecat_town import metrics
from polecat_town.life.life import Life
from polecat_town.pod.cpu import CpuMeter
from polecat_town.pod.memory import find_agent_processes, measure

log = logging.getLogger(__name__)
_PR_SET_CHILD_SUBREAPER = 36
_MIB = 1 << 20


def become_subreaper() -> None:
    """Orphans of agents become children of this process, so that they are seen and can be buried."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        log.warning("can't become a subreaper: %s", os.strerror(ctypes.get_errno()))


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


async def watch_memory(
    lives: Callable[[], Iterable[Life]], limit_bytes: Callable[[], int], every_seconds: float
) -> None:
    """Measures all agents again and again; one above the memory limit is told to end. Runs until cancelled."""
    reaper, meter = Reaper(), CpuMeter()
    while True:
        await asyncio.sleep(every_seconds)
        running = {life.identity.uid: life for life in lives() if life.agent is not None}
        roots = {uid: life.agent.process.pid for uid, life in running.items() if life.agent is not None}
        limit = limit_bytes()
        used, busy = await asyncio.to_thread(_measure_all, list(running), roots, limit, meter)
        metrics.AGENT_MEMORY_BYTES.set(sum(used.values()))
        for uid, size in used.items():
            life = running[uid]
            life.live = replace(life.live, memory_bytes=size, cpu_millicores=busy.get(uid, 0))
            if size > limit:
                life.over_memory = (
                    f"the agent and its children used {size // _MIB} MiB, more than the {limit // _MIB} MiB allowed"
                )
                life.wake()
        reaper.look()


def _measure_all(
    uids: list[str], roots: dict[str, int], limit: int, meter: CpuMeter
) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes and thousandths of a core, by UID."""
    if not uids:
        return {}, {}
    processes = find_agent_processes(uids, roots)
    return {uid: measure(pids, limit) for uid, pids in processes.items()}, meter.look(processes)
