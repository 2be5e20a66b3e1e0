"""Health and metrics for whoever operates the pod."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from polecat_town.metrics import REGISTRY


def build_operations(is_alive: Callable[[], str | None], is_ready: Callable[[], str | None]) -> Starlette:
    """Both functions give None if all is well, else a sentence that says what is not."""

    async def healthz(_: Request) -> Response:
        return _answer(is_alive())

    async def readyz(_: Request) -> Response:
        return _answer(is_ready())

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def _answer(trouble: str | None) -> Response:
    return PlainTextResponse(trouble or "ok", status_code=503 if trouble else 200)
