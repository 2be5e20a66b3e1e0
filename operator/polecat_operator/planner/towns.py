"""How a town stands, from what its pods report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from polecat_api.base import Condition
from polecat_api.conditions import ConditionStatus, Reason, Type, decide_condition
from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Town, TownPod
from polecat_operator.planner.breaker import Breaker
from polecat_operator.planner.placement import FRESH_SECONDS

_ISOLATION_ORDER = (Reason.ISOLATION_NONE, Reason.ISOLATION_PARTIAL, Reason.ISOLATION_FULL)


@dataclass(frozen=True, slots=True)
class TownStanding:
    """A town and for how many seconds each of its pods' entries has not changed."""

    town: Town
    silent_seconds: dict[str, float]
    breaker: Breaker


def reporting(standing: TownStanding) -> list[TownPod]:
    """Pods whose entry is fresh."""
    silent = standing.silent_seconds
    return [pod for pod in standing.town.status.pods if silent.get(pod.name, FRESH_SECONDS + 1) <= FRESH_SECONDS]


def selector(town: Town) -> str:
    """Label selector of the town's pods, for the scale subresource."""
    return f"{LABEL_TOWN}={town.metadata.name}"


def town_conditions(standing: TownStanding, now: datetime) -> list[Condition]:
    """Ready, Progressing, Isolated and Stalled."""
    town = standing.town
    fresh = reporting(standing)
    wanted = town.spec.replicas
    decided: list[tuple[Type, ConditionStatus, Reason, str]] = [
        (Type.READY, *_ready(town, fresh)),
        (Type.PROGRESSING, *_progressing(len(fresh), wanted)),
        (Type.ISOLATED, *_isolated(fresh)),
        (Type.STALLED, *_stalled(standing.breaker, now)),
    ]
    return [
        decide_condition(
            town.status.conditions, type_, status, reason, message, now=now, generation=town.metadata.generation
        )
        for type_, status, reason, message in decided
    ]


def _ready(town: Town, fresh: list[TownPod]) -> tuple[ConditionStatus, Reason, str]:
    able = [pod for pod in fresh if pod.ready]
    if able:
        return "True", Reason.OK, f"{len(able)} of {town.spec.replicas} pods take work"
    if fresh:
        told = "; ".join(f"{pod.name}: {pod.message or pod.reason}" for pod in fresh[:3])
        return "False", _reason(fresh[0].reason, Reason.TOWN_NOT_READY), told
    if town.status.pods:
        silent = ", ".join(pod.name for pod in town.status.pods[:5])
        return "False", Reason.POD_SILENT, f"not heard of for more than {FRESH_SECONDS:g} s: {silent}"
    if town.spec.replicas == 0:
        return "True", Reason.OK, "no pods are asked for"
    return "False", Reason.POD_MISSING, "no pod of the town has reported yet"


def _progressing(reporting_pods: int, wanted: int) -> tuple[ConditionStatus, Reason, str]:
    if reporting_pods == wanted:
        return "False", Reason.OK, ""
    return "True", Reason.SCALING, f"{reporting_pods} pods report, {wanted} are asked for"


def _isolated(fresh: list[TownPod]) -> tuple[ConditionStatus, Reason, str]:
    """The weakest isolation of all pods counts."""
    told = [pod for pod in fresh if pod.isolation]
    if not told:
        return "Unknown", Reason.POD_MISSING, "no pod has measured its isolation yet"
    weakest = min(told, key=lambda pod: _rank(pod.isolation))
    reason = _reason(weakest.isolation, Reason.ISOLATION_NONE)
    return ("True" if reason is Reason.ISOLATION_FULL else "False"), reason, weakest.message


def _rank(isolation: str) -> int:
    reason = _reason(isolation, Reason.ISOLATION_NONE)
    return _ISOLATION_ORDER.index(reason) if reason in _ISOLATION_ORDER else 0


def _stalled(breaker: Breaker, now: datetime) -> tuple[ConditionStatus, Reason, str]:
    if not breaker.is_open(now):
        return "False", Reason.OK, ""
    told = f"{len(breaker.failed)} different beads could not be started in a row. The last: {breaker.last_message}"
    return "True", Reason.BREAKER_OPEN, told


def _reason(word: str, otherwise: Reason) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        return otherwise
