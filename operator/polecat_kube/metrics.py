"""What is counted of a program's requests to the API server, in figures for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Mapping

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, which nobody asks for

NO_ANSWER = "none"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_APPLY = "application/apply-patch"


class RequestMetrics:
    """Counts and times requests. Give `middleware` to every session that talks to the API server."""

    def __init__(self, program: str, registry: CollectorRegistry) -> None:
        """The figures begin with `polecat_<program>_`."""
        self._requests = Counter(
            f"polecat_{program}_api_requests_total",
            f"Requests to the API server, by verb, resource and HTTP status (`{NO_ANSWER}` without an answer).",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            f"polecat_{program}_api_request_seconds",
            "From a request to the API server until its answer begins.",
            ["verb"],
            buckets=(0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10),
            registry=registry,
        )
        self._watches = Gauge(
            f"polecat_{program}_watch_start_timestamp_seconds",
            "When the API server last agreed to a watch, in seconds since 1970; each is asked for anew after 15 s.",
            ["resource"],
            registry=registry,
        )

    async def middleware(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Measures one request; a client middleware of aiohttp."""
        content = request.headers.get("Content-Type", "")
        verb, resource = describe(request.method, request.url.path, request.url.query, content)
        begun, code = time.perf_counter(), NO_ANSWER
        try:
            response = await handler(request)
            code = str(response.status)
        finally:
            self._requests.labels(verb, resource, code).inc()
            self._seconds.labels(verb).observe(time.perf_counter() - begun)
        if verb == "watch" and response.ok:
            self._watches.labels(resource).set_to_current_time()
        return response


def describe(method: str, path: str, query: Mapping[str, str], content_type: str = "") -> tuple[str, str]:
    """(verb, resource) as rules of RBAC name them, a subresource behind a slash; `other` for what is no resource."""
    parts = [part for part in path.split("/") if part]
    at = next((place for place, part in enumerate(parts) if part in ("api", "apis")), len(parts))
    rest = parts[at + (3 if parts[at : at + 1] == ["apis"] else 2) :]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    resource = "/".join((*rest[:1], *rest[2:3])) or "other"
    if method != "GET":
        return "apply" if content_type.startswith(_APPLY) else _VERBS.get(method, method.lower()), resource
    if query.get("watch") == "true":
        return "watch", resource
    return "get" if len(rest) != 1 else "list", resource
