"""The loopback endpoint for agents: tools at `/mcp`, model at `/model/v1/…`; each request with its JWT."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from polecat_http.server import Server
from polecat_kube.reviews import bearer
from polecat_town.endpoint.listener import bind
from polecat_town.endpoint.model_proxy import ModelProxy, ModelUser
from polecat_town.endpoint.tokens import AgentIdentity, TokenRefusedError, TokenVerifier
from polecat_town.endpoint.tools import IDENTITY, PATH, ToolTarget, build_tools

log = logging.getLogger(__name__)
MODEL_PATH = "/model/v1"


class Caller(ToolTarget, ModelUser, Protocol):
    """What a polecat's life answers for."""


class _Guard:
    """Lets a request pass only with a valid token, and notes whose it is."""

    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = bearer(Request(scope).headers.get("authorization"))
        try:
            scope[IDENTITY] = await self._verifier.identify(token)
        except TokenRefusedError as error:
            refusal = JSONResponse({"error": {"message": str(error), "code": 401}}, status_code=401)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class AgentEndpoint:
    """Serves all agents of this pod on one loopback port, which is kept over restarts if it is free."""

    def __init__(
        self, port_file: Path, verifier: TokenVerifier, find: Callable[[AgentIdentity], Caller | None]
    ) -> None:
        self._port_file = port_file
        self._find = find
        self._proxy = ModelProxy()
        tools = build_tools(find)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self._proxy.start()
            async with tools.router.lifespan_context(tools):
                yield
            await self._proxy.close()

        routes = [
            Route(MODEL_PATH + "/{path:path}", self._model, methods=["GET", "POST"]),
            Mount("/", app=tools),
        ]
        self._app = _Guard(Starlette(routes=routes, lifespan=lifespan), verifier)
        self._server: Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens; comes back when requests are answered."""
        socket = bind("127.0.0.1", 0, self._port_file)
        self.port = socket.getsockname()[1]
        self._server = Server(self._app, socket, lifespan="on")
        await self._server.start()

    async def stop(self) -> None:
        """Stops listening."""
        if self._server is not None:
            await self._server.stop()

    @property
    def tools_url(self) -> str:
        """Where agents find our tools."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def model_url(self) -> str:
        """Base URL of an OpenAI-compatible model for agents."""
        return f"http://127.0.0.1:{self.port}{MODEL_PATH}"

    async def _model(self, request: Request) -> Response:
        caller = self._find(request.scope[IDENTITY])
        if caller is None:
            return JSONResponse({"error": {"message": "this task is over"}}, status_code=401)
        return await self._proxy.handle(request, request.path_params["path"], caller)
