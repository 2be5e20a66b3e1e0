"""Users of the soak: they apply beads and change them, and try again when the API server does not answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from polecat_kube.errors import AlreadyExistsError, ApiError, NotFoundError
from polecat_kube.resources import BEAD
from soak.agents import spec_of
from soak.plan import PlannedAct, PlannedBead
from soak.setting import Setting
from support.whole import condition

Json = dict[str, Any]
T = TypeVar("T")
AGAIN_SECONDS = 0.5


class Users:
    """Each wish is carried out in a task of its own."""

    def __init__(self, setting: Setting) -> None:
        self.done: Counter[str] = Counter()
        self.applied: dict[str, PlannedBead] = {}
        self.deleted: set[str] = set()
        self._setting = setting
        self._api, self._namespace = setting.world.api, setting.world.namespace
        self._tasks: set[asyncio.Task[None]] = set()

    def apply(self, bead: PlannedBead) -> None:
        """Makes a bead."""
        self._begin(self._apply(bead))

    def wish(self, act: PlannedAct) -> None:
        """Changes one that is there."""
        self._begin(self._wish(act))

    async def settle(self) -> None:
        """Until all has been carried out. Raises what went wrong with one."""
        await asyncio.gather(*self._tasks)

    async def beads(self) -> list[Json]:
        """All beads that are there, by name."""
        items, _ = await self.until_told(lambda: self._api.list(BEAD, self._namespace))
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    async def patch(self, name: str, spec: Json) -> bool:
        """Changes a bead's spec; False if it is gone."""
        try:
            await self.until_told(lambda: self._api.patch_merge(BEAD, self._namespace, name, {"spec": spec}))
        except NotFoundError:
            return False
        return True

    async def until_told(self, request: Callable[[], Awaitable[T]]) -> T:
        """What the API server says, however often it has to be asked."""
        while True:
            try:
                return await request()
            except (AlreadyExistsError, NotFoundError):
                raise
            except ApiError:
                await asyncio.sleep(AGAIN_SECONDS)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _apply(self, bead: PlannedBead) -> None:
        body = {"metadata": {"name": bead.name}, "spec": spec_of(bead, self._setting.ledger)}
        with suppress(AlreadyExistsError):  # the answer to the first try was lost
            await self.until_told(lambda: self._api.create(BEAD, self._namespace, body))
        self.applied[bead.name] = bead

    async def _wish(self, act: PlannedAct) -> None:
        beads = [bead for bead in await self.beads() if self._suits(act.kind, bead)]
        if not beads:
            return
        name = str(beads[int(act.pick * len(beads))]["metadata"]["name"])
        match act.kind:
            case "suspend":
                if not await self.patch(name, {"suspend": True}):
                    return
                await asyncio.sleep(act.duration_seconds)
                await self.patch(name, {"suspend": False})
            case "delete":
                self.deleted.add(name)  # first, as the answer may be lost
                await self.until_told(lambda: self._api.delete(BEAD, self._namespace, name))
            case "rerun":
                await self.patch(name, {"rerun": f"wish-{act.at_seconds}"})
            case "priority":
                await self.patch(name, {"priority": "Critical"})
        self.done[act.kind] += 1

    @staticmethod
    def _suits(kind: str, bead: Json) -> bool:
        ended = condition(bead, "Succeeded") in ("True", "False")
        return ended if kind == "rerun" else not ended
