"""The schema of streams: what is written about one attempt at a bead. Version 1; the page is made from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Kind(StrEnum):
    """Kinds of events. What `data` holds for each stands in `DATA`."""

    # of the supervisor
    CLAIMED = "claimed"
    WORKTREE = "worktree"
    PROCESS = "process"
    SESSION = "session"
    PROMPT = "prompt"
    MODEL_REQUEST = "model-request"
    NUDGED = "nudged"
    DONE_CALLED = "done-called"
    CHECK = "check"
    REFUSED = "refused"
    PUSHED = "pushed"
    CHECKPOINT = "checkpoint"
    SAVED = "saved"
    ENDED = "ended"
    # of the agent
    STATUS = "status"
    TEXT_DELTA = "text-delta"
    TEXT = "text"
    TOOL = "tool"
    TOOL_OUTPUT = "tool-output"
    EDIT = "edit"
    STEP = "step"
    ASKED = "asked"
    ERROR = "error"


PIECES = frozenset({Kind.TEXT_DELTA, Kind.TOOL_OUTPUT})
"""Pieces of what comes as a whole later; they are left out of the copy on standard output."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class Claimed(_Data):
    """A supervisor has taken the attempt."""

    polecat: str
    """Object name of the Polecat."""
    branch: str
    """Its branch."""
    attempt: int
    """Serial number of the start over the bead's whole life."""


class Worktree(_Data):
    """The agent's worktree is there."""

    path: str
    """Where it is in the town."""
    base_commit: Annotated[str | None, Field(alias="baseCommit")]
    """The base branch's commit."""
    start_commit: Annotated[str | None, Field(alias="startCommit")]
    """The commit that the work begins from: the base, or what an earlier attempt has left."""


class Process(_Data):
    """The agent's process was started."""

    pid: int
    """Its number in the town."""


class Session(_Data):
    """The agent has a session."""

    session_id: Annotated[str, Field(alias="sessionID")]
    """Name of the session in the agent."""
    resumed: bool
    """Whether it goes on with what was said before a restart."""


class Prompt(_Data):
    """The agent was given the work, or was asked to go on after a restart."""

    text: str
    """What it was told."""


class ModelRequest(_Data):
    """The first request to the model: from here on the agent really works."""

    model: str
    """The model's name."""


class Nudged(_Data):
    """The agent had stopped, or was quiet, and was asked to go on."""

    number: int
    """How often by now."""
    why: Literal["idle", "quiet"]
    """`idle`: it had stopped; `quiet`: it said nothing for too long."""


class DoneCalled(_Data):
    """The agent says that the work is done."""

    summary: str
    """What it did."""
    no_changes: Annotated[bool, Field(alias="noChanges")]
    """Whether it says that nothing had to be changed."""


class Check(_Data):
    """One of the rig's checks has run."""

    command: str
    """The command."""
    passed: bool
    """Whether it succeeded."""
    output: str
    """The end of what it printed."""


class Refused(_Data):
    """`done` was not accepted."""

    why: str
    """What the agent was told."""


class Pushed(_Data):
    """The work is on the remote, which was asked."""

    commit: str
    """The commit."""
    branch: str
    """The branch that holds it."""


class Checkpoint(_Data):
    """Commits were taken over into the town's store."""

    commit: str
    """The last one."""
    note: str
    """What the agent says about it."""


class Saved(_Data):
    """Unfinished work is safe."""

    commit: str
    """The commit."""
    ref: str
    """The ref that holds it."""
    on_remote: Annotated[bool, Field(alias="onRemote")]
    """Whether the remote has it; if not, the town's store alone."""


class Ended(_Data):
    """How the attempt ended. Saving and the agent's last words may follow."""

    reason: str
    """One of the reasons in conditions.md."""
    message: str
    """A sentence for people."""


class Status(_Data):
    """The agent says what it does."""

    message: str
    """Its words."""


class TextDelta(_Data):
    """The agent goes on writing."""

    part: str
    """Which text this belongs to."""
    text: str
    """What was added since the last event of this part (of at most about 50 ms)."""
    reasoning: bool
    """Whether the agent says it to itself."""


class Text(_Data):
    """A text is complete. It takes the place of all deltas of its part."""

    part: str
    """The same as in its deltas; it stands where the first of them stands."""
    text: str
    """All of it."""
    reasoning: bool
    """Whether the agent says it to itself."""


class Tool(_Data):
    """A tool call began or ended; both have the same `callID`."""

    call_id: Annotated[str, Field(alias="callID")]
    """Which call."""
    tool: str
    """Name of the tool."""
    state: Literal["running", "completed", "error"]
    """A command that fails is `completed`, too: see `exitCode`."""
    title: str = ""
    """A few words about it, once it has ended."""
    input: dict[str, Any] = Field(default_factory=dict)
    """What it was called with."""
    output: str = ""
    """What it gave, once it has ended. It takes the place of all `tool-output` of the call."""
    error: str = ""
    """Why it failed."""
    exit_code: Annotated[int | None, Field(alias="exitCode")] = None
    """Exit code of a command that has ended."""


class ToolOutput(_Data):
    """A tool call that runs has printed more."""

    call_id: Annotated[str, Field(alias="callID")]
    """Which call."""
    text: str
    """What was added."""


class Edit(_Data):
    """The agent's tools have changed a file. What commands change is not told."""

    call_id: Annotated[str, Field(alias="callID")]
    """The tool call that did it."""
    path: str
    """The file, from the top of the worktree."""
    diff: str
    """A unified diff; empty if the tool gave none."""
    additions: int
    """Lines added."""
    deletions: int
    """Lines removed."""


class Step(_Data):
    """One answer of the model is complete."""

    input_tokens: Annotated[int, Field(alias="inputTokens")]
    """Tokens read, those from the provider's cache included."""
    output_tokens: Annotated[int, Field(alias="outputTokens")]
    """Tokens written, reasoning included."""
    cost_micro_usd: Annotated[int, Field(alias="costMicroUSD")]
    """Price in millionths of a US dollar; 0 when none is known."""


class Asked(_Data):
    """The agent asked for a permission or an answer, and got the supervisor's: nobody is there to ask."""

    what: Literal["permission", "question"]
    """What it wanted."""
    text: str
    """The question, or what the permission is for."""
    answer: str
    """`always` (allowed: its domain is what holds it) or `rejected`."""


class Error(_Data):
    """Something went wrong: with the model, or in the agent."""

    message: str
    """What."""


DATA: dict[Kind, type[BaseModel]] = {
    Kind.CLAIMED: Claimed,
    Kind.WORKTREE: Worktree,
    Kind.PROCESS: Process,
    Kind.SESSION: Session,
    Kind.PROMPT: Prompt,
    Kind.MODEL_REQUEST: ModelRequest,
    Kind.NUDGED: Nudged,
    Kind.DONE_CALLED: DoneCalled,
    Kind.CHECK: Check,
    Kind.REFUSED: Refused,
    Kind.PUSHED: Pushed,
    Kind.CHECKPOINT: Checkpoint,
    Kind.SAVED: Saved,
    Kind.ENDED: Ended,
    Kind.STATUS: Status,
    Kind.TEXT_DELTA: TextDelta,
    Kind.TEXT: Text,
    Kind.TOOL: Tool,
    Kind.TOOL_OUTPUT: ToolOutput,
    Kind.EDIT: Edit,
    Kind.STEP: Step,
    Kind.ASKED: Asked,
    Kind.ERROR: Error,
}
"""What `data` of each kind holds."""


class StreamEvent(BaseModel):
    """One event: a line of the journal, the `data:` of the stream."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    seq: int
    """Number within the attempt, from 1, without gaps, also across restarts of the supervisor."""
    time: str
    """RFC 3339, UTC, milliseconds."""
    kind: Kind
    """What happened."""
    data: dict[str, Any]
    """Fields of this kind."""
