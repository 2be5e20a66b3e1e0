"""The live table of beads and the polecats on them: a table on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from polecat_api.names import display_name
from polecat_cli.views import BeadView
from polecat_cli.watching import Watch, utc_now

REFRESH_SECONDS = 0.5
WIDE = 110
"""Columns from which branches are shown too."""
STYLES = {"Running": "cyan", "Publishing": "blue", "Starting": "yellow", "Done": "green", "Failed": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One bead as it is shown."""

    bead: str
    state: str
    polecat: str
    branch: str
    activity: str
    age: str
    tokens: str


def make_rows(watch: Watch, names: Sequence[str], now: datetime) -> list[Row]:
    """One row for each name, in that order."""
    return [_row(watch, name, now) for name in names]


def format_age(seconds: float) -> str:
    """As kubectl writes it: `7s`, `3m12s`, `2h5m`, `4d`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60}m"
    return f"{whole // 86400}d"


async def follow(watch: Watch, names: Sequence[str], console: Console, clock: Callable[[], datetime] = utc_now) -> None:
    """Shows the beads until each has ended or was deleted; raises ApiError when they can't be read."""
    if not console.is_terminal:
        await _follow_in_lines(watch, names, console, clock)
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(render(make_rows(watch, names, clock()), console.width), refresh=True)
            if not watch.open_names():
                return
            await watch.next_change(REFRESH_SECONDS)


def render(rows: Sequence[Row], width: int) -> Table:
    """The table for a terminal of `width` columns; long activities are cut, and branches need a wide one."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("BEAD", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    table.add_column("POLECAT", no_wrap=True, style="bold")
    if width >= WIDE:
        table.add_column("BRANCH", no_wrap=True, style="dim")
    # With `expand`, the column that has a ratio takes what the others leave.
    table.add_column("ACTIVITY", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("AGE", no_wrap=True, justify="right")
    table.add_column("TOKENS", no_wrap=True, justify="right")
    for row in rows:
        state = Text(row.state, STYLES.get(row.state.split()[0], ""))
        branch = [row.branch] if width >= WIDE else []
        rest = (row.polecat, *branch, row.activity, row.age, row.tokens)
        # Text, not markup: what an agent does may hold square brackets.
        table.add_row(row.bead, state, *(Text(_one_line(cell)) for cell in rest))
    return table


async def _follow_in_lines(watch: Watch, names: Sequence[str], console: Console, clock: Callable[[], datetime]) -> None:
    told: dict[str, str] = {}
    while True:
        for row in make_rows(watch, names, clock()):
            line = " ".join(part for part in (row.bead, row.state, row.polecat and f"({row.polecat})") if part)
            if told.get(row.bead) != line:
                told[row.bead] = line
                console.print(f"{clock():%H:%M:%S} {line}", markup=False, highlight=False, soft_wrap=True)
        if not watch.open_names():
            return
        await watch.next_change(REFRESH_SECONDS)


def _row(watch: Watch, name: str, now: datetime) -> Row:
    bead = watch.beads.get(name)
    if watch.gone(name):
        return Row(name, "Deleted", "", bead.branch if bead else "", "", "", "")
    if bead is None:
        return Row(name, "Pending", "", "", "", "", "")
    polecat = watch.polecats.get(bead.uid)
    # A polecat that is on its way out, or one of an earlier attempt, has nothing to say any more.
    current = polecat if polecat is not None and polecat.name == bead.polecat else None
    place = f" #{bead.queue_position}" if bead.queue_position else ""
    tokens = bead.tokens + (current.tokens if current else 0)
    age = ((bead.completed or now) - bead.created).total_seconds() if bead.created else 0
    return Row(
        bead=name,
        state=f"{bead.state}{place}",
        polecat=display_name(bead.polecat or _name_in(bead)),
        branch=bead.branch,
        activity=(current.activity if current else "") or _explanation(bead),
        age=format_age(age),
        tokens=f"{tokens:,}" if tokens else "",
    )


def _name_in(bead: BeadView) -> str:
    """The name that a finished bead's polecat had, which its branch remembers."""
    parts = bead.branch.split("/")
    return parts[1] if len(parts) == 3 else ""


def _explanation(bead: BeadView) -> str:
    if bead.succeeded is True:
        return bead.summary or bead.message
    return bead.message or bead.reason


def _one_line(text: str) -> str:
    return " ".join(part for part in "".join(c if c.isprintable() else " " for c in text).split(" ") if part)
