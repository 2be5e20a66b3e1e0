"""The breaker of a rig or town: stops starts when bead after bead fails, and tries again by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from polecat_api.conditions import Outcome, Reason
from polecat_operator.actions import Ending

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 60
LONGEST_PAUSE_SECONDS = 600

_NOBODYS_FAULT = {Reason.INTERRUPTED, Reason.POD_LOST}
"""The end of one pod ends all its agents at once: that is one event, and no reason not to start them again."""
_TOWNS_FAULT = {Reason.START_FAILED}
"""What a town can be blamed for; the rest is the rig's (repository, model, prompts)."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed with `open_until` None; open until then; half open afterwards, when one bead is let through."""

    failed: tuple[str, ...] = ()
    """UIDs of different beads that failed in a row."""
    pause_seconds: int = 0
    open_until: datetime | None = None
    last_message: str = ""

    @property
    def closed(self) -> bool:
        """Whether starts are free."""
        return self.open_until is None

    def is_open(self, now: datetime) -> bool:
        """Whether nothing may start. A time further away than any pause is of a clock that was set back since."""
        longest = timedelta(seconds=LONGEST_PAUSE_SECONDS)
        return self.open_until is not None and now < self.open_until <= now + longest


def record(breaker: Breaker, bead_uid: str, ending: Ending, message: str, now: datetime, *, town: bool) -> Breaker:
    """The breaker after the end of one attempt; `town` says whose breaker it is."""
    if ending.outcome in (Outcome.SUCCESS, Outcome.FINAL):
        return Breaker()
    if ending.outcome is Outcome.CANCELLED or ending.reason in _NOBODYS_FAULT:
        return breaker
    if town and ending.reason not in _TOWNS_FAULT:
        return Breaker() if not breaker.closed else replace(breaker, failed=())
    failed = breaker.failed if bead_uid in breaker.failed else (*breaker.failed, bead_uid)
    if breaker.is_open(now):
        return replace(breaker, failed=failed[-FAILURES_TO_OPEN:])  # an attempt begun before it opened
    if len(failed) < FAILURES_TO_OPEN:
        return replace(breaker, failed=failed)
    pause = min(LONGEST_PAUSE_SECONDS, breaker.pause_seconds * 2 or FIRST_PAUSE_SECONDS)
    return Breaker(failed[-FAILURES_TO_OPEN:], pause, now + timedelta(seconds=pause), message)


def allowance(breaker: Breaker, under_way: int, now: datetime) -> int | None:
    """How many beads may start: None for any number, 0 while open, one at a time while half open.

    `under_way` counts the polecats of the rig or town that were made since `open_until`.
    """
    if breaker.open_until is None:
        return None
    if breaker.is_open(now):
        return 0
    return max(0, 1 - under_way)
