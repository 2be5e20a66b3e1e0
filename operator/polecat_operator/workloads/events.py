"""What other controllers say of a town only in Events. They are asked when something is missing, not before."""

from __future__ import annotations

from typing import Any

from polecat_kube.api import KubeApi
from polecat_kube.resources import EVENT, PERSISTENT_VOLUME_CLAIM, STATEFUL_SET

Json = dict[str, Any]


async def why_no_pod(api: KubeApi, town: tuple[str, str]) -> str:
    """The StatefulSet controller's last words on a pod or claim that it could not make; empty when it has none."""
    return await _last(api, town[0], STATEFUL_SET.kind, town[1], "reason=FailedCreate")


async def why_no_claim(api: KubeApi, namespace: str, claim: str) -> str:
    """The last warning about a claim; empty when there is none."""
    return await _last(api, namespace, PERSISTENT_VOLUME_CLAIM.kind, claim, "type=Warning")


async def _last(api: KubeApi, namespace: str, kind: str, name: str, which: str) -> str:
    selector = f"involvedObject.kind={kind},involvedObject.name={name},{which}"
    events, _ = await api.list(EVENT, namespace, field_selector=selector)
    return str(max(events, key=_when).get("message", "")) if events else ""


def _when(event: Json) -> str:
    """The moment of the last occurrence; sorts as text."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), event["metadata"]["creationTimestamp"]))
