"""Figures of the operator for Prometheus. No label has values that grow with the objects."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from polecat_api.conditions import REASONS
from polecat_kube.metrics import RequestMetrics

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
Info("polecat_build", "Version of the program.", registry=REGISTRY).info({"version": version("polecat")})
REQUESTS = RequestMetrics("operator", REGISTRY)

ACTIONS = Counter("polecat_operator_actions_total", "Actions carried out.", ["action"], registry=REGISTRY)
CONFLICTS = Counter(
    "polecat_operator_conflicts_total",
    "Writes refused because the object had changed.",
    ["resource"],
    registry=REGISTRY,
)
FAILURES = Counter(
    "polecat_operator_failures_total", "Work that failed, to be tried again.", ["kind"], registry=REGISTRY
)
ENDINGS = Counter(
    "polecat_operator_attempts_total",
    "Attempts that ended; the outcome `infrastructure` is an interruption.",
    ["outcome", "reason"],
    registry=REGISTRY,
)
CLAIM_SECONDS = Histogram(
    "polecat_operator_claim_seconds",
    "From the creation of a bead, which is known to the second, until a pod has claimed its first polecat.",
    buckets=(1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400),
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "polecat_operator_reconcile_seconds",
    "Time that one piece of work took, requests included.",
    ["kind"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)
QUEUE_LENGTH = Gauge(
    "polecat_operator_queue_length", "Objects that wait to be looked at, by urgency.", ["lane"], registry=REGISTRY
)
QUEUE_SECONDS = Gauge(
    "polecat_operator_queue_oldest_seconds",
    "How long the first object of a lane has been waiting to be looked at.",
    ["lane"],
    registry=REGISTRY,
)
LEADER = Gauge("polecat_operator_leader", "1 while this process acts, 0 while it stands by.", registry=REGISTRY)
LEASE_AGE_SECONDS = Gauge(
    "polecat_operator_lease_age_seconds",
    "Since this process last renewed the Lease; 0 while it stands by.",
    registry=REGISTRY,
)
BEADS = Gauge(
    "polecat_operator_beads",
    "Beads that exist, by phase and by reason of Ready.",
    ["phase", "reason"],
    registry=REGISTRY,
)
OLDEST_WAITING_SECONDS = Gauge(
    "polecat_operator_oldest_waiting_bead_seconds",
    "How long the bead whose turn is next has been waiting for a slot, its rig or its town; the longest of all rigs.",
    registry=REGISTRY,
)
POLECATS = Gauge("polecat_operator_polecats", "Polecats that exist.", ["state"], registry=REGISTRY)
RIGS = Gauge(
    "polecat_operator_rigs", "Rigs that exist, by their condition Ready.", ["ready", "reason"], registry=REGISTRY
)
TOWNS = Gauge(
    "polecat_operator_towns", "Towns that exist, by their condition Ready.", ["ready", "reason"], registry=REGISTRY
)
OPEN_BREAKERS = Gauge(
    "polecat_operator_open_breakers", "Rigs and towns on which nothing starts now.", ["scope"], registry=REGISTRY
)
BREAKER_OPENINGS = Counter(
    "polecat_operator_breaker_openings_total", "How often a breaker has opened.", ["scope"], registry=REGISTRY
)
DROPPED_EVENTS = Counter(
    "polecat_operator_dropped_events_total", "Events not posted, as too many were waiting.", registry=REGISTRY
)
UNREADABLE = Counter("polecat_operator_unreadable_total", "Objects that can't be read.", ["kind"], registry=REGISTRY)

# From the start, so that the first time that something happens is seen as a change.
for _reason, _info in REASONS.items():
    if _info.outcome is not None:
        ENDINGS.labels(_info.outcome, _reason)
for _scope in ("rig", "town"):
    BREAKER_OPENINGS.labels(_scope)


def render() -> bytes:
    """The exposition text of all figures."""
    return generate_latest(REGISTRY)
