"""What the supervisor remembers of one polecat, on disk, so that it can be killed at any moment."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from polecat_api.base import Time
from polecat_api.bead import BeadResult, Usage
from polecat_api.conditions import REASONS, Outcome, Reason
from polecat_api.polecat import AgentProcess, Polecat
from polecat_town.files import write_atomic


class Step(StrEnum):
    """How far a polecat is. Each name says what is already there."""

    CLAIMED = "Claimed"
    FETCHED = "Fetched"
    WORKTREE = "Worktree"
    PROCESS = "Process"
    SESSION = "Session"
    RUNNING = "Running"
    PUBLISHING = "Publishing"
    PUBLISHED = "Published"
    REMOVED = "Removed"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Identity(_Frozen):
    """Whom the state is about; enough to save the work when the Polecat object is gone."""

    uid: str
    namespace: str
    object_name: str
    name: str
    rig: str
    bead: str
    bead_uid: str
    attempt: int
    branch: str
    base_branch: str
    start_commit: str | None

    @classmethod
    def of(cls, polecat: Polecat) -> Self:
        """The identity that a Polecat's metadata and spec give."""
        spec = polecat.spec
        return cls(
            uid=polecat.metadata.uid,
            namespace=polecat.metadata.namespace,
            object_name=polecat.metadata.name,
            name=spec.name,
            rig=spec.rig_ref.name,
            bead=spec.bead_ref.name,
            bead_uid=spec.bead_ref.uid,
            attempt=spec.attempt,
            branch=spec.branch,
            base_branch=spec.base_branch,
            start_commit=spec.start_commit,
        )

    @property
    def log_fields(self) -> dict[str, object]:
        """The keys of a log line."""
        return {
            "rig": self.rig,
            "bead": self.bead,
            "polecat": self.object_name,
            "uid": self.uid,
            "attempt": self.attempt,
        }


class DoneCall(_Frozen):
    """What the agent said when it called `done`."""

    summary: str
    no_changes: bool


class End(_Frozen):
    """How the attempt ended."""

    reason: Reason
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None

    @property
    def success(self) -> bool:
        """Whether the bead is done with it."""
        return REASONS[self.reason].outcome is Outcome.SUCCESS


class LifeState(_Frozen):
    """All of it. Replaced as a whole after each step."""

    identity: Identity
    claim_time: Time
    """When this pod claimed it; `limits.runSeconds` counts from here."""
    step: Step = Step.CLAIMED
    announced: bool = False
    """Whether the journal says that it was claimed."""
    base_commit: str | None = None
    start_commit: str | None = None
    """The commit that the branch began from: the base, or work of an earlier attempt."""
    session_id: str | None = None
    home_made: bool = False
    """Whether HOME has been made anew for this polecat; the agent's sessions are in it from then on."""
    set_up: bool = False
    """Whether the rig's set-up command has succeeded in the worktree."""
    prompted: bool = False
    """Whether the agent has been given the work; it is asked to go on after that."""
    process: AgentProcess | None = None
    nudges: int = 0
    done: DoneCall | None = None
    refusal: str | None = None
    """Why the last `done` was refused, when nobody was there to hear it."""
    head_commit: str | None = None
    published_commit: str | None = None
    saved_commit: str | None = None
    saved_ref: str | None = None
    save_message: str = ""
    result: BeadResult | None = None
    usage: Usage = Usage()
    end: End | None = None
    settled: bool = False
    """Whether all work is safe: published, saved, or there was none."""
    reported: bool = False
    """Whether the API server has confirmed the Finished condition."""

    @property
    def has_worktree(self) -> bool:
        """Whether the worktree has been made."""
        return self.step not in (Step.CLAIMED, Step.FETCHED)

    @property
    def last_commit(self) -> str | None:
        """The last commit of its work that the store has."""
        return self.published_commit or self.saved_commit or self.head_commit

    def but(self, **changes: object) -> Self:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    def resumed(self) -> Self:
        """The state from which a new supervisor goes on: no process has survived the last one."""
        if self.step in (Step.WORKTREE, Step.PROCESS, Step.SESSION, Step.RUNNING):
            return self.but(step=Step.FETCHED, process=None)
        return self.but(process=None)


def load_state(path: Path) -> LifeState | None:
    """The state in a file; None when there is none or it can't be read (then nothing of it can be trusted)."""
    try:
        return LifeState.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def save_state(path: Path, state: LifeState, *, durable: bool = True) -> None:
    """Writes the state so that a kill leaves the old or the new one. Raises OSError.

    On the event loop, as the order of what is written must be that of what is decided: half a millisecond, some
    milliseconds on a busy disk, and a few times in each life.
    """
    write_atomic(path, state.model_dump_json(), durable=durable)
