"""The books: how the end of a polecat changes its bead. Each attempt is entered exactly once."""

from __future__ import annotations

from datetime import datetime, timedelta

from polecat_api.bead import BeadResult, BeadStatus, Usage
from polecat_api.conditions import REASONS, Outcome, Reason
from polecat_api.names import display_name
from polecat_api.polecat import Polecat
from polecat_operator.actions import Ending, Note, WriteBead
from polecat_operator.planner.status import Standing, report, write
from polecat_operator.views import BeadView, finished

FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 600
GOOD_RUN_SECONDS = 600
"""An attempt that ran for so long was no failure of the start: the pauses begin anew."""


def pause_seconds(consecutive_failures: int) -> int:
    """Pause before the next attempt: 10 s, 20 s, … up to 10 minutes; 0 without a failure."""
    if consecutive_failures <= 0:
        return 0
    return int(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(consecutive_failures - 1, 16)))


def ending_of(polecat: Polecat, suspended: bool) -> tuple[Reason, str]:
    """Reason and message of a polecat's end; one that is gone without a word was interrupted."""
    condition = finished(polecat)
    if condition is None:
        if suspended:
            return Reason.CANCELLED, "the polecat was stopped"
        return Reason.INTERRUPTED, "the polecat is gone, and nothing tells how it ended"
    exit_ = polecat.status.exit
    message = condition.message or (exit_.message if exit_ is not None else "")
    try:
        reason = Reason(condition.reason)
    except ValueError:
        return Reason.AGENT_FAILED, f"{condition.reason}: {message}"
    return (reason, message) if REASONS[reason].outcome is not None else (Reason.AGENT_FAILED, message)


def account(
    bead: BeadView, status: BeadStatus, polecat: Polecat | None, reason: Reason, message: str, now: datetime
) -> WriteBead | None:
    """Enters one end of an attempt in the books and says what comes next.

    `polecat` is its last known state, None when nothing is left of it.
    """
    outcome = REASONS[reason].outcome or Outcome.AGENT
    name = display_name(status.polecat or (polecat.spec.name if polecat else "polecat"))
    attempt = status.attempts + status.interruptions + 1
    agents = outcome in (Outcome.SUCCESS, Outcome.AGENT, Outcome.FINAL)
    booked = status.model_copy(
        update={
            "polecat": None,
            "attempts": status.attempts + (1 if agents else 0),
            "interruptions": status.interruptions + (0 if agents else 1),
            "next_attempt_time": None,
            **(_carried_over(status, polecat) if polecat is not None else {}),
        }
    )
    ending = Ending(outcome, reason)
    told = message or REASONS[reason].meaning
    if outcome is Outcome.SUCCESS:
        return write(
            bead,
            report(
                bead,
                booked,
                Standing.SUCCEEDED,
                reason,
                told,
                now,
                completion_time=now,
                consecutive_failures=0,
                saved_commit=None,
                saved_ref=None,
            ),
            Note("Normal", reason, f"{name} has finished: {_what_was_done(booked.result) or told}"),
            ending,
        )
    if outcome is Outcome.FINAL:
        failed = report(bead, booked, Standing.FAILED, reason, told, now, completion_time=now)
        return write(bead, failed, Note("Warning", reason, f"{name} stopped: {told}"), ending)
    if outcome is Outcome.CANCELLED:
        return write(bead, _next(bead, booked, now), Note("Normal", reason, f"{name} was stopped: {told}"), ending)
    return _failed(bead, booked, polecat, ending, f"{name}, attempt {attempt}: {reason}: {told}", now)


def _failed(
    bead: BeadView, booked: BeadStatus, polecat: Polecat | None, ending: Ending, story: str, now: datetime
) -> WriteBead | None:
    used = booked.attempts - booked.prior_attempts
    if ending.outcome is Outcome.AGENT and used >= bead.limits.attempts:
        message = f"{used} of {bead.limits.attempts} attempts failed; the last: {story}"
        status = report(bead, booked, Standing.FAILED, Reason.ATTEMPTS_EXHAUSTED, message, now, completion_time=now)
        return write(bead, status, Note("Warning", Reason.ATTEMPTS_EXHAUSTED, message), ending)
    failures = 1 if polecat is not None and _ran_well(polecat) else booked.consecutive_failures + 1
    pause = pause_seconds(failures)
    counted = booked.model_copy(
        update={"consecutive_failures": failures, "next_attempt_time": now + timedelta(seconds=pause)}
    )
    message = f"{story}; tries again in {pause} s"
    return write(bead, _next(bead, counted, now, message), Note("Warning", ending.reason, story), ending)


def _next(bead: BeadView, booked: BeadStatus, now: datetime, message: str = "") -> BeadStatus:
    """How a bead stands that goes on after an attempt."""
    if bead.suspend:
        saved = f"; its work is kept at {booked.saved_ref}" if booked.saved_ref else ""
        text = f"suspended as spec.suspend asks{saved}"
        return report(bead, booked, Standing.SUSPENDED, Reason.SUSPENDED, text, now)
    if message:
        return report(bead, booked, Standing.OPEN, Reason.BACKING_OFF, message, now)
    return report(bead, booked, Standing.OPEN, Reason.QUEUED, "about to get a polecat", now)


def _what_was_done(result: BeadResult | None) -> str:
    if result is None:
        return ""
    size = f"{result.commits} commits, {result.files_changed} files, +{result.insertions} −{result.deletions} lines"
    return f"{result.summary} ({size})" if result.summary else size


def _ran_well(polecat: Polecat) -> bool:
    process, last = polecat.status.process, polecat.status.heartbeat_time
    if process is None or last is None:
        return False
    return (last - process.start_time).total_seconds() >= GOOD_RUN_SECONDS


def _carried_over(status: BeadStatus, polecat: Polecat) -> dict[str, object]:
    """What the bead keeps of its polecat."""
    end = polecat.status
    kept: dict[str, object] = {
        "branch": polecat.spec.branch,
        "base_commit": end.base_commit or status.base_commit,
        "head_commit": end.published_commit or status.head_commit,
        "usage": _sum(status.usage, end.usage),
        "result": end.result or status.result,
    }
    if end.saved_commit:
        kept |= {"saved_commit": end.saved_commit, "saved_ref": end.saved_ref}
    return kept


def _sum(before: Usage | None, more: Usage | None) -> Usage | None:
    if before is None or more is None:
        return before or more
    return Usage(
        input_tokens=before.input_tokens + more.input_tokens,
        output_tokens=before.output_tokens + more.output_tokens,
        cost_micro_usd=before.cost_micro_usd + more.cost_micro_usd,
    )
