"""Kubernetes Events: one for each transition, where `kubectl describe` shows them."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Literal

from polecat_api.times import format_time
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.resources import EVENT, ResourceType

log = logging.getLogger(__name__)
MESSAGE_MAX_LENGTH = 1024


async def post_event(
    api: KubeApi,
    resource: ResourceType,
    namespace: str,
    name: str,
    uid: str,
    *,
    type_: Literal["Normal", "Warning"],
    reason: str,
    message: str,
    component: str,
    now: datetime,
) -> None:
    """Posts an Event about an object. A failure is logged and nothing else: Events are a courtesy."""
    stamp = format_time(now)
    body = {
        "metadata": {"name": f"{name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": namespace,
            "name": name,
            "uid": uid,
        },
        "type": type_,
        "reason": reason,
        "message": message[:MESSAGE_MAX_LENGTH],
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": f"{stamp[:19]}Z",
        "lastTimestamp": f"{stamp[:19]}Z",
        "count": 1,
    }
    try:
        await api.create(EVENT, namespace, body)
    except ApiError as error:
        log.warning("event %s not posted: %s", reason, error)
