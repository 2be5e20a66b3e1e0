"""`POST /api/sling`: several beads from a form or from pasted YAML or Markdown, as the person who asks."""

from __future__ import annotations

import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polecat_api.base import DNS_LABEL
from polecat_api.bead import Priority
from polecat_dashboard import metrics
from polecat_dashboard.web.actions import Actions, as_refusal
from polecat_dashboard.web.answers import RefusedError, answer, read_body, text_field
from polecat_dashboard.web.guard import principal_of
from polecat_dashboard.web.names import require
from polecat_kube.errors import ApiError
from polecat_sling.draft import Draft, InputError, Order, make_order
from polecat_sling.reading import read_text
from polecat_sling.send import Refused, check, send, without_doubles

log = logging.getLogger(__name__)
PASTE = "what you pasted"
BEADS_MAX = 500
TEXT_MAX_LENGTH = 1_000_000


class Slinging:
    """All beads are checked by dry runs first; none is made if one can't be."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self.routes = [Route("/api/sling", self._sling, methods=["POST"])]

    async def _sling(self, request: Request) -> Response:
        body = await read_body(request)
        namespace = require(text_field(body, "namespace", 63), DNS_LABEL)
        rig = require(text_field(body, "rig", 63), DNS_LABEL)
        try:
            orders = read_orders(body, rig)
        except InputError as error:
            raise RefusedError(400, str(error)) from None
        principal = principal_of(request)
        unique, refused = without_doubles(orders)
        try:
            async with self._actions.api_as(principal) as api:
                refused += await check(api, namespace, unique)
                if refused or body.get("dryRun") is True:
                    return answer({"checked": [order.name for order in unique], "refused": _words(refused)})
                sent, failed = await send(api, namespace, unique)
        except ApiError as error:
            metrics.ACTIONS.labels("sling", "refused").inc()
            raise as_refusal(error) from None
        metrics.ACTIONS.labels("sling", "done").inc(len(sent))
        log.info("sling namespace=%s beads=%d user=%s", namespace, len(sent), principal.user.name)
        made = [{"name": each.order.name, "outcome": each.outcome.value, "note": each.note} for each in sent]
        return answer({"made": made, "refused": _words(failed)})


def read_orders(body: dict[str, Any], rig: str) -> list[Order]:
    """The beads of a form (`title`, `prompt`, …) or of a `text`. Raises InputError and RefusedError 400."""
    priority = text_field(body, "priority", 20) if body.get("priority") else None
    if priority is not None and priority not in {each.value for each in Priority}:
        raise RefusedError(400, f"priority must be one of {', '.join(each.value for each in Priority)}")
    depends = body.get("dependsOn") or []
    if not isinstance(depends, list) or not all(isinstance(bead, str) for bead in depends):
        raise RefusedError(400, "dependsOn must be a list of bead names")
    if body.get("text") is not None:
        drafts = read_text(rig, text_field(body, "text", TEXT_MAX_LENGTH), PASTE)
    else:
        title = text_field(body, "title", 1000).strip()
        if not title:
            raise InputError("a bead needs a title")
        drafts = [Draft("the form", title, text_field(body, "prompt", TEXT_MAX_LENGTH).strip() or title)]
    if len(drafts) > BEADS_MAX:
        raise InputError(f"{len(drafts)} beads at once are too many; {BEADS_MAX} is the most")
    chosen = Priority(priority) if priority is not None else None
    return [make_order(draft, rig, chosen, tuple(depends)) for draft in drafts]


def _words(refused: list[Refused]) -> list[dict[str, str]]:
    return [{"source": each.order.source, "name": each.order.name, "why": each.why} for each in refused]
