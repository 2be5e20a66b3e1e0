"""When a polecat is given up: on proof, or after the fence, never on a guess."""

from __future__ import annotations

from polecat_api.conditions import Reason
from polecat_operator.views import is_deleting
from polecat_operator.world import PolecatWorld

RELEASE_UNCLAIMED_SECONDS = 10.0
"""How long a living pod is given to take the finalizer off a polecat that it never claimed."""

ENDING_SECONDS = 5.0
"""How old an unclaimed polecat must be to be taken from a pod that is ending: the pod may just be claiming it."""


def given_up(
    world: PolecatWorld, *, fence_seconds: float, handover_seconds: float, claim_seconds: float
) -> tuple[Reason, str] | None:
    """Reason and message if the polecat can't come to an end by itself any more; None while it can."""
    claim = world.polecat.status.claim
    pod = world.polecat.spec.pod
    if claim is None:
        if world.pod_ending and world.age_seconds >= ENDING_SECONDS and not is_deleting(world.polecat):
            return Reason.POD_LOST, f"pod {pod} is being stopped, and did not claim it"
        if world.age_seconds >= claim_seconds and not is_deleting(world.polecat):
            return Reason.START_FAILED, f"pod {pod} did not claim it within {claim_seconds:g} s"
        return None
    if world.pod_gone_for_good:
        return Reason.POD_LOST, f"pod {pod} is gone, and the town has no pod of that number any more"
    silent = world.pod_silent_seconds if world.pod_silent_seconds is not None else world.town_unseen_seconds
    if silent > fence_seconds:
        return Reason.POD_LOST, f"pod {pod} has not been heard of for {int(silent)} s"
    if world.pod_uid is not None and world.pod_uid != claim.pod_uid and world.pod_uid_seconds > handover_seconds:
        return Reason.POD_LOST, f"pod {pod} was replaced, and its successor did not settle the polecat"
    return None


def can_release(
    world: PolecatWorld, *, fence_seconds: float, handover_seconds: float, deleting_seconds: float
) -> str | None:
    """Why the operator may take the finalizer off a polecat that is being deleted; None if it may not."""
    if not is_deleting(world.polecat):
        return None
    if world.polecat.status.claim is None:
        pod_away = world.pod_silent_seconds is None or world.pod_silent_seconds > fence_seconds
        if deleting_seconds >= RELEASE_UNCLAIMED_SECONDS or pod_away:
            return "no pod has claimed it"
        return None
    lost = given_up(world, fence_seconds=fence_seconds, handover_seconds=handover_seconds, claim_seconds=float("inf"))
    return lost[1] if lost is not None else None
