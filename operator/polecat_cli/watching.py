"""Watches some beads and their polecats, and notes when each step was first seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from polecat_cli.views import BeadView, PolecatView, read_bead, read_polecat
from polecat_kube.api import KubeApi
from polecat_kube.errors import ForbiddenError
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD, POLECAT, ResourceType

Json = dict[str, Any]


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


class Watch:
    """The beads named, as they are now, while the context is open. `api` must be open already.

    With `made` they exist already, and one that is not found was deleted; without, they are yet to be made.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        names: Collection[str],
        *,
        made: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._made = made
        self._names = tuple(names)
        self._clock = clock
        self._api = api
        self._namespace = namespace
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._gone: set[str] = set()
        self.beads: dict[str, BeadView] = {}
        """By name; the last state of those that were deleted is kept."""
        self.polecats: dict[str, PolecatView] = {}
        """The present polecat by the UID of its bead."""
        self.created: dict[str, datetime] = {}
        """When the first polecat of a bead was seen, by the bead's UID."""
        self.ended: dict[str, datetime] = {}
        """When a bead was seen to have ended, by its UID."""

    async def __aenter__(self) -> Self:
        """Raises ApiError when the beads can't be read; polecats that can't be read are left out."""
        await self._may_watch(BEAD)
        informers = [Informer(self._api, BEAD, self._namespace, self._bead_changed)]
        with contextlib.suppress(ForbiddenError):
            await self._may_watch(POLECAT)
            informers.append(Informer(self._api, POLECAT, self._namespace, self._polecat_changed))
        self._tasks = [asyncio.create_task(informer.run()) for informer in informers]
        try:
            for informer in informers:
                await informer.synced.wait()
        except BaseException:
            await self._stop()
            raise
        if self._made:
            self._gone = {name for name in self._names if name not in self.beads}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def next_change(self, longest_seconds: float) -> None:
        """Until something has changed since the last call, or `longest_seconds` are over."""
        try:
            async with asyncio.timeout(longest_seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    def gone(self, name: str) -> bool:
        """Whether the bead was deleted."""
        return name in self._gone

    def open_names(self) -> list[str]:
        """Names of the beads that have not come to an end."""
        return [name for name in self._names if not self.gone(name) and self._outcome(name) is None]

    def succeeded(self) -> bool:
        """Whether all of them ended well."""
        return all(not self.gone(name) and self._outcome(name) is True for name in self._names)

    def _outcome(self, name: str) -> bool | None:
        return self.beads[name].succeeded if name in self.beads else None

    def _bead_changed(self, old: Json | None, new: Json | None) -> None:
        item = new if new is not None else old
        if item is None or item["metadata"]["name"] not in self._names:
            return
        bead = read_bead(item)
        self.beads[bead.name] = bead
        (self._gone.add if new is None else self._gone.discard)(bead.name)
        if bead.succeeded is None:
            self.ended.pop(bead.uid, None)
        else:
            self.ended.setdefault(bead.uid, self._clock())
        self._changed.set()

    def _polecat_changed(self, old: Json | None, new: Json | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        polecat = read_polecat(item)
        self.created.setdefault(polecat.bead_uid, self._clock())
        if new is not None:
            self.polecats[polecat.bead_uid] = polecat
        elif (known := self.polecats.get(polecat.bead_uid)) is not None and known.uid == polecat.uid:
            del self.polecats[polecat.bead_uid]
        self._changed.set()

    async def _may_watch(self, resource: ResourceType) -> None:
        """An informer tries for ever; what will never be allowed is found out here."""
        await self._api.raw(f"{resource.path(self._namespace)}?limit=1")

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
