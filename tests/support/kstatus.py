"""What kstatus makes of a custom resource: the rules that Flux, Argo CD and others wait by.

https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def kstatus(resource: Json) -> str:
    """Terminating, InProgress, Failed or Current."""
    meta, status = resource["metadata"], resource.get("status") or {}
    if "deletionTimestamp" in meta:
        return "Terminating"
    if status.get("observedGeneration", meta["generation"]) != meta["generation"]:
        return "InProgress"
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
