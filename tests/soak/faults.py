"""Carries faults out, each for real, and takes them back."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil

from polecat_local.supervise import Supervised
from polecat_oracle.looking import agent_processes
from soak.plan import PlannedAct
from soak.setting import Setting

SLOW_SECONDS = 1.0
"""How much later answers come over a slow link."""


class Faults:
    """One fault at a time for each part; one whose part is at fault already, or not there, is left out."""

    def __init__(self, setting: Setting) -> None:
        self.done: Counter[str] = Counter()
        self.left_out = 0
        self._setting = setting
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._kinds: dict[str, Callable[[str, PlannedAct], Awaitable[bool]]] = {
            "kill": lambda part, act: self._signal(part, act, signal.SIGKILL),
            "end": lambda part, act: self._signal(part, act, signal.SIGTERM),
            "drain": lambda part, act: self._signal(part, act, signal.SIGTERM),
            "freeze": self._freeze,
            "cut": self._link,
            "silence": self._link,
            "slow": self._link,
            "reject": self._mood,
            "lie": self._mood,
            "stall": self._mood,
        }

    def begin(self, act: PlannedAct) -> None:
        """Starts a fault; it ends by itself."""
        task = asyncio.create_task(self._run(act), name=act.kind)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Until all faults are over. Raises what went wrong with one."""
        await asyncio.gather(*self._tasks)

    async def _run(self, act: PlannedAct) -> None:
        what, part = act.kind.split()
        lock = self._locks[part]
        if lock.locked():
            self.left_out += 1
            return
        async with lock:
            if await self._kinds[what](part, act):
                self.done[act.kind] += 1
            else:
                self.left_out += 1

    async def _signal(self, part: str, act: PlannedAct, number: signal.Signals) -> bool:
        process = await self._process(part, act.pick)
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            return True
        return False

    async def _freeze(self, part: str, act: PlannedAct) -> bool:
        process = await self._process(part, act.pick)
        if process is None:
            return False
        try:
            process.suspend()
            await asyncio.sleep(act.duration_seconds)
        except psutil.NoSuchProcess:
            return False
        finally:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        return True

    async def _link(self, part: str, act: PlannedAct) -> bool:
        link = self._setting.links[part.removesuffix("-link")]
        what = act.kind.split()[0]
        try:
            if what == "slow":
                link.delay_seconds = SLOW_SECONDS
            else:
                (link.cut if what == "cut" else link.silence)()
            await asyncio.sleep(act.duration_seconds)
        finally:
            link.delay_seconds = 0.0
            link.mend()
        return True

    async def _mood(self, part: str, act: PlannedAct) -> bool:
        remote = self._setting.remotes["web" if act.pick < 0.5 else "api"]
        try:
            remote.set(act.kind.split()[0])
            await asyncio.sleep(act.duration_seconds)
        finally:
            remote.set("well")
        return True

    async def _process(self, part: str, pick: float) -> psutil.Process | None:
        cluster = self._setting.cluster
        if part == "agent":
            found = await asyncio.to_thread(agent_processes, cluster.data.town)
            agents = sorted((each for some in found.values() for each in some), key=lambda process: process.pid)
            return agents[int(pick * len(agents))] if agents else None
        parts: dict[str, list[Supervised]] = {
            "operator": cluster.operators,
            "town": [cluster.town],
            "api-server": [cluster.control_plane.api_server],
        }
        pid = parts[part][int(pick * len(parts[part]))].pid
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid) if pid is not None else None
        return None
