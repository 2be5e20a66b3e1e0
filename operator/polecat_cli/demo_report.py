"""What the demo prints at its end: what has arrived in the repository, and how long each step took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polecat_api.names import display_name
from polecat_cli.demo_timeline import STEPS, Timeline, offsets
from polecat_cli.views import BeadView
from polecat_local.demo.repository import Arrived

COMMIT_LENGTH = 10
PLAIN_WIDTH = 140
"""Columns when the output is no terminal, so that no cell is cut."""


@dataclass(frozen=True)
class Ending:
    """How one bead ended."""

    bead: BeadView
    arrived: Arrived | None
    """What its branch in the bare repository holds."""
    timeline: Timeline

    @property
    def well(self) -> bool:
        """Whether it succeeded, and the repository holds the very commit that its status names."""
        return self.bead.succeeded is True and self.arrived is not None and self.arrived.commit == self.bead.head_commit


def print_report(console: Console, endings: Sequence[Ending], repository: str) -> None:
    """Writes both parts."""
    console.print()
    console.print(Text(f"What has arrived in {repository}", "bold"), soft_wrap=True)
    for ending in endings:
        _print_ending(console, ending)
    console.print()
    console.print(Text("Seconds since the beads were applied", "bold"))
    console.print(timeline_table(endings))
    arrived = sum(ending.well for ending in endings)
    style = "bold green" if arrived == len(endings) else "bold red"
    console.print()
    console.print(Text(f"{arrived} of {len(endings)} have arrived", style))


def timeline_table(endings: Sequence[Ending]) -> Table:
    """Beads in rows, steps in columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("bead", no_wrap=True)
    for step in STEPS[1:]:
        table.add_column(step, justify="right")
    for ending in endings:
        cells = ["–" if seconds is None else f"{seconds:.2f}" for seconds in offsets(ending.timeline)[1:]]
        table.add_row(ending.bead.name, *cells)
    return table


def _print_ending(console: Console, ending: Ending) -> None:
    bead, arrived = ending.bead, ending.arrived
    name = display_name(bead.branch.split("/")[1]) if bead.branch.count("/") == 2 else "nobody"
    head = Text.assemble(
        ("✓ " if ending.well else "✗ ", "green" if ending.well else "red"), (f"{name}  ", "bold"), bead.name
    )
    console.print(head, soft_wrap=True)
    if arrived is not None:
        console.print(Text(f"    {bead.branch}  {arrived.commit[:COMMIT_LENGTH]}  {arrived.subject}"), soft_wrap=True)
        console.print(Text(f"    {', '.join(arrived.files)}", "dim"), soft_wrap=True)
    if not ending.well:
        why = f"{bead.reason}: {bead.message}" if bead.reason else "it has not been looked at"
        if bead.succeeded:
            why = f"the branch should hold {bead.head_commit or 'a commit'}"
        console.print(Text(f"    {bead.state}: {why}", "red"), soft_wrap=True)
