"""What the supervisor does next, as a table of stories and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_api.bead import BeadLimits
from polecat_api.conditions import REASONS, Outcome, Reason
from polecat_town.life.state import DoneCall, End, LifeState, Step
from polecat_town.life.steps import Action, EndWith, Observation, Policy, Wait, decide, interrupts
from support.town_made import BASE, HEAD, state

LIMITS = BeadLimits()
POLICY = Policy(nudges=3, checkpoint_seconds=180)
RUNNING = Observation(agent_present=True)
DONE = DoneCall(summary="done", no_changes=False)


def next_of(at: LifeState, seen: Observation = RUNNING, limits: BeadLimits = LIMITS) -> object:
    """The decision; for an end its reason."""
    decision = decide(at, seen, limits, POLICY)
    return decision.end.reason if isinstance(decision, EndWith) else decision


@pytest.mark.parametrize(
    ("step", "action"),
    [
        (Step.CLAIMED, Action.FETCH),
        (Step.FETCHED, Action.MAKE_WORKTREE),
        (Step.WORKTREE, Action.START_PROCESS),
        (Step.PROCESS, Action.OPEN_SESSION),
        (Step.SESSION, Action.PROMPT),
        (Step.PUBLISHING, Action.PUBLISH),
        (Step.REMOVED, Action.FINISH),
    ],
)
def test_one_step_follows_the_other(step: Step, action: Action) -> None:
    assert next_of(state(step)) is action


def test_a_working_agent_is_left_alone() -> None:
    assert isinstance(next_of(state(Step.RUNNING)), Wait)
    assert isinstance(next_of(state(Step.RUNNING), Observation(agent_present=True, quiet_seconds=1799)), Wait)


def test_no_agent_is_started_while_the_cli_is_broken() -> None:
    assert isinstance(next_of(state(Step.WORKTREE), Observation(binary_ok=False)), Wait)


@pytest.mark.parametrize(
    "step", [Step.CLAIMED, Step.FETCHED, Step.WORKTREE, Step.PROCESS, Step.SESSION, Step.PUBLISHING]
)
def test_nothing_is_begun_while_the_volume_takes_nothing(step: Step) -> None:
    assert isinstance(next_of(state(step), Observation(agent_present=True, volume_ok=False)), Wait)


def test_done_is_published() -> None:
    assert next_of(state(Step.RUNNING, done=DONE)) is Action.PUBLISH


def test_an_idle_agent_is_asked_three_times() -> None:
    idle = Observation(agent_present=True, idle=True)
    assert [next_of(state(Step.RUNNING, nudges=n), idle) for n in range(4)] == [
        Action.NUDGE,
        Action.NUDGE,
        Action.NUDGE,
        Reason.WENT_QUIET,
    ]


def test_a_quiet_agent_is_asked_once_and_then_stopped() -> None:
    at = state(Step.RUNNING)
    quiet = Observation(agent_present=True, quiet_seconds=1800)
    assert next_of(at, quiet) is Action.NUDGE
    asked = at.but(nudges=1)
    waiting = Observation(agent_present=True, quiet_seconds=1900, since_nudge_seconds=100)
    assert isinstance(next_of(asked, waiting), Wait)
    over = Observation(agent_present=True, quiet_seconds=2101, since_nudge_seconds=301)
    assert next_of(asked, over) is Reason.WENT_QUIET


def test_checkpoints_follow_progress_only() -> None:
    due = Observation(agent_present=True, since_checkpoint_seconds=200, progressed=True)
    assert next_of(state(Step.RUNNING), due) is Action.CHECKPOINT
    still = Observation(agent_present=True, since_checkpoint_seconds=200, progressed=False)
    assert isinstance(next_of(state(Step.RUNNING), still), Wait)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Observation(deleted=True), Reason.CANCELLED),
        (Observation(gone=True), Reason.CANCELLED),
        (Observation(fenced=True), Reason.INTERRUPTED),
        (Observation(foreign=True), Reason.INTERRUPTED),
        (Observation(draining=True), Reason.INTERRUPTED),
        (Observation(over_memory="much"), Reason.OUT_OF_MEMORY),
        (Observation(short_of_memory="all"), Reason.INTERRUPTED),
        (Observation(over_memory="much", short_of_memory="all"), Reason.OUT_OF_MEMORY),
        (Observation(model_failure="401"), Reason.MODEL_FAILED),
        (Observation(escalation="Which?"), Reason.ESCALATED),
        (Observation(exited=True, exit_code=1), Reason.AGENT_FAILED),
        (Observation(run_seconds=14401), Reason.TIMED_OUT),
    ],
)
def test_what_ends_an_attempt(seen: Observation, reason: Reason) -> None:
    assert next_of(state(Step.RUNNING), seen) is reason
    assert interrupts(state(Step.RUNNING), seen, LIMITS, POLICY)


def test_a_process_that_ends_before_it_worked_has_not_started() -> None:
    assert next_of(state(Step.SESSION), Observation(exited=True)) is Reason.START_FAILED


def test_publishing_is_not_disturbed_by_what_the_agent_does() -> None:
    at = state(Step.PUBLISHING, done=DONE)
    seen = Observation(exited=True, run_seconds=99999, idle=True, over_memory="much", draining=True)
    assert next_of(at, seen) is Action.PUBLISH
    assert next_of(at, Observation(drain_hard=True)) is Reason.INTERRUPTED
    assert next_of(at, Observation(short_of_memory="all")) is Reason.INTERRUPTED
    assert next_of(at, Observation(deleted=True)) is Reason.CANCELLED


def test_success_is_told_first_and_failure_when_the_work_is_safe() -> None:
    done = state(Step.PUBLISHED, end=End(reason=Reason.DONE), settled=True)
    assert next_of(done) is Action.REPORT
    assert next_of(done.but(reported=True)) is Action.STOP

    failed = state(Step.RUNNING, end=End(reason=Reason.TIMED_OUT))
    assert next_of(failed) is Action.STOP
    stopped = Observation(stopped=True)
    assert next_of(failed, stopped) is Action.SETTLE
    assert next_of(failed.but(settled=True), stopped) is Action.REPORT
    assert isinstance(next_of(failed.but(settled=True, reported=True), stopped), Wait)


def test_removal_comes_last_and_needs_a_deletion() -> None:
    at = state(Step.RUNNING, end=End(reason=Reason.CANCELLED), settled=True)
    assert next_of(at, Observation(deleted=True, stopped=True)) is Action.REPORT
    assert next_of(at.but(reported=True), Observation(deleted=True, stopped=True)) is Action.REMOVE
    # Nobody is there to be told.
    assert next_of(at, Observation(gone=True, stopped=True)) is Action.REMOVE


def test_a_new_supervisor_goes_on_from_the_worktree() -> None:
    for step in (Step.WORKTREE, Step.PROCESS, Step.SESSION, Step.RUNNING):
        assert next_of(state(step).resumed(), Observation()) is Action.MAKE_WORKTREE
    assert next_of(state(Step.PUBLISHING, done=DONE).resumed(), Observation()) is Action.PUBLISH


SEEN = st.builds(
    Observation,
    deleted=st.booleans(),
    gone=st.booleans(),
    foreign=st.booleans(),
    draining=st.booleans(),
    drain_hard=st.booleans(),
    fenced=st.booleans(),
    binary_ok=st.booleans(),
    agent_present=st.booleans(),
    stopped=st.booleans(),
    exited=st.booleans(),
    idle=st.booleans(),
    quiet_seconds=st.floats(0, 10_000),
    since_nudge_seconds=st.none() | st.floats(0, 10_000),
    run_seconds=st.floats(0, 100_000),
    since_checkpoint_seconds=st.floats(0, 1000),
    progressed=st.booleans(),
    over_memory=st.none() | st.just("much"),
    model_failure=st.none() | st.just("401"),
    escalation=st.none() | st.just("?"),
)
REASON = st.sampled_from([reason for reason, info in REASONS.items() if info.outcome is not None])
STATES = st.builds(
    state,
    st.sampled_from(list(Step)),
    nudges=st.integers(0, 5),
    done=st.none() | st.just(DONE),
    base_commit=st.none() | st.just(BASE),
    published_commit=st.none() | st.just(HEAD),
    end=st.none() | st.builds(End, reason=REASON),
    settled=st.booleans(),
    reported=st.booleans(),
)


@given(STATES, SEEN)
def test_nothing_is_removed_before_the_work_is_safe_and_all_processes_are_gone(
    at: LifeState, seen: Observation
) -> None:
    if decide(at, seen, LIMITS, POLICY) is Action.REMOVE:
        assert at.end is not None
        assert at.settled
        assert seen.stopped
        assert not seen.agent_present
        assert at.reported or seen.gone
        assert seen.deleted or seen.gone


@given(STATES, SEEN)
def test_no_process_is_started_for_an_attempt_that_is_over(at: LifeState, seen: Observation) -> None:
    decision = decide(at, seen, LIMITS, POLICY)
    if decision in (Action.START_PROCESS, Action.PROMPT, Action.NUDGE, Action.PUBLISH):
        assert at.end is None
        assert not (seen.deleted or seen.gone or seen.fenced or seen.foreign)


@given(STATES, SEEN)
def test_an_end_is_settled_reported_and_then_waited_on(at: LifeState, seen: Observation) -> None:
    """Whatever is seen, obeying the decisions comes to rest."""
    present, stopped = seen.agent_present, seen.stopped
    for _ in range(12):
        now = Observation(deleted=seen.deleted, gone=seen.gone, fenced=True, agent_present=present, stopped=stopped)
        match decide(at, now, LIMITS, POLICY):
            case EndWith(end):
                at = at.but(end=end)
            case Action.STOP:
                present, stopped = False, True
            case Action.SETTLE:
                at = at.but(settled=True)
            case Action.REPORT:
                at = at.but(reported=True)
            case Action.REMOVE:
                at = at.but(step=Step.REMOVED)
            case Wait():
                assert at.reported
                assert at.settled
                assert stopped
                return
            case Action.FINISH:
                return
            case other:
                raise AssertionError(f"{other} after the end")
    raise AssertionError("does not come to rest")


def test_every_reason_that_ends_has_an_outcome() -> None:
    assert REASONS[Reason.DONE].outcome is Outcome.SUCCESS
    assert End(reason=Reason.NO_CHANGES).success
    assert not End(reason=Reason.CANCELLED).success
