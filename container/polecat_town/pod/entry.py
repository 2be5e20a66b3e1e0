"""The pod's entry in `status.pods` of its Town."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from polecat_api import protocol
from polecat_api.town import TownPod
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError, NotFoundError, UndeclaredFieldError
from polecat_kube.resources import TOWN

log = logging.getLogger(__name__)
COALESCE_SECONDS = 2.0
_RETRY_SECONDS = 2.0


class PodEntry:
    """Writes the entry at once when it has changed (changes of two seconds together), and now and then anyway."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        town: str,
        pod: str,
        build: Callable[[datetime], TownPod],
        *,
        every_seconds: float,
    ) -> None:
        """`build` gives the entry of the moment."""
        self._api = api
        self._namespace = namespace
        self._town = town
        self._pod = pod
        self._build = build
        self._every_seconds = every_seconds
        self._left_out: set[str] = set()
        """Fields of which it has been said that the installed CRD does not have them."""
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()

    def changed(self, *, urgent: bool = False) -> None:
        """The entry is out of date; `urgent` if new work must be kept away, or may come now."""
        self._changed.set()
        if urgent:
            self._urgent.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            self._changed.clear()
            self._urgent.clear()
            delay = self._every_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
            if not await self.write():
                delay = _RETRY_SECONDS
            await _wait(self._changed, delay)
            if self._changed.is_set():
                await _wait(self._urgent, COALESCE_SECONDS)

    async def write(self) -> bool:
        """One write; False if it failed, or there is no such Town yet.

        Fields that the installed CRD does not have are left out, which the message tells if nothing else is wrong.
        """
        entry = self._build(datetime.now(UTC)).to_wire()
        while True:
            try:
                return await self._apply(entry)
            except UndeclaredFieldError as error:
                if error.field not in self._left_out:
                    log.error("%s", error)
                self._left_out.add(error.field)
                if entry.pop(error.field, None) is None:
                    return False
                if error.field != "message" and not entry.get("message"):
                    entry["message"] = f"the installed CRDs are of another version: no field {error.field}"

    async def _apply(self, entry: dict[str, Any]) -> bool:
        body = {"status": {"pods": [entry]}}
        manager = protocol.town_manager(self._pod)
        try:
            await self._api.apply(TOWN, self._namespace, self._town, body, "status", manager=manager)
        except UndeclaredFieldError:
            raise
        except NotFoundError:
            return False
        except ApiError as error:
            log.warning("entry in town %s not written: %s", self._town, error)
            return False
        return True


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
