"""Figures, their spread over the rounds, and what the peers reached in the same measurement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

PEERS = {
    ("apply → polecat created, p50", 50): "agent-sandbox 178–319, kelos 505, gastown-operator 771 ms",
    ("apply → polecat created, p99", 50): "agent-sandbox 488–560, kelos 832, gastown-operator 1032 ms",
    ("apply → claimed, p50", 50): "agent-sandbox 336–541, gastown-operator 809, kelos 2158 ms",
    ("apply → claimed, p99", 50): "agent-sandbox 543–651, gastown-operator 1064, kelos 5092 ms",
    ("claimed a second", 50): "agent-sandbox 67–70, kelos 10–55, gastown-operator 41 /s",
    ("apply → polecat created, p50", 1): "agent-sandbox 13 ms",
    ("apply → claimed, p50", 1): "agent-sandbox 18 ms",
    ("writes, all parties, without Events and heartbeats", 20): "gastown-operator 11.3, kelos 16.8, agent-sandbox 22",
    ("resident memory, operator", 0): "kelos 60, gastown-operator 61, agent-sandbox 62 MiB",
}
"""Measured in November 2026 on 2 cores, embedded kube-apiserver 1.36.3, pods that cost nothing; sources of August
2026. Where they have no claim, it is the pod that runs."""
AIMS = {
    ("apply → claimed, p50", 50): 200.0,
    ("apply → claimed, p99", 50): 450.0,
    ("claimed a second", 50): 100.0,
    ("apply → claimed, p50", 1): 20.0,
    ("writes, all parties, without Events and heartbeats", 20): 12.0,
    ("resident memory, operator", 0): 80.0,
    ("resident memory, operator", 10000): 150.0,
    ("operator started → first action", 0): 3.0,
    ("operator started → first action", 1000): 3.0,
    ("operator started → first action", 10000): 10.0,
    ("supervisor killed → all agents resumed", 1): 10.0,
    ("supervisor killed → all agents resumed", 5): 10.0,
    ("supervisor killed → all agents resumed", 25): 10.0,
    ("API server back after 120 s → all caught up", 6): 10.0,
    ("connections reset → noticed by the operator", 1): 30.0,
    ("connections reset → noticed by the town", 1): 30.0,
    ("connections dead without a word → noticed by the operator", 1): 30.0,
    ("connections dead without a word → noticed by the town", 1): 30.0,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    what: str
    size: int
    """How many beads: at once, in turn, or stored."""
    round: int
    value: float
    unit: str

    def to_json(self) -> dict[str, Any]:
        """One JSON line."""
        return {**asdict(self), "value": round(self.value, 2)}


def percentile(values: list[float], share: int) -> float:
    """The value below which `share` per cent lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-share * len(ordered) // 100) - 1)]


def print_report(figures: list[Figure]) -> None:
    """The table: median and spread of the rounds, the aim, the peers."""
    table = Table("figure", "beads", "median", "spread", "aim", "peers, same measurement", box=None, pad_edge=False)
    for column in (1, 2, 3, 4):
        table.columns[column].justify = "right"
    for (what, size), group in groupby(figures_in_order(figures), key=lambda figure: (figure.what, figure.size)):
        rows = list(group)
        values = sorted(row.value for row in rows)
        median = values[len(values) // 2]
        spread = f"{values[0]:.1f}–{values[-1]:.1f}" if len(values) > 1 else ""
        aim = AIMS.get((what, size))
        table.add_row(
            what,
            str(size),
            f"{median:.1f} {rows[0].unit}",
            spread,
            f"{aim:g}" if aim is not None else "",
            PEERS.get((what, size), ""),
        )
    Console(width=170).print(table)


def figures_in_order(figures: list[Figure]) -> list[Figure]:
    """Rounds of one figure side by side, in the order of their first appearance."""
    places: dict[tuple[str, int], int] = {}
    for figure in figures:
        places.setdefault((figure.what, figure.size), len(places))
    return sorted(figures, key=lambda figure: places[figure.what, figure.size])
