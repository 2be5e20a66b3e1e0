"""What people do to beads: each is one request to the API server with the token of the very person who asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_api.base import DNS_LABEL, DNS_SUBDOMAIN
from polecat_api.bead import Priority
from polecat_dashboard import metrics
from polecat_dashboard.access.identity import Principal
from polecat_dashboard.web.answers import RefusedError, answer, not_found, read_body, text_field
from polecat_dashboard.web.guard import principal_of
from polecat_dashboard.web.names import require
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.errors import ApiError, ConflictError, NotFoundError
from polecat_kube.resources import BEAD

log = logging.getLogger(__name__)
Json = dict[str, Any]
ACTION_SECONDS = 15.0
REPLACED = "this bead is not the one you were looking at any more; look again"


def suspend(_: Json) -> list[Json]:
    """Stops the work and keeps what there is."""
    return [{"op": "add", "path": "/spec/suspend", "value": True}]


def resume(_: Json) -> list[Json]:
    """Goes on."""
    return [{"op": "add", "path": "/spec/suspend", "value": False}]


def rerun(_: Json) -> list[Json]:
    """Runs a bead that has ended again."""
    return [{"op": "add", "path": "/spec/rerun", "value": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}]


def prioritise(body: Json) -> list[Json]:
    """Sets the priority. Raises RefusedError for a word that is none."""
    wanted = text_field(body, "priority", 20)
    if wanted not in {each.value for each in Priority}:
        raise RefusedError(400, f"priority must be one of {', '.join(each.value for each in Priority)}")
    return [{"op": "add", "path": "/spec/priority", "value": wanted}]


PATCHES: Mapping[str, Callable[[Json], list[Json]]] = {
    "suspend": suspend,
    "resume": resume,
    "rerun": rerun,
    "priority": prioritise,
}
CANCEL = "cancel"


class Actions:
    """`POST /api/beads/{namespace}/{name}/{action}` with the bead's `uid`, so that nobody acts on its successor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.routes = [Route("/api/beads/{namespace}/{name}/{action}", self._act, methods=["POST"])]

    def api_as(self, principal: Principal) -> KubeApi:
        """A client with this person's identity and nothing of ours."""
        server = self._connection
        theirs = Connection(server.server, ca=server.ca, insecure=server.insecure, token=principal.token)
        return KubeApi(theirs, connections=8, timeout_seconds=ACTION_SECONDS, manager="polecat-dashboard")

    async def _act(self, request: Request) -> Response:
        namespace = require(request.path_params["namespace"], DNS_LABEL)
        name = require(request.path_params["name"], DNS_SUBDOMAIN)
        action = request.path_params["action"]
        if action not in PATCHES and action != CANCEL:
            raise not_found()
        body = await read_body(request)
        uid = text_field(body, "uid", 64)
        principal = principal_of(request)
        try:
            async with self.api_as(principal) as api:
                if action == CANCEL:
                    await api.delete(BEAD, namespace, name, uid=uid)
                else:
                    same = {"op": "test", "path": "/metadata/uid", "value": uid}
                    await api.patch_json(BEAD, namespace, name, [same, *PATCHES[action](body)])
        except ApiError as error:
            metrics.ACTIONS.labels(action, "refused").inc()
            raise as_refusal(error) from None
        metrics.ACTIONS.labels(action, "done").inc()
        log.info("%s bead=%s/%s user=%s", action, namespace, name, principal.user.name)
        return answer({})


def as_refusal(error: ApiError) -> RefusedError:
    """The API server's own words, for the person whose request it was."""
    if isinstance(error, ConflictError):
        return RefusedError(409, REPLACED)
    if isinstance(error, NotFoundError):
        return not_found()
    status = error.status if 400 <= error.status < 500 else 503
    return RefusedError(status, error.message)
