"""Metrics of the supervisor. No label has values that grow with objects."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

CLAIMS = Counter("polecat_town_claims_total", "Polecats claimed by this pod.", registry=REGISTRY)
REFUSED_CLAIMS = Counter(
    "polecat_town_refused_claims_total", "Claims not made, by cause.", ["cause"], registry=REGISTRY
)
ENDS = Counter("polecat_town_ends_total", "Attempts that ended, by reason.", ["reason"], registry=REGISTRY)
POLECATS = Gauge("polecat_town_polecats", "Polecats that this pod has in hand.", registry=REGISTRY)
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
NUDGES = Counter("polecat_town_nudges_total", "Prompts to go on.", registry=REGISTRY)
SAVES = Counter("polecat_town_saves_total", "Unfinished work saved, by where it is.", ["where"], registry=REGISTRY)
MODEL_REQUESTS = Counter(
    "polecat_town_model_requests_total", "Requests to model endpoints through the proxy, by outcome.", ["outcome"],
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
LEASE_AGE_SECONDS = Gauge("polecat_town_lease_age_seconds", "Since this pod last renewed its Lease.", registry=REGISTRY)
