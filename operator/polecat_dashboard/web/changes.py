"""`/api/changes`: the whole state, then each change, and the last lines of every agent, over one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_dashboard import metrics
from polecat_dashboard.access.identity import Principal
from polecat_dashboard.access.permissions import Permissions
from polecat_dashboard.state.cluster import ClusterState
from polecat_dashboard.state.scope import Scope
from polecat_dashboard.streams.tails import TailReader, Tails
from polecat_dashboard.web.answers import RefusedError, answer
from polecat_dashboard.web.event_stream import EventStream, event, json_event
from polecat_dashboard.web.guard import AWAY, principal_of
from polecat_kube.errors import ApiError
from polecat_kube.reviews import Reviews

PULSE_SECONDS = 10.0
"""How often a reader hears from us when nothing happens, and how old the data is."""
REVIEW_SECONDS = 30.0
"""How often the reader's rights are looked at again."""


class Changes:
    """The route of what moves, and of what somebody may do."""

    def __init__(self, state: ClusterState, reviews: Reviews, permissions: Permissions, tails: Tails) -> None:
        self._state = state
        self._reviews = reviews
        self._permissions = permissions
        self._tails = tails
        self.routes = [
            Route("/api/changes", self._changes),
            Route("/api/permissions/{namespace}", self._actions),
        ]

    async def _actions(self, request: Request) -> Response:
        namespace = request.path_params["namespace"]
        return answer(await self._permissions.actions(principal_of(request).user, namespace))

    async def _changes(self, request: Request) -> Response | EventStream:
        principal = principal_of(request)
        try:
            scope = await self._scope(principal)
        except ApiError:
            raise RefusedError(503, AWAY) from None
        epoch, _, number = request.headers.get("last-event-id", "").partition("-")
        since = int(number) if epoch == self._state.epoch and number.isdigit() else None
        metrics.VIEWERS.inc()
        return EventStream(
            self._follow(principal, scope, since, request.query_params.get("tails") == "1"), on_end=metrics.VIEWERS.dec
        )

    async def _scope(self, principal: Principal) -> Scope:
        return await self._permissions.scope(principal.user, self._state.namespaces())

    async def _follow(
        self, principal: Principal, scope: Scope, since: int | None, with_tails: bool
    ) -> AsyncGenerator[bytes, None]:
        reader = self._tails.reader() if with_tails else None
        try:
            async with aclosing(self._parts(principal, scope, since, reader)) as parts:
                async for part in parts:
                    yield part
        finally:
            if reader is not None:
                reader.close()

    async def _parts(
        self, principal: Principal, scope: Scope, since: int | None, reader: TailReader | None
    ) -> AsyncGenerator[bytes, None]:
        number = -1 if since is None else since
        reviewed = pulsed = time.monotonic()
        yield self._pulse(scope)
        while True:
            batches = self._state.feed.after(number) if number >= 0 else None
            if batches is None:
                number = self._state.feed.number
                yield event("snapshot", self._state.snapshot(scope), self._id(number))
            else:
                for batch in batches:
                    number = batch.number
                    if (text := batch.encode(scope)) != "[]":
                        yield event("changes", text, self._id(number))
            if reader is not None and (lines := reader.read(scope)):
                yield event("tails", lines)
            now = time.monotonic()
            if now - pulsed >= PULSE_SECONDS:
                pulsed = now
                yield self._pulse(scope)
            if now - reviewed >= REVIEW_SECONDS:
                reviewed = now
                try:
                    if await self._reviews.identify(principal.token) is None:
                        yield json_event("signed-out", {})
                        return
                    fresh = await self._scope(principal)
                except ApiError:
                    fresh = scope  # asked again next time; what has been shown is known to the reader anyway
                if fresh != scope:
                    scope, number = fresh, -1
                    yield self._pulse(scope)
                    continue
            await self._wait(number, reader is not None)

    async def _wait(self, number: int, tails: bool) -> None:
        # With tails there is something new four times a second anyway.
        if tails:
            await asyncio.sleep(self._tails.interval_seconds)
        else:
            await self._state.feed.wait(number, PULSE_SECONDS)

    def _id(self, number: int) -> str:
        return f"{self._state.epoch}-{number}"

    def _pulse(self, scope: Scope) -> bytes:
        return json_event(
            "pulse",
            {
                "now": round(time.time(), 3),
                "live": self._state.live,
                "heard": round(self._state.heard_at, 3),
                "kinds": sorted(scope.everywhere | {kind for kind, _ in scope.places}),
                "namespaces": sorted(self._state.namespaces_in(scope)),
                "all": bool(scope.everywhere),
                "streams": sorted(scope.streams),
            },
        )
