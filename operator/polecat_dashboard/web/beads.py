"""One bead in full."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_dashboard.access.permissions import Permissions
from polecat_dashboard.state.cluster import ClusterState
from polecat_dashboard.state.detail import bead_detail
from polecat_dashboard.web.answers import answer, forbidden, not_found
from polecat_dashboard.web.guard import principal_of


class Beads:
    """`GET /api/beads/{namespace}/{name}`: the prompt is shown to who may get the bead."""

    def __init__(self, state: ClusterState, permissions: Permissions) -> None:
        self._state = state
        self._permissions = permissions
        self.routes = [Route("/api/beads/{namespace}/{name}", self._bead)]

    async def _bead(self, request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        if not await self._permissions.may_get(principal_of(request).user, "beads", namespace, name):
            raise forbidden()
        item = self._state.raw("beads", namespace, name)
        if item is None:
            raise not_found()
        return answer(bead_detail(item))
