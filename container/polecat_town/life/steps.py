"""What to do next with one polecat: a pure function of what is remembered and what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from polecat_api.bead import BeadLimits
from polecat_api.conditions import Reason
from polecat_town.life.state import End, LifeState, Step

QUIET_GRACE_SECONDS = 300
"""How long at most an agent that was asked because it was quiet has for a sign of life, in seconds."""


class Action(StrEnum):
    """One thing to do. Each may be begun again after a kill in the middle of it."""

    FETCH = "fetch"
    MAKE_WORKTREE = "make-worktree"
    START_PROCESS = "start-process"
    OPEN_SESSION = "open-session"
    PROMPT = "prompt"
    NUDGE = "nudge"
    CHECKPOINT = "checkpoint"
    PUBLISH = "publish"
    STOP = "stop"
    SETTLE = "settle"
    REPORT = "report"
    REMOVE = "remove"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class EndWith:
    """The attempt is over: remember how."""

    end: End


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something changes, or so many seconds have passed."""

    seconds: float


Decision = Action | EndWith | Wait


@dataclass(frozen=True, slots=True)
class Policy:
    """The supervisor's settings that decisions depend on."""

    nudges: int
    checkpoint_seconds: float
    look_seconds: float = 3.0
    """How often clocks are looked at when nothing else happens."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of one polecat at one moment."""

    deleted: bool = False
    """The Polecat has a deletion timestamp."""
    gone: bool = False
    """The Polecat does not exist any more, or its name has another bearer."""
    foreign: bool = False
    """An earlier life of this pod claimed it: its process can't be here."""
    draining: bool = False
    drain_hard: bool = False
    """The time for work that was nearly done is over as well."""
    fenced: bool = False
    """The Lease could not be renewed for so long that another may have been given the work."""
    binary_ok: bool = True
    volume_ok: bool = True
    """Whether the town's volume can be written."""
    agent_present: bool = False
    """This supervisor has started an agent and not yet stopped it."""
    stopped: bool = False
    """This supervisor has made sure that no process of the polecat is left."""
    exited: bool = False
    exit_code: int | None = None
    signal: int | None = None
    exit_message: str = ""
    idle: bool = False
    """The agent waits for a prompt."""
    quiet_seconds: float = 0.0
    """Since the agent last did something."""
    since_nudge_seconds: float | None = None
    """Since it was last asked to go on; None if it never was, or has done something since."""
    run_seconds: float = 0.0
    since_checkpoint_seconds: float = 0.0
    progressed: bool = False
    """Whether it has done something since the last checkpoint."""
    over_memory: str | None = None
    """It uses more than one agent may."""
    short_of_memory: str | None = None
    """All agents together use more than the container has to spare, and this one most."""
    model_failure: str | None = None
    escalation: str | None = None
    failure: End | None = None
    """An action failed for good."""


def decide(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> Decision:
    """The next thing to do."""
    if state.step is Step.REMOVED:
        return Action.FINISH
    if state.end is not None:
        return _after_end(state, state.end, seen, policy)
    end = find_end(state, seen, limits, policy)
    return EndWith(end) if end else _forward(state, seen, limits, policy)


def find_end(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> End | None:
    """Why the attempt can't go on; None while it can. The first reason that holds."""
    if seen.deleted or seen.gone:
        return End(reason=Reason.CANCELLED, message="the polecat was deleted")
    if seen.fenced:
        return End(reason=Reason.INTERRUPTED, message="the town pod could not renew its Lease")
    if seen.foreign:
        return End(reason=Reason.INTERRUPTED, message="the town pod that ran the agent was replaced")
    publishing = state.step is Step.PUBLISHING
    if seen.drain_hard or (seen.draining and not publishing):
        return End(reason=Reason.INTERRUPTED, message="the town pod is being stopped")
    if seen.failure:
        return seen.failure
    if seen.escalation is not None:
        return End(reason=Reason.ESCALATED, message=seen.escalation)
    if seen.over_memory is not None and not publishing:
        return End(reason=Reason.OUT_OF_MEMORY, message=seen.over_memory)
    if seen.short_of_memory is not None:
        return End(reason=Reason.INTERRUPTED, message=seen.short_of_memory)
    if publishing:
        return None
    if seen.model_failure is not None:
        return End(reason=Reason.MODEL_FAILED, message=seen.model_failure)
    if seen.exited:
        running = state.step is Step.RUNNING
        return End(
            reason=Reason.AGENT_FAILED if running else Reason.START_FAILED,
            message=seen.exit_message,
            exit_code=seen.exit_code,
            signal=seen.signal,
        )
    if seen.run_seconds > limits.run_seconds:
        return End(reason=Reason.TIMED_OUT, message=f"the attempt took longer than {limits.run_seconds} s")
    if state.step is Step.RUNNING and state.done is None:
        return _went_quiet(state, seen, limits, policy)
    return None


def _went_quiet(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> End | None:
    if seen.idle and state.nudges >= policy.nudges:
        return End(
            reason=Reason.WENT_QUIET,
            message=f"the agent stopped without calling done, and was asked {state.nudges} times to go on",
        )
    grace = min(limits.quiet_seconds, QUIET_GRACE_SECONDS)
    asked = seen.since_nudge_seconds is not None and seen.since_nudge_seconds >= grace
    if seen.quiet_seconds >= limits.quiet_seconds and (asked or state.nudges >= policy.nudges):
        return End(
            reason=Reason.WENT_QUIET,
            message=f"the agent showed no progress for {int(seen.quiet_seconds)} s, also when asked to go on",
        )
    return None


def _forward(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> Decision:
    if not seen.volume_ok and state.step is not Step.RUNNING:
        return Wait(policy.look_seconds)
    match state.step:
        case Step.CLAIMED:
            return Action.FETCH
        case Step.FETCHED:
            return Action.MAKE_WORKTREE
        case Step.WORKTREE:
            return Action.START_PROCESS if seen.binary_ok else Wait(policy.look_seconds)
        case Step.PROCESS:
            return Action.OPEN_SESSION
        case Step.SESSION:
            return Action.PROMPT
        case Step.RUNNING:
            return _running(state, seen, limits, policy)
        case _:
            return Action.PUBLISH


def _running(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> Decision:
    if state.done is not None:
        return Action.PUBLISH
    quiet = seen.quiet_seconds >= limits.quiet_seconds and seen.since_nudge_seconds is None
    if seen.idle or quiet:
        return Action.NUDGE
    if seen.progressed and seen.since_checkpoint_seconds >= policy.checkpoint_seconds:
        return Action.CHECKPOINT
    return Wait(policy.look_seconds)


def _after_end(state: LifeState, end: End, seen: Observation, policy: Policy) -> Decision:
    leaving = seen.deleted or seen.gone
    if end.success and not state.reported and not leaving:
        return Action.REPORT
    if seen.agent_present or not seen.stopped:
        return Action.STOP
    if not state.settled:
        return Action.SETTLE
    if not state.reported and not seen.gone:
        return Action.REPORT
    return Action.REMOVE if leaving else Wait(policy.look_seconds)


def interrupts(state: LifeState, seen: Observation, limits: BeadLimits, policy: Policy) -> bool:
    """Whether what is seen must cut short the action that is under way."""
    return state.end is None and find_end(state, seen, limits, policy) is not None
