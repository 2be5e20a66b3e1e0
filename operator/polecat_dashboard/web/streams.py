"""One agent's stream, passed on from the town as fast as the reader takes it; and which streams a bead has."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_api.untrusted import Json, section, text
from polecat_dashboard import metrics
from polecat_dashboard.access.permissions import Permissions
from polecat_dashboard.state.cluster import ClusterState
from polecat_dashboard.streams.town import StreamMissingError, TownAwayError, Towns
from polecat_dashboard.web.answers import RefusedError, answer, answer_json, forbidden, not_found
from polecat_dashboard.web.event_stream import EventStream
from polecat_dashboard.web.guard import principal_of

_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")
AWAY = "the town that has the stream can't be reached now"
UNREAD = "what has changed can't be read now"


class Streams:
    """Routes below `/api/streams`. A bead is found by its name, so that nothing of a path reaches a town unchecked."""

    def __init__(self, state: ClusterState, permissions: Permissions, towns: Towns) -> None:
        self._state = state
        self._permissions = permissions
        self._towns = towns
        self.routes = [
            Route("/api/streams/{namespace}/{bead}", self._list),
            Route("/api/streams/{namespace}/{bead}/{attempt:int}", self._stream),
            Route("/api/streams/{namespace}/{bead}/{attempt:int}/download", self._download),
            Route("/api/streams/{namespace}/{bead}/{attempt:int}/changes", self._changes),
        ]

    async def _list(self, request: Request) -> Response:
        bead = await self._bead(request)
        kept = await self._towns.kept(self._urls(bead), text(section(bead, "metadata"), "uid"))
        return answer(
            [{"attempt": each.attempt, "first": each.first, "last": each.last, "ended": each.ended} for each in kept]
        )

    async def _stream(self, request: Request) -> Response | EventStream:
        after = _after(request)
        chunks, stack = await self._open(request, after=after, download=False)
        metrics.STREAM_READERS.inc()
        return EventStream(_pass_on(chunks, stack), on_end=metrics.STREAM_READERS.dec)

    async def _download(self, request: Request) -> Response | EventStream:
        chunks, stack = await self._open(request, after=0, download=True)
        bead, attempt = request.path_params["bead"], request.path_params["attempt"]
        name = _FILE_NAME.sub("_", f"{bead}-{attempt}.jsonl")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return EventStream(_pass_on(chunks, stack), media_type="application/x-ndjson", headers=headers)

    async def _changes(self, request: Request) -> Response:
        """What the attempt has changed; the pod asks Git for it now."""
        bead = await self._bead(request)
        uid, attempt = text(section(bead, "metadata"), "uid"), request.path_params["attempt"]
        commits_only = "commits" in request.query_params
        for url in await self._candidates(bead, uid, attempt):
            try:
                return answer_json(await self._towns.changes(url, uid, attempt, commits_only=commits_only))
            except StreamMissingError:
                continue
            except TownAwayError:
                raise RefusedError(502, UNREAD) from None
        raise not_found()

    async def _open(
        self, request: Request, *, after: int, download: bool
    ) -> tuple[AsyncIterator[bytes], AsyncExitStack]:
        bead = await self._bead(request)
        uid, attempt = text(section(bead, "metadata"), "uid"), request.path_params["attempt"]
        for url in await self._candidates(bead, uid, attempt):
            stack = AsyncExitStack()
            try:
                chunks = await stack.enter_async_context(
                    self._towns.open(url, uid, attempt, after=after, download=download)
                )
            except StreamMissingError:
                continue
            except TownAwayError:
                raise RefusedError(502, AWAY) from None
            return chunks, stack
        raise not_found()

    async def _candidates(self, bead: Json, uid: str, attempt: int) -> list[str]:
        """Base URLs of pods that may have the stream: that of the polecat at work, else those which say so."""
        namespace = text(section(bead, "metadata"), "namespace")
        for view in self._state.views("polecats"):
            if view["beadUID"] == uid and view["attempt"] == attempt:
                return self._state.stream_urls(namespace, view["town"], view["pod"])
        return [kept.url for kept in await self._towns.kept(self._urls(bead), uid) if kept.attempt == attempt]

    def _urls(self, bead: Json) -> list[str]:
        namespace = text(section(bead, "metadata"), "namespace")
        rig = self._state.raw("rigs", namespace, text(section(section(bead, "spec"), "rigRef"), "name")) or {}
        return self._state.stream_urls(namespace, text(section(section(rig, "spec"), "townRef"), "name"))

    async def _bead(self, request: Request) -> Json:
        namespace, name = request.path_params["namespace"], request.path_params["bead"]
        if not await self._permissions.may_read_stream(principal_of(request).user, namespace):
            raise forbidden()
        bead = self._state.raw("beads", namespace, name)
        if bead is None:
            raise not_found()
        return bead


def _after(request: Request) -> int:
    """The number of the last event that the reader has: `Last-Event-ID` wins over `from`."""
    last, start = request.headers.get("last-event-id", ""), request.query_params.get("from", "1")
    if last.isascii() and last.isdigit() and len(last) < 16:
        return int(last)
    return max(0, int(start) - 1) if start.isascii() and start.isdigit() and len(start) < 16 else 0


async def _pass_on(chunks: AsyncIterator[bytes], stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    try:
        async with stack:
            async for chunk in chunks:
                yield chunk
    except TownAwayError:
        return  # the reader comes back with its last id
