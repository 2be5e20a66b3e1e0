"""What a decision is made from: a snapshot of the objects concerned, as of one moment."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

from polecat_api.conditions import Reason
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_operator.views import BeadView

DependencyState = Literal["succeeded", "failed", "open", "missing"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """A bead in `dependsOn`."""

    name: str
    state: DependencyState


@dataclass(frozen=True, slots=True)
class Gate:
    """Why beads of a rig don't start."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A name and a place that the scheduler has set aside for a bead."""

    bead: str
    name: str
    pod: str


@dataclass(frozen=True, slots=True)
class PolecatWorld:
    """A Polecat and what is known of its pod, in seconds of the observer's own clock."""

    polecat: Polecat
    age_seconds: float
    """Since it was first seen."""
    pod_silent_seconds: float | None
    """Since the pod's entry last changed; None when the town has no such entry."""
    pod_uid: str | None
    """UID in the pod's entry."""
    pod_uid_seconds: float
    """Since that UID was first seen."""
    town_unseen_seconds: float
    """For pods without an entry: since it disappeared, or this process began to look."""
    pod_ending: bool = False
    """Whether its pod takes no more work for certain: it is being deleted, or does not exist."""
    pod_gone_for_good: bool = False
    """Whether the life of the pod that claimed it has ended for certain, and no pod of that name will come."""


@dataclass(frozen=True, slots=True)
class BeadWorld:
    """Everything that the next step of one bead depends on."""

    bead: BeadView
    polecats: tuple[PolecatWorld, ...] = ()
    """Polecats that exist for this life of the bead, by attempt."""
    ended: Polecat | None = None
    """Last state of a polecat of this bead that is gone and not yet in the books."""
    dependencies: tuple[Dependency, ...] = ()
    cycle: tuple[str, ...] = ()
    """Names of beads that wait for each other in a ring, starting and ending with this one; empty without one."""
    rig: Rig | None = None
    town: Town | None = None
    gate: Gate | None = None
    """Why the scheduler left it waiting; None while it has not decided."""
    position: int | None = None
    """Place among the beads of the rig that only wait for a slot; None beyond the first hundred."""
    assignment: Assignment | None = None
    namesakes: frozenset[str] = frozenset()
    """UIDs of beads of the rig whose UIDs begin alike."""
    fence_seconds: float = 720.0
    """A pod silent for so long has stopped its agents by itself, for certain."""
    handover_seconds: float = 120.0
    """How long a new life of a pod may take to settle the polecats of its former life."""
    claim_seconds: float = 120.0
    """How long a polecat may stay unclaimed."""


@dataclass(frozen=True, slots=True)
class PodWorld:
    """A pod that takes work."""

    name: str
    free: int
    """Slots."""
    rigs: frozenset[str] = frozenset()
    """Rigs whose repository it has."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A bead that may start, in the order of its turn."""

    order: float
    """Start of its wait in seconds since the epoch, 1,800 earlier for each step of priority."""
    bead: str
    intent: str | None = None
    """A name that its status holds already: the start was declared, and the Polecat is not there yet."""


@dataclass(frozen=True, slots=True)
class RigWorld:
    """A rig as the scheduler sees it."""

    name: str
    max: int
    used: int
    """Polecats that exist or are being made."""
    pool: tuple[str, ...] = ()
    waiting: Sequence[Waiting] = ()
    """In order."""
    allowance: int | None = None
    """How many may start while the breaker is half open; None without a limit."""


@dataclass(frozen=True, slots=True)
class TownWorld:
    """A town with those of its rigs that may start beads."""

    pods: tuple[PodWorld, ...]
    rigs: tuple[RigWorld, ...]
    taken: Container[str]
    """Object names of Polecats in the namespace that exist or are being made."""
    taken_intents: Container[str] = ()
    """Object names that other beads' statuses hold."""
    allowance: int | None = None
