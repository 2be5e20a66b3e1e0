"""Polecat: one named agent, on one attempt at one bead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from polecat_api.base import ApiModel, Conditions, LabelRef, NameRef, Resource, Time, UidRef, rule
from polecat_api.bead import BeadLimits, BeadResult, Commit, GitRef, Usage
from polecat_api.names import NAME_PATTERN


class PolecatSpec(ApiModel):
    """The licence to run one agent process. Written once by the operator, never changed."""

    name: Annotated[str, Field(min_length=1, max_length=24, pattern=NAME_PATTERN)]
    """The agent's name (toast)."""
    rig_ref: LabelRef
    """The rig whose repository it works in."""
    town_ref: LabelRef
    """The town that runs it."""
    bead_ref: UidRef
    """The bead it works on; the UID must be that of the living object."""
    attempt: Annotated[int, Field(ge=1)]
    """Serial number of this start among all starts of the bead."""
    pod: Annotated[str, Field(min_length=1, max_length=63)]
    """The town pod that may claim it."""
    branch: Annotated[str, Field(min_length=1, max_length=255)]
    """The branch it works on and publishes to."""
    base_branch: Annotated[str, Field(min_length=1, max_length=200)]
    """The branch of the remote that a fresh start begins from."""
    start_commit: Commit | None = None
    """Saved commit of an earlier attempt to go on from, if any."""
    title: Annotated[str, Field(max_length=200)]
    """The bead's title."""
    model: Annotated[str, Field(min_length=1, max_length=200)]
    """The model to use, without its provider."""
    limits: BeadLimits
    """The bead's limits at the start of the attempt."""
    token_secret_ref: NameRef
    """The Secret with the agent's JWT, under the key `token`."""


class Claim(ApiModel):
    """Which pod has taken the polecat. Set once."""

    pod: Annotated[str, Field(max_length=63)]
    """Name of the town pod."""
    pod_uid: Annotated[str, Field(max_length=64, alias="podUID")]
    """UID of that pod: its life, not its name."""
    time: Time
    """When it was claimed."""


class AgentProcess(ApiModel):
    """The agent's process, so that it can't be taken for another with the same number."""

    pid: Annotated[int, Field(ge=1)]
    """Process id inside the pod."""
    start_time: Time
    """When the process started."""


class Exit(ApiModel):
    """How the attempt ended."""

    reason: Annotated[str, Field(max_length=64)]
    """The same word as the reason of the Finished condition."""
    exit_code: int | None = None
    """Exit status of the process, if it exited by itself."""
    signal: int | None = None
    """Number of the signal that ended it, if any."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """The cause, for people."""
    log_tail: Annotated[str, Field(max_length=2048)] = ""
    """The last of what the process printed, without secrets, up to 2 KiB."""


class PolecatStatus(ApiModel):
    """What the agent is doing. Written by the supervisor of the claiming pod alone."""

    claim: Claim | None = None
    """The pod that has taken it."""
    process: AgentProcess | None = None
    """The agent's process."""
    session_id: Annotated[str | None, Field(max_length=128, alias="sessionID")] = None
    """The agent CLI's own session."""
    worktree: Annotated[str, Field(max_length=1024)] | None = None
    """Directory of the worktree, relative to the town's volume."""
    heartbeat_time: Time | None = None
    """When the supervisor last saw the process alive; reported about every 30 s."""
    progress_time: Time | None = None
    """When the agent last did something."""
    activity: Annotated[str, Field(max_length=200)] | None = None
    """What it is doing, e.g. `bash: npm test`."""
    base_commit: Commit | None = None
    """The commit of the base branch that the work is counted from."""
    head_commit: Commit | None = None
    """The last commit that the town has taken over from the agent."""
    published_commit: Commit | None = None
    """The commit that the remote's branch was verified to hold."""
    saved_commit: Commit | None = None
    """Work saved from an attempt that did not finish."""
    saved_ref: GitRef | None = None
    """The ref that holds `savedCommit`."""
    result: BeadResult | None = None
    """What was done."""
    usage: Usage | None = None
    """Tokens and cost of this attempt."""
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory that the agent and its children used when they were last measured, in bytes."""
    cpu_millicores: Annotated[int, Field(ge=0)] = 0
    """CPU that they used since the measurement before, in thousandths of a core."""
    exit: Exit | None = None
    """How it ended."""
    conditions: Conditions
    """Ready (the process answers), Finished (with the outcome as its reason)."""


class Polecat(Resource):
    """One named agent on one attempt at one bead. The object is the claim on its name."""

    spec: PolecatSpec
    """The licence to run one agent process."""
    status: PolecatStatus = Field(default_factory=lambda: PolecatStatus(conditions=[]))
    """What the agent is doing."""

    @staticmethod
    def root_rules() -> list[dict[str, str]]:
        """CEL rules at the root."""
        return [
            rule(
                "self.spec == oldSelf.spec",
                "the spec of a Polecat never changes; to stop it, suspend or delete its Bead",
                ".spec",
            ),
            rule(
                "!has(oldSelf.status) || !has(oldSelf.status.claim) || "
                "(has(self.status) && has(self.status.claim) && self.status.claim == oldSelf.status.claim)",
                "a claim is made once; another pod gets another Polecat",
                ".status.claim",
            ),
            rule(
                "self.metadata.name == self.spec.rigRef.name + '-' + self.spec.name",
                "a Polecat is named <rig>-<name>; Polecats are made by the operator, apply a Bead instead",
            ),
        ]
