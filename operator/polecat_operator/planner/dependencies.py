"""Order among beads: what a bead waits for, and rings of beads that wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polecat_api.conditions import Reason
from polecat_operator.planner.status import Standing
from polecat_operator.world import Dependency

CYCLE_SEARCH_LIMIT = 10_000
"""Beads looked at in a search for a ring; longer rings are not found and their beads just wait."""
NAMED_AT_MOST = 5


def blocked_by(dependencies: Sequence[Dependency], cycle: Sequence[str]) -> tuple[Standing, Reason, str] | None:
    """What the dependencies make of a bead: the failed come first, then rings, then the open and missing."""
    failed = [dependency.name for dependency in dependencies if dependency.state == "failed"]
    if failed:
        return Standing.FAILED, Reason.DEPENDENCY_FAILED, f"it depends on {_names(failed)}, which did not succeed"
    if cycle:
        way = " → ".join(cycle)
        return Standing.STUCK, Reason.DEPENDENCY_CYCLE, f"beads wait for each other: {way}; take one out of dependsOn"
    missing = [dependency.name for dependency in dependencies if dependency.state == "missing"]
    waiting = [dependency.name for dependency in dependencies if dependency.state == "open"]
    if missing:
        return Standing.OPEN, Reason.WAITING_FOR_DEPENDENCY, f"waits for {_names(missing)}, which does not exist"
    if waiting:
        return Standing.OPEN, Reason.WAITING_FOR_DEPENDENCY, f"waits for {_names(waiting)}"
    return None


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    shown = ", ".join(names[:NAMED_AT_MOST])
    return f"{shown} and {more} more" if more > 0 else shown


def find_cycle(start: str, depends_on: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """A ring through `start`, e.g. (`a`, `b`, `a`); empty when there is none.

    `depends_on` gives the dependencies of an open bead, and nothing for one that has ended or does not exist.
    """
    came_from: dict[str, str] = {}
    stack = [start]
    while stack and len(came_from) < CYCLE_SEARCH_LIMIT:
        here = stack.pop()
        for name in depends_on(here):
            if name == start:
                way = [start, here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return (start, *reversed(way[1:-1]), start) if here != start else (start, start)
            if name not in came_from:
                came_from[name] = here
                stack.append(name)
    return ()
