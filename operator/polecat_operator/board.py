"""What the leader keeps in memory between decisions; all of it can be made again from the objects."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field

from polecat_api.names import object_name
from polecat_operator.cache import Cache, ObjectKey
from polecat_operator.planner.breaker import Breaker
from polecat_operator.world import Assignment, Gate, Waiting


def _rank(entry: Waiting) -> tuple[bool, float, str]:
    return entry.intent is None, entry.order, entry.bead


class RigQueue:
    """The beads of a rig that may start, in the order of their turn."""

    def __init__(self) -> None:
        self.entries: list[Waiting] = []
        self._by_bead: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, entry: Waiting) -> bool:
        """Adds or moves a bead; False if it stood there already."""
        before = self._by_bead.get(entry.bead)
        if before == entry:
            return False
        self.remove(entry.bead)
        bisect.insort(self.entries, entry, key=_rank)
        self._by_bead[entry.bead] = entry
        return True

    def remove(self, bead: str) -> bool:
        """Takes a bead out; False if it was not there."""
        entry = self._by_bead.pop(bead, None)
        if entry is None:
            return False
        place = bisect.bisect_left(self.entries, _rank(entry), key=_rank)
        del self.entries[place]
        return True


@dataclass(slots=True)
class Booked:
    """An assignment with where it belongs."""

    rig: str
    town: str
    assignment: Assignment


@dataclass(slots=True)
class Board:
    """Queues, assignments under way, breakers, and the scheduler's verdicts on waiting beads."""

    queues: defaultdict[ObjectKey, RigQueue] = field(default_factory=lambda: defaultdict(RigQueue))
    booked: dict[ObjectKey, Booked] = field(default_factory=dict)
    """Bead → assignment, until its Polecat is in the cache."""
    verdicts: dict[ObjectKey, tuple[Gate, int | None]] = field(default_factory=dict)
    """Bead → why it waits, and its place."""
    rig_breakers: defaultdict[ObjectKey, Breaker] = field(default_factory=lambda: defaultdict(Breaker))
    town_breakers: defaultdict[ObjectKey, Breaker] = field(default_factory=lambda: defaultdict(Breaker))
    blocked_names: set[ObjectKey] = field(default_factory=set)
    """Object names that the API server says are taken, by something that can't be read."""

    def book(self, bead: ObjectKey, booked: Booked) -> None:
        """Sets a name and a place aside."""
        self.booked[bead] = booked
        self.verdicts.pop(bead, None)

    def release(self, bead: ObjectKey) -> Booked | None:
        """Gives name and place back, or hands them over to the Polecat that is there now."""
        return self.booked.pop(bead, None)

    def booked_in(self, namespace: str, town: str) -> list[Booked]:
        """Assignments under way in a town."""
        return [booked for (space, _), booked in self.booked.items() if space == namespace and booked.town == town]

    def leave(self, rig: ObjectKey, bead: str) -> bool:
        """A bead no longer waits in the queue; False if it did not."""
        self.verdicts.pop((rig[0], bead), None)
        if rig not in self.queues:
            return False
        left = self.queues[rig].remove(bead)
        if not self.queues[rig].entries:
            del self.queues[rig]
        return left


class TakenNames:
    """Object names in a namespace that exist or are being made."""

    def __init__(self, cache: Cache, board: Board, namespace: str) -> None:
        self._cache = cache
        self._namespace = namespace
        self._board = board
        self._being_made = {
            object_name(booked.rig, booked.assignment.name)
            for (space, _), booked in board.booked.items()
            if space == namespace
        }

    def __contains__(self, name: object) -> bool:
        key = (self._namespace, str(name))
        return key in self._cache.polecats.items or name in self._being_made or key in self._board.blocked_names


class IntendedNames:
    """Object names in a namespace that the statuses of beads hold."""

    def __init__(self, cache: Cache, namespace: str) -> None:
        self._cache = cache
        self._namespace = namespace

    def __contains__(self, name: object) -> bool:
        return (self._namespace, str(name)) in self._cache.intents


def used_in_rig(cache: Cache, board: Board, rig: ObjectKey) -> int:
    """Polecats of a rig that exist or are being made."""
    existing = cache.polecats_by_rig.get(rig, set())
    making = sum(
        1
        for (space, _), booked in board.booked.items()
        if space == rig[0]
        and booked.rig == rig[1]
        and (space, object_name(booked.rig, booked.assignment.name)) not in existing
    )
    return len(existing) + making
