"""Looks at each rig's repository now and then, and tells the Rig what came out."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from polecat_api import protocol
from polecat_api.conditions import Type, decide_condition, find_condition
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.resources import RIG
from polecat_town.errors import RepositoryError, TownError
from polecat_town.git.types import RepositoryState
from polecat_town.rigs import Rigs

log = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 60.0


class Probes:
    """One task for each rig; only the first pod of a town has it run."""

    def __init__(self, api: KubeApi, rigs: Rigs, namespace: str, every_seconds: float) -> None:
        self._api = api
        self._rigs = rigs
        self._namespace = namespace
        self._every_seconds = every_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def restart(self, rig: str) -> None:
        """The rig came, went, or has changed: look at it at once."""
        task = self._tasks.pop(rig, None)
        if task is not None:
            task.cancel()
        if rig in self._rigs.names():
            self._tasks[rig] = asyncio.create_task(self._run(rig), name=f"probe {rig}")

    async def stop(self) -> None:
        """Ends all tasks."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, name: str) -> None:
        failures = 0
        before: RepositoryState | None = None
        while True:
            state = await self._look(name)
            if state is not None and (state.ok or before is None or state.reason is not before.reason):
                failures = 0  # all is well, or somebody is at it and wants to see what comes next
            if state is None or not state.ok:
                failures += 1
            before = state or before
            written = state is not None and await self._tell(name, state)
            if written and not failures:
                await asyncio.sleep(self._every_seconds)
            else:
                await asyncio.sleep(min(FIRST_RETRY_SECONDS * 2 ** max(0, failures - 1), LONGEST_RETRY_SECONDS))

    async def _look(self, name: str) -> RepositoryState | None:
        try:
            return await (await self._rigs.store(name)).probe()
        except RepositoryError as error:
            return RepositoryState(error.reason, str(error))
        except TownError as error:
            log.error("repository of rig %s not tried: %s", name, error, extra={"rig": name})
        except ApiError as error:
            log.warning("repository of rig %s not tried: %s", name, error, extra={"rig": name})
        return None

    async def _tell(self, name: str, state: RepositoryState) -> bool:
        rig = self._rigs.find(name)
        if rig is None:
            return True
        condition = decide_condition(
            rig.status.conditions,
            Type.REPOSITORY_READY,
            "True" if state.ok else "False",
            state.reason,
            state.message[:4096],
            now=datetime.now(UTC),
            generation=rig.metadata.generation,
        )
        if condition == find_condition(rig.status.conditions, Type.REPOSITORY_READY):
            return True
        body = {"status": {"conditions": [condition.to_wire()]}}
        try:
            await self._api.apply(RIG, self._namespace, name, body, "status", manager=protocol.REPOSITORY_MANAGER)
        except ApiError as error:
            log.warning("condition of rig %s not written: %s", name, error, extra={"rig": name})
            return False
        return True
