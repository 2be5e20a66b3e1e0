"""Counts of objects by state, kept while they change: a look at them costs the same however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from polecat_api.base import Condition
from polecat_api.conditions import Reason, Type, find_condition, is_true
from polecat_operator.cache import HeldPolecat, HeldRig, HeldTown
from polecat_operator.views import BeadView, finished

OTHER = "Other"
"""For a reason that is none of ours: a person may have edited the status."""
Labels = tuple[str, ...]
T = TypeVar("T")
_REASONS = frozenset(Reason)


class Tally:
    """Is told of each change, and gives for each kind how many objects are in which state."""

    def __init__(self) -> None:
        self.beads: Counter[Labels] = Counter()
        """By phase and reason."""
        self.polecats: Counter[Labels] = Counter()
        """By state: unclaimed, starting, running, finished."""
        self.rigs: Counter[Labels] = Counter()
        """By whether they are ready, and reason."""
        self.towns: Counter[Labels] = Counter()
        """By whether they are ready, and reason."""

    def bead(self, old: BeadView | None, new: BeadView | None) -> None:
        """Takes in a change."""
        _move(self.beads, _stands, old, new)

    def polecat(self, old: HeldPolecat | None, new: HeldPolecat | None) -> None:
        """Takes in a change."""
        _move(self.polecats, _state, old, new)

    def rig(self, old: HeldRig | None, new: HeldRig | None) -> None:
        """Takes in a change."""
        _move(self.rigs, lambda held: _ready(held.rig.status.conditions), old, new)

    def town(self, old: HeldTown | None, new: HeldTown | None) -> None:
        """Takes in a change."""
        _move(self.towns, lambda held: _ready(held.town.status.conditions), old, new)


def _move(counts: Counter[Labels], labels_of: Callable[[T], Labels], old: T | None, new: T | None) -> None:
    if old is not None:
        counts[labels_of(old)] -= 1
    if new is not None:
        counts[labels_of(new)] += 1


def _stands(bead: BeadView) -> Labels:
    return bead.phase, _known(bead.reason)


def _state(held: HeldPolecat) -> Labels:
    polecat = held.polecat
    if finished(polecat) is not None:
        return ("finished",)
    if polecat.status.claim is None:
        return ("unclaimed",)
    return ("running" if is_true(polecat.status.conditions, Type.READY) else "starting",)


def _ready(conditions: Sequence[Condition]) -> Labels:
    ready = find_condition(conditions, Type.READY)
    if ready is None:
        return "Unknown", OTHER
    return ready.status, _known(ready.reason)


def _known(word: str) -> str:
    return word if word in _REASONS else OTHER
