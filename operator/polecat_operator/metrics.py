"""Figures of the operator for Prometheus. No label has values that grow with the objects."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

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
    "Attempts that ended.",
    ["outcome", "reason"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "polecat_operator_reconcile_seconds",
    "Time that one piece of work took, requests included.",
    ["kind"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)
QUEUE_LENGTH = Gauge("polecat_operator_queue_length", "Objects that wait to be looked at.", registry=REGISTRY)
LEADER = Gauge("polecat_operator_leader", "1 while this process acts, 0 while it stands by.", registry=REGISTRY)
BEADS = Gauge("polecat_operator_beads", "Beads that exist.", registry=REGISTRY)
POLECATS = Gauge("polecat_operator_polecats", "Polecats that exist.", registry=REGISTRY)
UNREADABLE = Counter("polecat_operator_unreadable_total", "Objects that can't be read.", ["kind"], registry=REGISTRY)


def render() -> bytes:
    """The exposition text of all figures."""
    return generate_latest(REGISTRY)
