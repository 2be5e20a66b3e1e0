"""The next step of one bead: adopt, account, stop, start or wait. The heart of the planner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from polecat_api.bead import BeadStatus
from polecat_api.conditions import Reason, Type, find_condition
from polecat_api.names import display_name
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_operator.actions import Action, CreatePolecat, DeletePolecat, Note, WriteBead
from polecat_operator.planner.eligibility import Held, held_back
from polecat_operator.planner.fencing import given_up
from polecat_operator.planner.placement import licence
from polecat_operator.planner.retries import account, ending_of
from polecat_operator.planner.status import Standing, report, write
from polecat_operator.views import BeadView, Phase, finished, is_deleting
from polecat_operator.world import Assignment, BeadWorld, PolecatWorld

_QUIET = {Reason.QUEUED, Reason.RIG_FULL, Reason.TOWN_FULL}
"""Reasons that come and go with the queue: a storm of beads makes no storm of Events."""
_WARNINGS = {Reason.INVALID_REFERENCE, Reason.DEPENDENCY_CYCLE, Reason.DEPENDENCY_FAILED, Reason.UNREADABLE}


@dataclass(frozen=True, slots=True)
class BeadPlan:
    """What to do for a bead now."""

    actions: tuple[Action, ...] = ()
    """In this order; a failure of one ends the rest."""
    ready: bool = False
    """Whether it stands in its rig's queue."""
    intent: str | None = None
    """A name that its status holds while its Polecat does not exist."""
    wake_at: datetime | None = None
    """When time alone may change the plan."""


def plan_bead(world: BeadWorld, now: datetime) -> BeadPlan:
    """The next step of one bead, from what exists. Repeating it without a change gives no action."""
    bead = world.bead
    if bead.deleting:
        return BeadPlan(tuple(_delete(each.polecat, "its bead is being deleted") for each in _living(world.polecats)))
    if bead.unreadable:
        message = f"this version of the operator can't read {bead.unreadable}"
        return BeadPlan(_some(_say(bead, bead.status, Standing.STUCK, Reason.UNREADABLE, message, now)))
    status = bead.status
    if bead.phase is Phase.TERMINAL:
        if bead.rerun == status.observed_rerun:
            return _ended(world, status)
        status = _new_run(bead, status, now)
    status, current, strays = _settle(world, status)
    cleanup = tuple(_delete(each.polecat, "it is not the bead's current polecat") for each in _living(strays))
    plan = _with_polecat(world, status, current, now) if current else _without(world, status, now)
    return BeadPlan((*plan.actions, *cleanup), plan.ready, plan.intent, plan.wake_at)


def _ended(world: BeadWorld, status: BeadStatus) -> BeadPlan:
    """A bead that has ended never changes; only its polecats are cleared away."""
    bead = world.bead
    deletions = tuple(_delete(each.polecat, "its bead has ended") for each in _living(world.polecats))
    if status.observed_generation == bead.generation and not bead.damaged:
        return BeadPlan(deletions)
    seen = status.model_copy(update={"observed_generation": bead.generation})
    return BeadPlan((*_some(write(bead, seen)), *deletions))


def _new_run(bead: BeadView, status: BeadStatus, now: datetime) -> BeadStatus:
    """An ended bead, opened again by `spec.rerun`."""
    changes = {
        "observed_rerun": bead.rerun,
        "prior_attempts": status.attempts,
        "consecutive_failures": 0,
        "next_attempt_time": None,
        "completion_time": None,
        "result": None,
    }
    return report(bead, status, Standing.OPEN, Reason.QUEUED, "runs again as spec.rerun asks", now, **changes)


def _settle(world: BeadWorld, status: BeadStatus) -> tuple[BeadStatus, PolecatWorld | None, tuple[PolecatWorld, ...]]:
    """Status, current polecat and strays.

    Of the polecats with the highest attempt the one that the bead's status names is current, else the oldest.

    A status that knows less than the polecats (it was edited or lost) is mended: the serial never goes back.
    """
    serial = status.attempts + status.interruptions + 1
    candidates = [each for each in world.polecats if each.polecat.spec.attempt >= serial]
    if not candidates:
        return status, None, world.polecats
    current = max(candidates, key=lambda each: (each.polecat.spec.attempt, each.polecat.spec.name == status.polecat))
    attempt = current.polecat.spec.attempt
    mended = status.model_copy(
        update={
            "interruptions": status.interruptions + attempt - serial,
            "polecat": current.polecat.spec.name,
            "branch": current.polecat.spec.branch,
            "start_time": status.start_time or current.polecat.metadata.creation_timestamp,
        }
    )
    return mended, current, tuple(each for each in world.polecats if each is not current)


def _with_polecat(world: BeadWorld, status: BeadStatus, current: PolecatWorld, now: datetime) -> BeadPlan:
    bead, polecat = world.bead, current.polecat
    over = _how_it_ended(world, current)
    if over is not None:
        booked = account(bead, status, polecat, *over, now)
        deletion = () if is_deleting(polecat) else (_delete(polecat, "its attempt is over"),)
        return BeadPlan((*_some(booked), *deletion))
    name = display_name(polecat.spec.name)
    if bead.suspend and not is_deleting(polecat):
        stopping = f"{name} is being stopped and its work saved"
        said = _say(bead, status, Standing.OPEN, Reason.STOPPING, stopping, now)
        return BeadPlan((*_some(said), _delete(polecat, "its bead is suspended")))
    reason, message = _mirror(polecat)
    return BeadPlan(_some(_say(bead, status, Standing.OPEN, reason, message, now)))


def _how_it_ended(world: BeadWorld, current: PolecatWorld) -> tuple[Reason, str] | None:
    if finished(current.polecat) is not None:
        return ending_of(current.polecat, world.bead.suspend)
    return given_up(
        current,
        fence_seconds=world.fence_seconds,
        handover_seconds=world.handover_seconds,
        claim_seconds=world.claim_seconds,
    )


def _mirror(polecat: Polecat) -> tuple[Reason, str]:
    """What the bead says while its polecat works."""
    name = display_name(polecat.spec.name)
    if is_deleting(polecat):
        return Reason.STOPPING, f"{name} is being stopped and its work saved"
    ready = find_condition(polecat.status.conditions, Type.READY)
    word = ready.reason if ready is not None else Reason.STARTING
    if word == Reason.RUNNING:
        return Reason.RUNNING, f"{name} is at work on branch {polecat.spec.branch}"
    if word == Reason.PUBLISHING:
        return Reason.PUBLISHING, f"{name} called done; checks, push and verification are under way"
    if word == Reason.STOPPING:
        return Reason.STOPPING, f"{name} is being stopped and its work saved"
    return Reason.STARTING, _starting(name, polecat.spec.pod, polecat.spec.attempt)


def _starting(name: str, pod: str, attempt: int) -> str:
    return f"{name} is starting in pod {pod}, attempt {attempt}"


def _without(world: BeadWorld, status: BeadStatus, now: datetime) -> BeadPlan:
    bead = world.bead
    serial = status.attempts + status.interruptions + 1
    if world.ended is not None and world.ended.spec.attempt == serial:
        reason, message = ending_of(world.ended, bead.suspend or is_deleting(world.ended))
        return BeadPlan(_some(account(bead, status, world.ended, reason, message, now)))
    intent = status.polecat
    if intent is not None and bead.reason != Reason.STARTING:
        # It was at work, and its Polecat is gone: nobody can tell any more how that ended.
        reason = Reason.CANCELLED if bead.suspend else Reason.INTERRUPTED
        return BeadPlan(_some(account(bead, status, None, reason, "the polecat is gone", now)))
    held = held_back(world, status, now)
    if held is not None:
        return BeadPlan(_some(_hold(bead, status, held, now)), wake_at=held.until)
    if world.assignment is not None and world.rig is not None:
        return _start(world, world.rig, world.assignment, status, now)
    if world.gate is not None:
        # A start that was declared, and whose place has gone to another meanwhile, waits like any other bead.
        gate = world.gate
        unnamed = status.model_copy(update={"polecat": None})
        said = _say(bead, unnamed, Standing.OPEN, gate.reason, gate.message, now, queue_position=world.position)
        return BeadPlan(_some(said), ready=True)
    return BeadPlan(ready=True, intent=intent)


def _hold(bead: BeadView, status: BeadStatus, held: Held, now: datetime) -> WriteBead | None:
    ended = {"completion_time": now} if held.standing is Standing.FAILED else {}
    unnamed = status.model_copy(update={"polecat": None})
    return _say(bead, unnamed, held.standing, held.reason, held.message, now, **ended)


def _start(world: BeadWorld, rig: Rig, assignment: Assignment, status: BeadStatus, now: datetime) -> BeadPlan:
    """First the intent, written into the bead, then the Polecat: a crash in between is seen and made good."""
    bead = world.bead
    serial = status.attempts + status.interruptions + 1
    spec = licence(bead, rig, assignment, serial, status.saved_commit, sorted(world.namesakes))
    name = display_name(assignment.name)
    first = {} if bead.phase is Phase.TERMINAL or status.start_time else {"observed_rerun": bead.rerun}
    changes = {
        "polecat": assignment.name,
        "branch": spec.branch,
        "start_time": status.start_time or now,
        "next_attempt_time": None,
        **first,
    }
    starting = report(
        bead, status, Standing.OPEN, Reason.STARTING, _starting(name, assignment.pod, serial), now, **changes
    )
    note = Note("Normal", Reason.STARTING, f"{name} takes the bead, in pod {assignment.pod}, on branch {spec.branch}")
    create = CreatePolecat(bead.namespace, bead.name, bead.uid, spec)
    return BeadPlan((*_some(write(bead, starting, note)), create))


def _say(
    bead: BeadView,
    status: BeadStatus,
    standing: Standing,
    reason: Reason,
    message: str,
    now: datetime,
    **changes: object,
) -> WriteBead | None:
    """The write that tells a reason; with an Event when the reason is a new one worth telling."""
    if status.start_time is None:
        changes["observed_rerun"] = bead.rerun
    note = None
    if reason != bead.reason and reason not in _QUIET:
        note = Note("Warning" if reason in _WARNINGS else "Normal", reason, message)
    return write(bead, report(bead, status, standing, reason, message, now, **changes), note)


def _living(polecats: tuple[PolecatWorld, ...]) -> list[PolecatWorld]:
    return [each for each in polecats if not is_deleting(each.polecat)]


def _delete(polecat: Polecat, why: str) -> DeletePolecat:
    meta = polecat.metadata
    return DeletePolecat(meta.namespace, meta.name, meta.uid, why)


def _some(action: WriteBead | None) -> tuple[Action, ...]:
    return (action,) if action is not None else ()
