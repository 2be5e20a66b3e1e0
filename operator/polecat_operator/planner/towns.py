"""How a town stands, from what its pods report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from polecat_api.base import Condition
from polecat_api.conditions import ConditionStatus, Reason, Type, decide_condition, find_condition
from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Town, TownPod
from polecat_operator.actions import Note
from polecat_operator.planner.breaker import Breaker
from polecat_operator.planner.placement import FRESH_SECONDS
from polecat_operator.planner.workload import WorkloadStanding, find_progress, find_trouble, memory_trouble
from polecat_operator.workloads.store import Trouble

STALL_SECONDS = 60.0
"""Trouble that has lasted for so long is not expected to pass by itself."""
_LASTING = {
    Reason.MEMORY_TOO_SMALL,
    Reason.QUOTA_EXCEEDED,
    Reason.POD_REFUSED,
    Reason.WORKLOAD_REFUSED,
    Reason.RIGHTS_MISSING,
}
"""What does not pass by itself at all."""
_ISOLATION_ORDER = (Reason.ISOLATION_NONE, Reason.ISOLATION_PARTIAL, Reason.ISOLATION_FULL)


@dataclass(frozen=True, slots=True)
class TownStanding:
    """A town and for how many seconds each of its pods' entries has not changed."""

    town: Town
    silent_seconds: dict[str, float]
    breaker: Breaker
    workload: WorkloadStanding | None = None
    """Its pods at the API server; None when somebody else makes them."""
    trouble_seconds: float = 0.0
    """For how long there has been the trouble of this moment."""


def trouble_of(standing: TownStanding) -> Trouble | None:
    """What somebody has to mend."""
    if standing.workload is None:
        return None
    return memory_trouble(standing.town.spec) or find_trouble(standing.workload)


def reporting(standing: TownStanding) -> list[TownPod]:
    """Pods whose entry is fresh."""
    silent = standing.silent_seconds
    return [pod for pod in standing.town.status.pods if silent.get(pod.name, FRESH_SECONDS + 1) <= FRESH_SECONDS]


def existing_pods(standing: TownStanding) -> int:
    """How many pods there are: what `scale` and autoscalers count."""
    if standing.workload is None:
        return len(reporting(standing))
    found = standing.workload.workload.set
    return found.replicas if found is not None else 0


def selector(town: Town) -> str:
    """Label selector of the town's pods, for the scale subresource."""
    return f"{LABEL_TOWN}={town.metadata.name}"


def town_conditions(standing: TownStanding, now: datetime) -> list[Condition]:
    """Ready, Progressing, Reconciling, Isolated and Stalled.

    Progressing is for people, Reconciling says the same to kstatus, which gives Stalled the last word.
    """
    town = standing.town
    fresh = reporting(standing)
    trouble = trouble_of(standing)
    stalled = _stalled(standing, trouble, now)
    progressing = _progressing(standing, len(fresh), trouble, is_stalled=stalled[0] == "True")
    decided: list[tuple[Type, ConditionStatus, Reason, str]] = [
        (Type.READY, *_ready(town, fresh, trouble)),
        (Type.PROGRESSING, *progressing),
        (Type.RECONCILING, *progressing),
        (Type.ISOLATED, *_isolated(fresh)),
        (Type.STALLED, *stalled),
    ]
    return [
        decide_condition(
            town.status.conditions, type_, status, reason, message, now=now, generation=town.metadata.generation
        )
        for type_, status, reason, message in decided
    ]


def town_note(before: Sequence[Condition], after: Sequence[Condition]) -> Note | None:
    """The Event that a change of a town's conditions is worth: new trouble, or that it is ready, or is so no more.

    That a town on its way is not ready yet is none.
    """
    was: dict[str, tuple[str, str]] = {each.type: (each.status, each.reason) for each in before}
    now = {each.type: each for each in after}
    stalled, ready, progressing = (now.get(type_) for type_ in (Type.STALLED, Type.READY, Type.PROGRESSING))
    if stalled is not None and stalled.status == "True" and was.get(Type.STALLED) != ("True", stalled.reason):
        return Note("Warning", stalled.reason, stalled.message)
    if ready is None or was.get(Type.READY) == (ready.status, ready.reason):
        return None
    was_ready = was.get(Type.READY, ("", ""))[0] == "True"
    if ready.status == "True":
        return None if was_ready else Note("Normal", Type.READY, ready.message)
    in_trouble = progressing is not None and progressing.reason == ready.reason
    return Note("Warning", ready.reason, ready.message) if was_ready or in_trouble else None


def _ready(town: Town, fresh: list[TownPod], trouble: Trouble | None) -> tuple[ConditionStatus, Reason, str]:
    if trouble is not None and trouble.reason is Reason.MEMORY_TOO_SMALL:
        return "False", trouble.reason, trouble.message
    able = [pod for pod in fresh if pod.ready]
    if able:
        also = f"; {trouble.message}" if trouble else ""
        return "True", Reason.OK, f"{len(able)} of {town.spec.replicas} pods take work{also}"
    if trouble is not None:
        return "False", trouble.reason, trouble.message
    if fresh:
        told = "; ".join(f"{pod.name}: {pod.message or pod.reason}" for pod in fresh[:3])
        return "False", _reason(fresh[0].reason, Reason.TOWN_NOT_READY), told
    if town.spec.replicas == 0:
        return "True", Reason.OK, "no pods are asked for"
    if town.status.pods:
        silent = ", ".join(pod.name for pod in town.status.pods[:5])
        return "False", Reason.POD_SILENT, f"not heard of for more than {FRESH_SECONDS:g} s: {silent}"
    return "False", Reason.POD_MISSING, "no pod of the town has reported yet"


def _progressing(
    standing: TownStanding, reporting_pods: int, trouble: Trouble | None, *, is_stalled: bool
) -> tuple[ConditionStatus, Reason, str]:
    wanted = standing.town.spec.replicas
    if trouble is not None:
        return ("False" if is_stalled else "True"), trouble.reason, trouble.message
    step = find_progress(standing.workload) if standing.workload is not None else None
    if step is not None:
        return "True", *step
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


def _stalled(standing: TownStanding, trouble: Trouble | None, now: datetime) -> tuple[ConditionStatus, Reason, str]:
    if trouble is not None:
        before = find_condition(standing.town.status.conditions, Type.STALLED)
        known = before is not None and before.status == "True" and before.reason == trouble.reason
        if known or trouble.reason in _LASTING or standing.trouble_seconds >= STALL_SECONDS:
            return "True", trouble.reason, trouble.message
    breaker = standing.breaker
    if not breaker.is_open(now):
        return "False", Reason.OK, ""
    told = f"{len(breaker.failed)} different beads could not be started in a row. The last: {breaker.last_message}"
    return "True", Reason.BREAKER_OPEN, told


def _reason(word: str, otherwise: Reason) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        return otherwise
