"""What the API server tells: the objects as they are, and every version that came by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from polecat_kube.api import KubeApi
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD, POLECAT, RIG, ResourceType
from polecat_oracle.objects import Json

LONGEST_PAUSE_SECONDS = 0.5
"""What happens while nobody looks can't be judged, so an API server that is back is found at once."""


class Seen:
    """Watches Beads, Polecats and Rigs; costs the API server what changes, not a list at each look."""

    def __init__(self, api: KubeApi, namespace: str | None) -> None:
        self._passed_beads: list[Json] = []
        self._passed_polecats: list[Json] = []

        def informer(resource: ResourceType, on_change: Callable[[Json | None, Json | None], None]) -> Informer:
            return Informer(api, resource, namespace, on_change, longest_pause_seconds=LONGEST_PAUSE_SECONDS)

        self._beads = informer(BEAD, lambda _, new: _keep(self._passed_beads, new))
        self._polecats = informer(POLECAT, lambda _, new: _keep(self._passed_polecats, new))
        self._rigs = informer(RIG, lambda _, new: None)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Until all have been seen once."""
        informers = (self._beads, self._polecats, self._rigs)
        self._tasks = [asyncio.create_task(each.run(), name="oracle-watch") for each in informers]
        for each in informers:
            await each.synced.wait()

    async def stop(self) -> None:
        """Ends the watches."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def live(self) -> bool:
        """Whether all is as the API server has it now, but for the time that an event takes."""
        return self._beads.live and self._polecats.live

    @property
    def beads(self) -> tuple[Json, ...]:
        """All Beads."""
        return tuple(self._beads.store.values())

    @property
    def polecats(self) -> tuple[Json, ...]:
        """All Polecats."""
        return tuple(self._polecats.store.values())

    def remotes(self) -> tuple[set[Path], bool]:
        """The bare repositories that rigs name by `file://`, and whether those are the remotes of all rigs."""
        urls = [urlsplit(rig["spec"]["repository"]["url"]) for rig in self._rigs.store.values()]
        here = {Path(url.path) for url in urls if url.scheme == "file" and Path(url.path).is_dir()}
        return here, all(Path(url.path) in here for url in urls)

    def take_passed(self) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
        """All versions of Beads, and of Polecats, that came since the last call, in their order."""
        passed = tuple(self._passed_beads), tuple(self._passed_polecats)
        self._passed_beads.clear()
        self._passed_polecats.clear()
        return passed


def _keep(passed: list[Json], new: Json | None) -> None:
    if new is not None:
        passed.append(new)
