"""Posts Events in the background, in order, a few at a time, and never in the way of anything else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from polecat_kube.api import KubeApi
from polecat_kube.events import post_event
from polecat_kube.resources import BEAD, ResourceType
from polecat_operator.actions import Note
from polecat_operator.clock import Clock
from polecat_operator.metrics import DROPPED_EVENTS
from polecat_operator.queue import PATIENCE_SECONDS, KeyedQueue

COMPONENT = "polecat-operator"
BACKLOG = 2000
"""Events that wait at most; what comes on top is dropped, as Events are a courtesy."""

CALM_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Posting:
    namespace: str
    name: str
    uid: str
    note: Note
    resource: ResourceType


class EventPoster:
    """Takes notes about beads and towns and posts them as Events."""

    def __init__(self, api: KubeApi, work: KeyedQueue, clock: Clock) -> None:
        self._api = api
        self._work = work
        self._clock = clock
        self._queue: asyncio.Queue[_Posting] = asyncio.Queue(BACKLOG)

    async def _until_calm(self) -> None:
        """Lets urgent work go first, for a while."""
        for _ in range(int(PATIENCE_SECONDS / CALM_POLL_SECONDS)):
            if not self._work.urgent:
                return
            await asyncio.sleep(CALM_POLL_SECONDS)

    def post(self, namespace: str, name: str, uid: str, note: Note, resource: ResourceType = BEAD) -> None:
        """Hands a note over; never waits."""
        try:
            self._queue.put_nowait(_Posting(namespace, name, uid, note, resource))
        except asyncio.QueueFull:
            DROPPED_EVENTS.inc()

    async def run(self) -> None:
        """Posts until cancelled."""
        while True:
            each = await self._queue.get()
            await self._until_calm()
            await post_event(
                self._api,
                each.resource,
                each.namespace,
                each.name,
                each.uid,
                type_=each.note.type,
                reason=each.note.reason,
                message=each.note.message,
                component=COMPONENT,
                now=self._clock.now(),
            )
