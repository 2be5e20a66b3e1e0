"""What keeps the beads of a rig from starting, and how the rig stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from polecat_api.base import Condition
from polecat_api.conditions import Reason, Type, decide_condition, find_condition
from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_operator.planner.breaker import Breaker
from polecat_operator.world import Gate, PodWorld


@dataclass(frozen=True, slots=True)
class RigStanding:
    """A rig with what surrounds it."""

    name: str
    rig: Rig | None
    town: Town | None
    town_name: str
    pods: tuple[PodWorld, ...]
    """Pods of the town that take work."""
    breaker: Breaker
    town_breaker: Breaker


def closed_gate(standing: RigStanding, now: datetime) -> Gate | None:
    """Why no bead of the rig may start at all; None when only slots count."""
    if standing.rig is None:
        return Gate(Reason.INVALID_REFERENCE, f"there is no rig {standing.name}; the bead starts when there is one")
    if standing.town is None:
        message = f"rig {standing.name} names town {standing.town_name}, which does not exist"
        return Gate(Reason.INVALID_REFERENCE, message)
    repository = find_condition(standing.rig.status.conditions, Type.REPOSITORY_READY)
    if repository is None:
        return Gate(Reason.RIG_NOT_READY, f"the town has not looked at the repository of rig {standing.name} yet")
    if repository.status != "True":
        message = f"rig {standing.name}: {repository.reason}: {repository.message}"
        return Gate(Reason.RIG_NOT_READY, message)
    if not standing.pods:
        return Gate(Reason.TOWN_NOT_READY, f"no pod of town {standing.town_name} takes work; see its conditions")
    for what, breaker in _breakers(standing):
        if breaker.is_open(now):
            return Gate(Reason.BREAKER_OPEN, _breaker_message(what, breaker))
    return None


def full_gate(standing: RigStanding, used: int, now: datetime) -> Gate:
    """Why a bead that may start did not, after the scheduler has been through."""
    rig = standing.rig
    if rig is not None and used >= rig.spec.polecats.max:
        return Gate(Reason.RIG_FULL, f"rig {standing.name} has {used} of {rig.spec.polecats.max} polecats")
    for what, breaker in _breakers(standing):
        if not breaker.closed:
            return Gate(Reason.BREAKER_OPEN, _breaker_message(what, breaker))
    if not any(pod.free > 0 for pod in standing.pods):
        return Gate(Reason.TOWN_FULL, f"every slot of town {standing.town_name}, or its memory, is in use")
    return Gate(Reason.QUEUED, "about to get a polecat")


def _breakers(standing: RigStanding) -> tuple[tuple[str, Breaker], ...]:
    return (
        (f"rig {standing.name}", standing.breaker),
        (f"town {standing.town_name}", standing.town_breaker),
    )


def _breaker_message(what: str, breaker: Breaker) -> str:
    count = len(breaker.failed)
    return (
        f"{count} different beads failed in a row on {what}; one is tried again after {breaker.pause_seconds} s. "
        f"The last: {breaker.last_message}"
    )


def rig_conditions(standing: RigStanding, now: datetime) -> list[Condition]:
    """The operator's conditions of a rig: Ready and Stalled. RepositoryReady is the town's."""
    rig = standing.rig
    if rig is None:
        return []
    gate = closed_gate(standing, now)
    current: Sequence[Condition] = rig.status.conditions
    generation = rig.metadata.generation
    stalled = gate is not None and gate.reason is Reason.BREAKER_OPEN
    if gate is None:
        ready = ("True", Reason.OK, "beads of this rig can start")
    else:
        repository = find_condition(current, Type.REPOSITORY_READY)
        reason, message = gate.reason, gate.message
        if gate.reason is Reason.RIG_NOT_READY:
            reason = _known(repository.reason) if repository else Reason.NOT_CHECKED
            message = repository.message if repository else "the town has not looked at the repository yet"
        ready = ("False", reason, message)
    return [
        decide_condition(
            current,
            Type.READY,
            "True" if ready[0] == "True" else "False",
            ready[1],
            ready[2],
            now=now,
            generation=generation,
        ),
        decide_condition(
            current,
            Type.STALLED,
            "True" if stalled else "False",
            Reason.BREAKER_OPEN if stalled else Reason.OK,
            gate.message if stalled and gate else "",
            now=now,
            generation=generation,
        ),
    ]


def _known(word: str) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        return Reason.RIG_NOT_READY
