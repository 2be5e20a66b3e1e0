"""What a soak gives: figures for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one soak."""

    seed: int
    minutes: float
    beads: dict[str, int]
    """By reason of the end, or of waiting."""
    deleted: int
    attempts: int
    interruptions: int
    wishes: dict[str, int]
    faults: dict[str, int]
    faults_left_out: int
    """Their part was at fault already."""
    restarts: dict[str, int]
    commits: int
    """That agents have entered in the ledger."""
    commits_in_store_only: int
    """Saved while their remote was away, or refused them."""
    looks: int
    violations: list[str]
    """Of the oracle."""
    open_books: list[str]
    """What was lost, or left over."""

    def to_json(self) -> str:
        """One JSON line."""
        return json.dumps(asdict(self))

    @property
    def clean(self) -> bool:
        """Whether nothing was violated, lost or left over."""
        return not self.violations and not self.open_books


def print_figures(figures: Figures) -> None:
    """A table, what is wrong, and a JSON line."""
    table = Table(title=f"Soak of {figures.minutes:g} minutes, SEED={figures.seed}")
    table.add_column("what")
    table.add_column("how many", justify="right")
    table.add_column("of which")
    rows: list[tuple[str, int, Any]] = [
        ("beads", sum(figures.beads.values()), figures.beads),
        ("deleted beads", figures.deleted, ""),
        ("attempts by agents", figures.attempts, ""),
        ("interruptions", figures.interruptions, ""),
        ("wishes of users", sum(figures.wishes.values()), figures.wishes),
        ("faults", sum(figures.faults.values()), figures.faults),
        ("restarts", sum(figures.restarts.values()), figures.restarts),
        ("commits of agents", figures.commits, {"in the store only": figures.commits_in_store_only}),
        ("looks of the oracle", figures.looks, ""),
        ("violations", len(figures.violations), ""),
        ("lost or left over", len(figures.open_books), ""),
    ]
    for what, count, parts in rows:
        text = ", ".join(f"{name} {number}" for name, number in Counter(parts).most_common()) if parts else ""
        table.add_row(what, str(count), text)
    Console(width=120).print(table)
    for line in (*figures.violations, *figures.open_books):
        print(line)
    print(figures.to_json(), flush=True)
