"""Everything of the dashboard, wired together in this one place."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from polecat_dashboard import metrics
from polecat_dashboard.access.identity import Identifier
from polecat_dashboard.access.links import Links
from polecat_dashboard.access.local_links import serve_links
from polecat_dashboard.access.permissions import Permissions
from polecat_dashboard.access.rate import Bucket
from polecat_dashboard.access.session_file import SessionFile
from polecat_dashboard.access.sessions import Sessions
from polecat_dashboard.settings import Settings
from polecat_dashboard.sockets import bind
from polecat_dashboard.state.cluster import ClusterState
from polecat_dashboard.streams.tails import Tails
from polecat_dashboard.streams.town import Towns
from polecat_dashboard.web.actions import Actions
from polecat_dashboard.web.answers import NOT_FOUND, RefusedError, answer, refusal
from polecat_dashboard.web.beads import Beads
from polecat_dashboard.web.changes import Changes
from polecat_dashboard.web.guard import AWAY, Guard
from polecat_dashboard.web.login import Login
from polecat_dashboard.web.pages import page_routes
from polecat_dashboard.web.slinging import Slinging
from polecat_dashboard.web.streams import Streams
from polecat_http.server import Server
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.errors import ApiError
from polecat_kube.reviews import Reviews

log = logging.getLogger(__name__)
_MANAGER = "polecat-dashboard"
TRIES_BURST = 50
TRIES_PER_SECOND = 5
"""Tokens that nobody has shown lately: so many at once, and so many a second after that."""


class Dashboard:
    """`run` it; it ends when `stop` is set."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self.stop = asyncio.Event()
        self._state: ClusterState | None = None
        file = SessionFile(settings.sessions_file) if settings.sessions_file is not None else None
        self._sessions = Sessions(settings.idle_seconds, settings.session_seconds, time.time, file)
        self._links = Links(settings.link_seconds, time.monotonic)

    @property
    def ready(self) -> bool:
        """Whether it has read the cluster and answers."""
        return self._state is not None and self._state.why_not_ready() is None

    async def run(self) -> None:
        """Serves until `stop` is set. Raises OSError when an address can't be used."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            stack.callback(self._sessions.close)
            api = await stack.enter_async_context(
                KubeApi(self._connection, manager=_MANAGER, middlewares=(metrics.REQUESTS.middleware,))
            )
            towns = await stack.enter_async_context(Towns(self._connection.current_token))
            state = ClusterState(api)
            tails = Tails(state, towns)
            application = self._application(state, tails, towns, Reviews(api))
            pages = Server(application, bind(settings.host, settings.port), lifespan="off")
            stack.push_async_callback(pages.stop)
            await pages.start()
            operations = bind(*_address(settings.operations_listen))
            answers = Server(self._operations(state), operations, lifespan="off")
            stack.push_async_callback(answers.stop)
            await answers.start()
            if settings.link_socket is not None:
                await stack.enter_async_context(serve_links(settings.link_socket, self._link))
            self._state = state
            log.info("listening on %s, operations on %s", pages.address, operations.getsockname())
            parts = [asyncio.create_task(state.run(), name="state"), asyncio.create_task(tails.run(), name="tails")]
            waiting = asyncio.create_task(self.stop.wait())
            try:
                await asyncio.wait([*parts, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*parts, waiting):
                    task.cancel()
                results = await asyncio.gather(*parts, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result

    def _link(self, token: str) -> str:
        """A one-time link for this machine's own user. The code is in the fragment: no log and no proxy sees it."""
        return f"{self._base_url()}/login#{self._links.create(token)}"

    def _base_url(self) -> str:
        if self._settings.public_urls:
            return self._settings.public_urls[0]
        return f"http://{self._settings.host}:{self._settings.port}"

    def _application(self, state: ClusterState, tails: Tails, towns: Towns, reviews: Reviews) -> ASGIApp:
        permissions, origins = Permissions(reviews), self._settings.origins
        actions = Actions(self._connection)
        identifier = Identifier(reviews, self._sessions, Bucket(TRIES_BURST, TRIES_PER_SECOND, time.monotonic))
        port = self._settings.port
        routes = [
            *Login(identifier, self._sessions, self._links, origins, port).routes,
            *Changes(state, reviews, permissions, tails).routes,
            *Streams(state, permissions, towns).routes,
            *Beads(state, permissions).routes,
            *actions.routes,
            *Slinging(actions).routes,
            *page_routes(),
        ]
        inner = Starlette(
            routes=routes,
            exception_handlers={RefusedError: _refused, ApiError: _away, HTTPException: _http_error},
        )
        inner.state.ending = self.stop
        return Guard(GZipMiddleware(inner, minimum_size=1024), identifier, origins, port)

    def _operations(self, state: ClusterState) -> ASGIApp:
        async def healthz(_: Request) -> Response:
            return PlainTextResponse("ok")

        async def readyz(_: Request) -> Response:
            why = state.why_not_ready()
            return PlainTextResponse(why or "ok", 503 if why else 200)

        async def figures(_: Request) -> Response:
            metrics.SESSIONS.set(len(self._sessions))
            metrics.LIVE.set(state.live)
            for kind, count in state.counts().items():
                metrics.OBJECTS.labels(kind).set(count)
            return Response(metrics.render(), media_type="text/plain; version=0.0.4")

        return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", figures)])


async def _refused(_: Request, error: Exception) -> Response:
    return refusal(error) if isinstance(error, RefusedError) else answer({"error": NOT_FOUND}, 404)


async def _away(_: Request, error: Exception) -> Response:
    log.warning("the API server did not answer: %s", error)
    return answer({"error": AWAY}, 503)


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return answer({"error": NOT_FOUND if status == 404 else "not possible"}, status)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - as the setting asks
