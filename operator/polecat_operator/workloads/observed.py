"""What is read of StatefulSets, pods and claims: parsed once at the edge, trusted inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from polecat_api.protocol import LABEL_TOWN
from polecat_operator.workloads.statefulset import CONTAINER

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetView:
    """A town's StatefulSet."""

    uid: str
    generation: int
    observed_generation: int
    replicas: int
    """Pods that exist."""
    ready: int
    updated: int
    """Pods of the present template."""
    deleting: bool
    owner_uid: str
    """UID of the Town that it belongs to; empty when it belongs to none."""
    fixed: Json
    """What of its spec can't be changed."""


@dataclass(frozen=True, slots=True)
class PodView:
    """A town's pod, as scheduler and kubelet tell of it."""

    name: str
    uid: str
    deleting: bool = False
    ready: bool = False
    unschedulable: str = ""
    """The scheduler's words; empty when it has not said that no node takes the pod."""
    waiting: str = ""
    """Why its container does not run, such as ImagePullBackOff."""
    waiting_message: str = ""
    ended: str = ""
    """Reason of its container's last end, such as OOMKilled."""
    ended_message: str = ""
    exit_code: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class ClaimView:
    """The claim of a pod's volume."""

    name: str
    bound: bool
    class_name: str


def town_of(raw: Json) -> tuple[str, str]:
    """(namespace, town) of an object with a town's label."""
    meta = raw["metadata"]
    return meta.get("namespace", ""), meta.get("labels", {}).get(LABEL_TOWN, "")


def view_set(raw: Json) -> SetView:
    """A StatefulSet."""
    meta, status = raw["metadata"], raw.get("status", {})
    owner = next((each["uid"] for each in meta.get("ownerReferences", []) if each.get("controller")), "")
    return SetView(
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        deleting="deletionTimestamp" in meta,
        owner_uid=owner,
        fixed=fixed_part(raw["spec"]),
    )


def fixed_part(spec: Json) -> Json:
    """What of a StatefulSet's spec can't be changed, without what the API server adds."""
    claims = [
        {
            "name": claim["metadata"]["name"],
            "modes": claim["spec"].get("accessModes", []),
            "class": claim["spec"].get("storageClassName"),
            "size": claim["spec"].get("resources", {}).get("requests", {}).get("storage"),
        }
        for claim in spec.get("volumeClaimTemplates", [])
    ]
    names = ("serviceName", "podManagementPolicy", "selector")
    return {**{name: spec.get(name) for name in names}, "claims": claims}


def view_pod(raw: Json) -> PodView:
    """A pod."""
    meta, status = raw["metadata"], raw.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    scheduled = conditions.get("PodScheduled", {})
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    container: Json = next((each for each in status.get("containerStatuses", []) if each["name"] == CONTAINER), {})
    state = container.get("state", {})
    waiting = state.get("waiting", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        deleting="deletionTimestamp" in meta,
        ready=conditions.get("Ready", {}).get("status") == "True",
        unschedulable=(scheduled.get("message") or "no node takes the pod") if refused else "",
        waiting=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        ended=ended.get("reason", ""),
        ended_message=ended.get("message", ""),
        exit_code=ended.get("exitCode", 0),
        restarts=container.get("restartCount", 0),
    )


def view_claim(raw: Json) -> ClaimView:
    """A PersistentVolumeClaim."""
    return ClaimView(
        name=raw["metadata"]["name"],
        bound=raw.get("status", {}).get("phase") == "Bound",
        class_name=raw["spec"].get("storageClassName") or "",
    )


def ordinal(town: str, pod: str) -> int | None:
    """Number of a pod in the StatefulSet of its town; None for a pod that is none of it."""
    head, _, tail = pod.rpartition("-")
    return int(tail) if head == town and tail.isdigit() else None
