"""The page itself: one HTML file for all its addresses, and the files that it is made of."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent.parent / "static"
ADDRESSES = (
    "/",
    "/beads",
    "/beads/{namespace}/{name}",
    "/polecats/{namespace}/{name}",
    "/streams/{namespace}/{bead}/{attempt:int}",
    "/places",
    "/sling",
    "/login",
)
"""What the page's own router knows; everything else is not found."""


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        # Asked for again each time and answered with 304: a new version of the dashboard is seen at once.
        response.headers["cache-control"] = "no-cache"
        return response


def page_routes() -> list[BaseRoute]:
    """Routes for all that needs no identity."""

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    return [*(Route(address, page) for address in ADDRESSES), Mount("/static", _Files(directory=STATIC))]
