"""What keeps the pods of a town from running, and how far a change of them has come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from polecat_api.conditions import Reason
from polecat_api.quantities import to_bytes
from polecat_api.town import TownSpec
from polecat_operator.workloads.observed import ClaimView, PodView, SetView, ordinal
from polecat_operator.workloads.store import Trouble, Workload

SUPERVISOR_RESERVE_BYTES = 256 << 20
"""What the supervisor and its Git processes need beside the agents."""
CRASHES = 3
"""A container that has ended so often and is not ready is said to crash also while it runs."""
SHOWN_LENGTH = 600
"""Characters of others' words in a message."""
_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONTAINER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "StartError",
}
_ABOUT_VOLUMES = re.compile(r"PersistentVolumeClaim|persistent volume|storage ?class|volume", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WorkloadStanding:
    """The pods of a town as the API server tells of them, as of one moment."""

    town: str
    spec: TownSpec
    generation: int
    """Of the Town."""
    workload: Workload


def memory_trouble(spec: TownSpec) -> Trouble | None:
    """Whether the container's limit leaves room for one agent; no limit is room enough."""
    limit = spec.resources.limits.memory
    if limit is None or to_bytes(limit) >= to_bytes(spec.agent_memory) + SUPERVISOR_RESERVE_BYTES:
        return None
    message = (
        f"resources.limits.memory is {limit}, which has no room for one agent of {spec.agent_memory} and "
        f"{SUPERVISOR_RESERVE_BYTES >> 20}Mi for the supervisor: raise the limit or lower agentMemory"
    )
    return Trouble(Reason.MEMORY_TOO_SMALL, message)


def find_trouble(standing: WorkloadStanding) -> Trouble | None:
    """The first thing that needs mending; None while all is well, or on its way."""
    part = standing.workload
    if part.refused is not None:
        return part.refused
    wanted = _wanted(standing)
    if part.pods_refused and len(wanted) < standing.spec.replicas:
        return Trouble(_refusal(part.pods_refused), _short(part.pods_refused))
    looks: tuple[Callable[[PodView], Trouble | None], ...] = (
        lambda pod: _placing(pod, part.claims.values(), part.claims_refused),
        _pulling,
        _running,
    )
    for pod in wanted:
        if not pod.ready and not pod.deleting:
            for look in looks:
                if (trouble := look(pod)) is not None:
                    return trouble
    return None


def _refusal(words: str) -> Reason:
    """Of the StatefulSet controller's words on a pod or claim that it could not make."""
    if "exceeded quota" in words:
        return Reason.QUOTA_EXCEEDED
    about_claim = re.search(r"\bpvc\b|create claim", words, re.IGNORECASE)
    return Reason.VOLUME_UNBOUND if about_claim else Reason.POD_REFUSED


def _wanted(standing: WorkloadStanding) -> list[PodView]:
    """Pods that are to exist and do, by number."""
    numbered = [(ordinal(standing.town, pod.name), pod) for pod in standing.workload.pods.values()]
    wanted = [(number, pod) for number, pod in numbered if number is not None and number < standing.spec.replicas]
    return [pod for _, pod in sorted(wanted, key=lambda each: each[0])]


def _placing(pod: PodView, claims: Iterable[ClaimView], refused: str) -> Trouble | None:
    unbound = [claim for claim in claims if claim.name.endswith(f"-{pod.name}") and not claim.bound]
    if unbound and refused:
        reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in refused else Reason.VOLUME_UNBOUND
        return Trouble(reason, _short(f"{unbound[0].name}: {refused}"))
    if not pod.unschedulable:
        return None
    if _ABOUT_VOLUMES.search(pod.unschedulable):
        claim = unbound[0] if unbound else None
        what = f" ({claim.name} asks for storage class {claim.class_name})" if claim and claim.class_name else ""
        return Trouble(Reason.VOLUME_UNBOUND, _short(f"{pod.name}: {pod.unschedulable}{what}"))
    return Trouble(Reason.POD_UNSCHEDULABLE, _short(f"{pod.name}: {pod.unschedulable}"))


def _pulling(pod: PodView) -> Trouble | None:
    if pod.waiting not in _IMAGE:
        return None
    return Trouble(Reason.IMAGE_UNAVAILABLE, _short(f"{pod.name}: {pod.waiting}: {pod.waiting_message}"))


def _running(pod: PodView) -> Trouble | None:
    if pod.ended == "OOMKilled":
        message = (
            f"{pod.name}: the container used more than its memory limit and was killed, {pod.restarts} times so far"
        )
        return Trouble(Reason.POD_OUT_OF_MEMORY, message)
    if pod.waiting in _CONTAINER:
        last = f"; it ended with {pod.exit_code} ({pod.ended}): {pod.ended_message}" if pod.ended else ""
        message = f"{pod.name}: {pod.waiting}: {pod.waiting_message}{last}"
        return Trouble(Reason.CONTAINER_CRASHING, _short(message))
    if pod.restarts >= CRASHES and pod.exit_code != 0:
        message = f"{pod.name}: it has ended {pod.restarts} times, last with {pod.exit_code}: {pod.ended_message}"
        return Trouble(Reason.CONTAINER_CRASHING, _short(message))
    return None


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= SHOWN_LENGTH else f"{joined[:SHOWN_LENGTH]}…"


def find_progress(standing: WorkloadStanding) -> tuple[Reason, str] | None:
    """What of the spec is not reached yet; None when the pods are as it says."""
    part, replicas = standing.workload, standing.spec.replicas
    found: SetView | None = part.set
    applied = part.applied
    if found is None or applied is None or applied.town_generation != standing.generation:
        return Reason.ROLLING_OUT, "the StatefulSet is being brought up to date"
    if found.generation < applied.set_generation or found.observed_generation < found.generation:
        return Reason.ROLLING_OUT, "the StatefulSet controller has not taken up the change yet"
    surplus = found.replicas - replicas
    if surplus > 0:
        return Reason.SCALING, f"{surplus} pods more than asked for are drained and stopped"
    if found.replicas < replicas:
        return Reason.SCALING, f"{found.replicas} of {replicas} pods exist"
    if found.updated < replicas:
        return Reason.ROLLING_OUT, f"{found.updated} of {replicas} pods are of the present spec"
    if found.ready < replicas:
        return Reason.SCALING, f"{found.ready} of {replicas} pods are ready"
    return None
