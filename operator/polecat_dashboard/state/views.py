"""What the page gets of each object: small, flat, and without what only a reader of the object itself may see.

A view has no prompt and no address of a town; those have requests of their own. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Callable

from polecat_api.untrusted import Json, condition, entries, meaning, number, section, state_of, text, texts

_MESSAGE = 400
_SUMMARY = 400


def bead_view(item: Json) -> Json:
    """A Bead."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    succeeded = condition(status, "Succeeded")
    reason = text(succeeded, "reason")
    result = section(status, "result")
    return {
        **_identity(meta),
        "title": text(spec, "title", 200),
        "rig": text(section(spec, "rigRef"), "name"),
        "priority": text(spec, "priority") or "Normal",
        "suspend": spec.get("suspend") is True,
        "dependsOn": texts(spec, "dependsOn"),
        "state": text(status, "state") or state_of(reason) or "Pending",
        "succeeded": {"True": True, "False": False}.get(text(succeeded, "status")),
        "reason": reason,
        "message": text(succeeded, "message", _MESSAGE),
        "position": number(status, "queuePosition") or None,
        "polecat": text(status, "polecat"),
        "branch": text(status, "branch"),
        "attempts": number(status, "attempts"),
        "interruptions": number(status, "interruptions"),
        "started": text(status, "startTime"),
        "completed": text(status, "completionTime"),
        "next": text(status, "nextAttemptTime"),
        "summary": text(result, "summary", _SUMMARY),
        "commits": number(result, "commits"),
        "files": number(result, "filesChanged"),
        "insertions": number(result, "insertions"),
        "deletions": number(result, "deletions"),
        **_usage(status),
    }


def polecat_view(item: Json) -> Json:
    """A Polecat."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    bead, limits = section(spec, "beadRef"), section(spec, "limits")
    return {
        **_identity(meta),
        "agent": text(spec, "name"),
        "title": text(spec, "title", 200),
        "rig": text(section(spec, "rigRef"), "name"),
        "town": text(section(spec, "townRef"), "name"),
        "pod": text(spec, "pod"),
        "bead": text(bead, "name"),
        "beadUID": text(bead, "uid"),
        "attempt": number(spec, "attempt"),
        "branch": text(spec, "branch"),
        "model": text(spec, "model"),
        "quietSeconds": number(limits, "quietSeconds"),
        "runSeconds": number(limits, "runSeconds"),
        "state": polecat_state(meta, status),
        "outcome": text(condition(status, "Finished"), "reason"),
        "activity": text(status, "activity", 200),
        "claimed": text(section(status, "claim"), "time"),
        "heartbeat": text(status, "heartbeatTime"),
        "progress": text(status, "progressTime"),
        "head": text(status, "headCommit"),
        "memory": number(status, "memoryBytes"),
        "cpu": number(status, "cpuMillicores"),
        **_usage(status),
    }


def polecat_state(meta: Json, status: Json) -> str:
    """`created`, `claimed`, `running`, `finished` or `leaving`."""
    if meta.get("deletionTimestamp"):
        return "leaving"
    if text(condition(status, "Finished"), "status") == "True":
        return "finished"
    if text(condition(status, "Ready"), "status") == "True":
        return "running"
    return "claimed" if section(status, "claim") else "created"


def rig_view(item: Json) -> Json:
    """A Rig."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    repository, model = section(spec, "repository"), section(spec, "model")
    return {
        **_identity(meta),
        "town": text(section(spec, "townRef"), "name"),
        "url": text(repository, "url"),
        "defaultBranch": text(repository, "defaultBranch") or "main",
        "prefix": text(spec, "branchPrefix") or "polecat",
        "max": number(section(spec, "polecats"), "max") or 5,
        "model": text(model, "name"),
        "provider": text(model, "provider") or "kilo",
        "checks": texts(spec, "checks"),
        "polecats": number(status, "polecats"),
        "queued": number(status, "queued"),
        "conditions": conditions(status),
    }


def town_view(item: Json) -> Json:
    """A Town."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    limits = section(section(spec, "resources"), "limits")
    return {
        **_identity(meta),
        "replicas": number(spec, "replicas") if "replicas" in spec else 1,
        "slots": number(spec, "slots") or 5,
        "agentMemory": text(spec, "agentMemory") or "3Gi",
        "cpuLimit": text(limits, "cpu"),
        "memoryLimit": text(limits, "memory"),
        "polecats": number(status, "polecats"),
        "queued": number(status, "queued"),
        "pods": [_pod(pod) for pod in entries(status, "pods") if isinstance(pod, dict)],
        "conditions": conditions(status),
    }


def _pod(pod: Json) -> Json:
    return {
        "name": text(pod, "name"),
        "ready": pod.get("ready") is True,
        "reason": text(pod, "reason"),
        "message": text(pod, "message", _MESSAGE),
        "isolation": text(pod, "isolation"),
        "slotsUsed": number(pod, "slotsUsed"),
        "memory": number(pod, "memoryBytes"),
        "memoryLimit": number(pod, "memoryLimitBytes"),
        "cpuLimit": number(pod, "cpuLimitMillicores"),
        "rigs": texts(pod, "rigs"),
        "seen": text(pod, "seenTime"),
    }


def _identity(meta: Json) -> Json:
    return {
        "ns": text(meta, "namespace"),
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "created": text(meta, "creationTimestamp"),
        "deleting": bool(meta.get("deletionTimestamp")),
    }


def _usage(status: Json) -> Json:
    usage = section(status, "usage")
    return {
        "tokensIn": number(usage, "inputTokens"),
        "tokensOut": number(usage, "outputTokens"),
        "costMicroUSD": number(usage, "costMicroUSD"),
    }


VIEWS: dict[str, Callable[[Json], Json]] = {
    "beads": bead_view,
    "polecats": polecat_view,
    "rigs": rig_view,
    "towns": town_view,
}
"""The view of each kind, by the kind's plural."""


def conditions(status: Json) -> list[Json]:
    """All conditions, each with the meaning of its reason in words."""
    return [
        {
            "type": text(each, "type"),
            "status": text(each, "status"),
            "reason": text(each, "reason"),
            "message": text(each, "message"),
            "since": text(each, "lastTransitionTime"),
            "meaning": meaning(text(each, "reason")),
        }
        for each in entries(status, "conditions")
        if isinstance(each, dict)
    ]
