"""What the API server is told of a polecat: its whole status, built from the state. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from polecat_api.base import Condition
from polecat_api.conditions import ConditionStatus, Reason, Type, decide_condition
from polecat_api.polecat import Claim, Exit, PolecatStatus
from polecat_town.life.state import LifeState, Step


@dataclass(frozen=True, slots=True)
class Live:
    """What changes too often to be kept on disk."""

    alive: bool = False
    """The agent's process was seen alive."""
    heartbeat_time: datetime | None = None
    progress_time: datetime | None = None
    activity: str | None = None
    worktree: str | None = None
    """Relative to the town's volume."""
    publishing: bool = False
    """Publishing takes long enough to be worth telling."""
    memory_bytes: int = 0
    cpu_millicores: int = 0
    """Of the agent and its children, as last measured."""
    log_tail: str = ""
    trouble: str = ""
    """What keeps its work from being made safe, or its place from being cleared."""


def conditions_of(
    state: LifeState, live: Live, before: Sequence[Condition], now: datetime, generation: int
) -> list[Condition]:
    """Ready and Finished."""
    ready: ConditionStatus = "False"
    finished: ConditionStatus = "False"
    message = ""
    if state.end is not None and state.settled:
        reason, finished = state.end.reason, "True"
        message = _together(state.end.message, state.save_message, live.trouble)
    elif state.end is not None:
        reason, message = Reason.STOPPING, _together(state.end.message, live.trouble)
    elif live.publishing:
        reason, ready = Reason.PUBLISHING, "True" if live.alive else "False"
    elif state.step in (Step.RUNNING, Step.PUBLISHING) and live.alive:
        reason, ready = Reason.RUNNING, "True"
    else:
        reason = Reason.STARTING
    message = message[:4096]
    return [
        decide_condition(before, Type.READY, ready, reason, message, now=now, generation=generation),
        decide_condition(before, Type.FINISHED, finished, reason, message, now=now, generation=generation),
    ]


def _together(*parts: str) -> str:
    """What there is to say, in one sentence."""
    said = [part for part in parts if part]
    return "; ".join([*(part.rstrip(".") for part in said[:-1]), *said[-1:]])


def build_status(
    state: LifeState, live: Live, claim: Claim, before: Sequence[Condition], now: datetime, generation: int
) -> PolecatStatus:
    """The whole status; replaces what is there, so an edit by hand heals."""
    finished = state.end is not None and state.settled
    end = state.end if finished else None
    return PolecatStatus(
        claim=claim,
        process=state.process,
        session_id=state.session_id,
        worktree=live.worktree,
        heartbeat_time=live.heartbeat_time,
        progress_time=live.progress_time,
        activity=live.activity,
        base_commit=state.base_commit,
        head_commit=state.head_commit,
        published_commit=state.published_commit,
        saved_commit=state.saved_commit,
        saved_ref=state.saved_ref,
        result=state.result,
        usage=state.usage,
        memory_bytes=live.memory_bytes,
        cpu_millicores=live.cpu_millicores,
        exit=Exit(
            reason=end.reason,
            exit_code=end.exit_code,
            signal=end.signal,
            message=end.message[:4096],
            log_tail=_fit(live.log_tail, 2048),
        )
        if end
        else None,
        conditions=conditions_of(state, live, before, now, generation),
    )


def _fit(text: str, longest: int) -> str:
    return text[-longest:]
