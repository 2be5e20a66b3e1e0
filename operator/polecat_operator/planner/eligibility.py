"""Whether a bead may start as far as it alone is concerned; rig and town are the scheduler's matter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from polecat_api.bead import BeadStatus
from polecat_api.conditions import Reason
from polecat_operator.planner.dependencies import blocked_by
from polecat_operator.planner.retries import LONGEST_PAUSE_SECONDS
from polecat_operator.planner.status import Standing
from polecat_operator.world import BeadWorld

_LONGEST_PAUSE = timedelta(seconds=LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Held:
    """Why a bead does not even stand in the queue."""

    standing: Standing
    reason: Reason
    message: str
    until: datetime | None = None
    """When to look again, if time alone ends it."""


def held_back(world: BeadWorld, status: BeadStatus, now: datetime) -> Held | None:
    """The first of suspension, dependencies and back-off that applies; None when the bead may start."""
    if world.bead.suspend:
        saved = f"; its work is kept at {status.saved_ref}" if status.saved_ref else ""
        return Held(Standing.SUSPENDED, Reason.SUSPENDED, f"suspended as spec.suspend asks{saved}")
    blocked = blocked_by(world.dependencies, world.cycle)
    if blocked is not None:
        return Held(*blocked)
    # A time further away than any pause was written by a clock that has been set back since.
    if status.next_attempt_time is not None and now < status.next_attempt_time <= now + _LONGEST_PAUSE:
        before = next((c.message for c in status.conditions if c.reason == Reason.BACKING_OFF), "")
        message = before or "the last attempt failed; the next one starts at nextAttemptTime"
        return Held(Standing.OPEN, Reason.BACKING_OFF, message, status.next_attempt_time)
    return None
