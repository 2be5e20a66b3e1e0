"""Figures of the dashboard for Prometheus."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, ProcessCollector, generate_latest

from polecat_kube.metrics import RequestMetrics

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
Info("polecat_build", "Version of the program.", registry=REGISTRY).info({"version": version("polecat")})
REQUESTS = RequestMetrics("dashboard", REGISTRY)

VIEWERS = Gauge("polecat_dashboard_viewers", "Open connections that follow the changes.", registry=REGISTRY)
STREAM_READERS = Gauge(
    "polecat_dashboard_stream_readers", "Open connections that read one agent's stream.", registry=REGISTRY
)
UPSTREAMS = Gauge("polecat_dashboard_upstreams", "Streams that are read from towns for tiles.", registry=REGISTRY)
SESSIONS = Gauge("polecat_dashboard_sessions", "Signed-in browsers.", registry=REGISTRY)
LIVE = Gauge(
    "polecat_dashboard_live", "1 while all that is shown is kept up to date, 0 while the API server is away.",
    registry=REGISTRY,
)  # fmt: skip
OBJECTS = Gauge("polecat_dashboard_objects", "Objects that are watched.", ["kind"], registry=REGISTRY)
REFUSED = Counter("polecat_dashboard_refused_total", "Requests that were refused.", ["why"], registry=REGISTRY)
ACTIONS = Counter("polecat_dashboard_actions_total", "What people did.", ["action", "outcome"], registry=REGISTRY)


def render() -> bytes:
    """The exposition text of all figures."""
    return generate_latest(REGISTRY)
