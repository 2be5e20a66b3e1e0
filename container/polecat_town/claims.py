"""Claiming: a polecat is ours when the API server says that nobody had it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from polecat_api.base import Condition
from polecat_api.conditions import Reason, Type
from polecat_api.polecat import Claim, Polecat, PolecatStatus
from polecat_kube.api import JsonPatch, KubeApi, sleep_before_retry
from polecat_kube.errors import ApiError, ConflictError, NotFoundError
from polecat_kube.resources import POLECAT

log = logging.getLogger(__name__)


def build_claim(polecat: Polecat, pod: str, pod_uid: str, now: datetime) -> PolecatStatus:
    """The first status of a Polecat: the claim, and that its agent is being started."""
    conditions = [
        Condition(
            type=type_,
            status="False",
            reason=Reason.STARTING,
            message="the agent is being started",
            last_transition_time=now,
            observed_generation=polecat.metadata.generation,
        )
        for type_ in (Type.READY, Type.FINISHED)
    ]
    return PolecatStatus(claim=Claim(pod=pod, pod_uid=pod_uid, time=now), conditions=conditions)


async def claim(api: KubeApi, polecat: Polecat, pod: str, pod_uid: str) -> Polecat | None:
    """The claimed Polecat; None when somebody else has it, or it is gone.

    An API server that gives no answer is asked again; a claim that it had taken all the same is recognised.
    """
    metadata = polecat.metadata
    status = build_claim(polecat, pod, pod_uid, datetime.now(UTC))
    # Nothing but a claim writes a status first, so an absent status is an absent claim.
    patch: JsonPatch = [
        {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
        {"op": "test", "path": "/status", "value": None},
        {"op": "add", "path": "/status", "value": status.to_wire()},
    ]
    failures = 0
    while True:
        try:
            return Polecat.model_validate(
                await api.patch_json(POLECAT, metadata.namespace, metadata.name, patch, "status")
            )
        except NotFoundError:
            return None
        except ConflictError:
            return await _already_ours(api, polecat, pod, pod_uid)
        except ApiError as error:
            if not error.retryable:
                log.error("claim of %s refused: %s", metadata.name, error)
                return None
            await sleep_before_retry(error, failures)
            failures += 1


async def _already_ours(api: KubeApi, polecat: Polecat, pod: str, pod_uid: str) -> Polecat | None:
    found = await api.get(POLECAT, polecat.metadata.namespace, polecat.metadata.name)
    if found is None or found["metadata"]["uid"] != polecat.metadata.uid:
        return None
    current = Polecat.model_validate(found)
    claim_ = current.status.claim
    return current if claim_ is not None and (claim_.pod, claim_.pod_uid) == (pod, pod_uid) else None
