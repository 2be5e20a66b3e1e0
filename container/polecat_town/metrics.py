"""Metrics of the supervisor. No label has values that grow with objects."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from polecat_api.conditions import REASONS
from polecat_kube.metrics import RequestMetrics

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
Info("polecat_build", "Version of the program.", registry=REGISTRY).info({"version": version("polecat")})
REQUESTS = RequestMetrics("town", REGISTRY)

CLAIMS = Counter("polecat_town_claims_total", "Polecats claimed by this pod.", registry=REGISTRY)
REFUSED_CLAIMS = Counter(
    "polecat_town_refused_claims_total", "Claims not made, by cause.", ["cause"], registry=REGISTRY
)
ENDS = Counter("polecat_town_ends_total", "Attempts that ended, by reason.", ["reason"], registry=REGISTRY)
SLOTS = Gauge("polecat_town_slots", "Polecats that this pod may have in hand.", registry=REGISTRY)
POLECATS = Gauge("polecat_town_polecats", "Polecats that this pod has in hand.", registry=REGISTRY)
AGENTS = Gauge(
    "polecat_town_agents", "Polecats that this pod has in hand, by the step that is behind them.", ["step"],
    registry=REGISTRY,
)  # fmt: skip
STATE = Gauge(
    "polecat_town_state", "1 for the state that the pod is in: `Ok`, or why it takes no work.", ["state"],
    registry=REGISTRY,
)  # fmt: skip
REFUSED_REPORTS = Counter(
    "polecat_town_refused_reports_total", "Reports for a Polecat that is no longer current.", registry=REGISTRY
)
FAILED_REPORTS = Counter(
    "polecat_town_failed_reports_total", "Reports that the API server did not take; they are repeated.",
    registry=REGISTRY,
)  # fmt: skip
REFUSED_TOKENS = Counter(
    "polecat_town_refused_tokens_total", "Requests of agents refused, by cause.", ["cause"], registry=REGISTRY
)
REPORT_AGE_SECONDS = Gauge(
    "polecat_town_report_age_seconds",
    "Since the API server last took the status of a polecat that is at work; the longest of all.", registry=REGISTRY,
)  # fmt: skip
LOOP_LAG_SECONDS = Histogram(
    "polecat_town_loop_lag_seconds", "How late the supervisor came to what it wants to do every second.",
    registry=REGISTRY, buckets=(0.01, 0.05, 0.2, 1, 5),
)  # fmt: skip
NUDGES = Counter("polecat_town_nudges_total", "Prompts to go on.", registry=REGISTRY)
SAVES = Counter("polecat_town_saves_total", "Unfinished work saved, by where it is.", ["where"], registry=REGISTRY)
MODEL_REQUESTS = Counter(
    "polecat_town_model_requests_total", "Requests to model endpoints through the proxy, by outcome.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
GIT_SECONDS = Histogram(
    "polecat_town_git_seconds", "Time of work with Git, by what it was for.", ["operation"], registry=REGISTRY,
    buckets=(0.05, 0.2, 0.5, 1, 3, 10, 30, 120, 600),
)  # fmt: skip
GIT_FAILURES = Counter(
    "polecat_town_git_failures_total", "Work with Git that did not succeed, by what it was for.", ["operation"],
    registry=REGISTRY,
)  # fmt: skip
PUSHES = Counter(
    "polecat_town_pushes_total", "Pushes of finished work, by what the remote showed afterwards.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
START_SECONDS = Histogram(
    "polecat_town_start_seconds", "From the claim to the first prompt.", registry=REGISTRY,
    buckets=(0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128),
)  # fmt: skip
STREAM_EVENTS = Counter("polecat_town_stream_events_total", "Events of agents written down.", registry=REGISTRY)
LOST_STREAM_EVENTS = Counter(
    "polecat_town_lost_stream_events_total", "Events that the volume did not take.", registry=REGISTRY
)
STREAM_BYTES = Counter("polecat_town_stream_bytes_total", "Bytes written to journals.", registry=REGISTRY)
STORED_STREAM_BYTES = Gauge(
    "polecat_town_stored_stream_bytes", "Size of all journals on the volume, looked at every ten minutes.",
    registry=REGISTRY,
)  # fmt: skip
REDACTIONS = Counter(
    "polecat_town_redactions_total", "Secrets taken out of what is written or shown.", registry=REGISTRY
)
STREAM_READERS = Gauge("polecat_town_stream_readers", "Who reads streams now.", registry=REGISTRY)
DROPPED_STREAM_READERS = Counter(
    "polecat_town_dropped_stream_readers_total", "Readers of streams sent away, by cause.", ["cause"],
    registry=REGISTRY,
)  # fmt: skip
REFUSED_STREAM_READERS = Counter(
    "polecat_town_refused_stream_readers_total", "Requests for streams refused, by HTTP status.", ["status"],
    registry=REGISTRY,
)  # fmt: skip
AGENT_MEMORY_BYTES = Gauge(
    "polecat_town_agents_memory_bytes", "Memory of all agents with their children.", registry=REGISTRY
)
MEMORY_STOPS = Counter(
    "polecat_town_memory_stops_total", "Agents stopped for their memory, by whose limit was near: agent or container.",
    ["limit"], registry=REGISTRY,
)  # fmt: skip
EGRESS_CONNECTIONS = Counter(
    "polecat_town_egress_connections_total", "Connections of agents through the proxy, by outcome.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
AGENT_CPU_CORES = Gauge(
    "polecat_town_agents_cpu_cores", "CPU that all agents with their children use.", registry=REGISTRY
)
MEMORY_BYTES = Gauge("polecat_town_memory_bytes", "Memory that the container uses.", registry=REGISTRY)
MEMORY_LIMIT_BYTES = Gauge(
    "polecat_town_memory_limit_bytes", "Memory that it may use; that of the machine where there is no limit.",
    registry=REGISTRY,
)  # fmt: skip
VOLUME_FREE_BYTES = Gauge("polecat_town_volume_free_bytes", "Room left on the volume.", registry=REGISTRY)
VOLUME_SIZE_BYTES = Gauge("polecat_town_volume_size_bytes", "Size of the volume.", registry=REGISTRY)
LEASE_AGE_SECONDS = Gauge("polecat_town_lease_age_seconds", "Since this pod last renewed its Lease.", registry=REGISTRY)

# From the start, so that the first time that something happens is seen as a change.
for _reason, _info in REASONS.items():
    if _info.outcome is not None:
        ENDS.labels(_reason)
for _operation in ("probe", "fetch", "worktree", "takeover", "push", "save"):
    GIT_FAILURES.labels(_operation)
for _outcome in ("ok", "rejected", "unreachable", "lied"):
    PUSHES.labels(_outcome)
for _limit in ("agent", "container"):
    MEMORY_STOPS.labels(_limit)
for _outcome in ("passed", "refused", "failed"):
    EGRESS_CONNECTIONS.labels(_outcome)
for _where in ("remote", "store"):
    SAVES.labels(_where)
