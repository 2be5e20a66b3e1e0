"""Condition types and reasons: every word that a condition can carry, explained once.

The reference page of the docs is generated from these tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from polecat_api.base import Condition

ConditionStatus = Literal["True", "False", "Unknown"]


class Type(StrEnum):
    """Condition types, with the kinds that carry them in the comment."""

    SUCCEEDED = "Succeeded"  # Bead
    READY = "Ready"  # all
    RECONCILING = "Reconciling"  # Bead, Town
    STALLED = "Stalled"  # Bead, Rig, Town
    REPOSITORY_READY = "RepositoryReady"  # Rig
    PROGRESSING = "Progressing"  # Town
    ISOLATED = "Isolated"  # Town
    FINISHED = "Finished"  # Polecat


class Outcome(StrEnum):
    """To whom the end of a polecat is counted."""

    SUCCESS = "success"  # an attempt; the bead is done
    AGENT = "agent"  # an attempt; tried again while attempts are left
    INFRASTRUCTURE = "infrastructure"  # an interruption; tried again without using up attempts
    FINAL = "final"  # an attempt; the bead ends, as trying again can't help
    CANCELLED = "cancelled"  # neither: somebody wanted it to stop


class Reason(StrEnum):
    """Reasons of all conditions."""

    # a bead that waits
    QUEUED = "Queued"
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    RIG_FULL = "RigFull"
    TOWN_FULL = "TownFull"
    RIG_NOT_READY = "RigNotReady"
    TOWN_NOT_READY = "TownNotReady"
    BACKING_OFF = "BackingOff"
    BREAKER_OPEN = "BreakerOpen"
    SUSPENDED = "Suspended"
    INVALID_REFERENCE = "InvalidReference"
    DEPENDENCY_CYCLE = "DependencyCycle"
    UNREADABLE = "Unreadable"
    # a bead or polecat under way
    STARTING = "Starting"
    RUNNING = "Running"
    PUBLISHING = "Publishing"
    STOPPING = "Stopping"
    # the end of a polecat, and of a bead
    DONE = "Done"
    NO_CHANGES = "NoChanges"
    ESCALATED = "Escalated"
    ATTEMPTS_EXHAUSTED = "AttemptsExhausted"
    DEPENDENCY_FAILED = "DependencyFailed"
    TIMED_OUT = "TimedOut"
    WENT_QUIET = "WentQuiet"
    AGENT_FAILED = "AgentFailed"
    MODEL_FAILED = "ModelFailed"
    SETUP_FAILED = "SetupFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    START_FAILED = "StartFailed"
    PUBLISH_FAILED = "PublishFailed"
    INTERRUPTED = "Interrupted"
    POD_LOST = "PodLost"
    CANCELLED = "Cancelled"
    # rigs and towns
    REPOSITORY_OK = "RepositoryOk"
    REPOSITORY_UNREACHABLE = "RepositoryUnreachable"
    PUSH_REFUSED = "PushRefused"
    BRANCH_MISSING = "BranchMissing"
    BRANCH_BLOCKED = "BranchBlocked"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_MALFORMED = "CredentialsMalformed"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    HOST_NOT_TRUSTED = "HostNotTrusted"
    PROXY_FAILED = "ProxyFailed"
    SSH_CLIENT_MISSING = "SshClientMissing"
    NOT_CHECKED = "NotChecked"
    POD_MISSING = "PodMissing"
    POD_SILENT = "PodSilent"
    AGENT_BINARY_BROKEN = "AgentBinaryBroken"
    DISK_FULL = "DiskFull"
    VOLUME_NOT_WRITABLE = "VolumeNotWritable"
    ISOLATION_FULL = "IsolationFull"
    ISOLATION_PARTIAL = "IsolationPartial"
    ISOLATION_NONE = "IsolationNone"
    SCALING = "Scaling"
    ROLLING_OUT = "RollingOut"
    MEMORY_TOO_SMALL = "MemoryTooSmall"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    VOLUME_UNBOUND = "VolumeUnbound"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_REFUSED = "PodRefused"
    CONTAINER_CRASHING = "ContainerCrashing"
    POD_OUT_OF_MEMORY = "PodOutOfMemory"
    WORKLOAD_REFUSED = "WorkloadRefused"
    RIGHTS_MISSING = "RightsMissing"
    OK = "Ok"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """What a reason means to the person who reads it."""

    state: str
    """The word in `status.state` of a bead."""
    meaning: str
    """One sentence, shown in the reference."""
    outcome: Outcome | None = None
    """Set for the reasons that a Polecat's Finished condition can have."""


REASONS: dict[Reason, ReasonInfo] = {
    Reason.QUEUED: ReasonInfo("Queued", "The bead may start and is about to get a polecat."),
    Reason.WAITING_FOR_DEPENDENCY: ReasonInfo("Waiting", "A bead in `dependsOn` has not succeeded yet or does not exist."),
    Reason.RIG_FULL: ReasonInfo("Queued", "The rig runs as many polecats as `polecats.max` allows."),
    Reason.TOWN_FULL: ReasonInfo("Queued", "Every slot of the town, or its memory, is in use."),
    Reason.RIG_NOT_READY: ReasonInfo("Waiting", "The rig's repository can't be read or pushed to; the rig's conditions say why."),
    Reason.TOWN_NOT_READY: ReasonInfo("Waiting", "No pod of the town can take work; the town's conditions say why."),
    Reason.BACKING_OFF: ReasonInfo("BackingOff", "The last try failed; the next one starts at `nextAttemptTime`."),
    Reason.BREAKER_OPEN: ReasonInfo("Waiting", "Several beads in a row failed on this rig or town; a single one is let through after a pause."),
    Reason.SUSPENDED: ReasonInfo("Suspended", "`spec.suspend` is set; saved work is kept, and clearing it goes on from there."),
    Reason.INVALID_REFERENCE: ReasonInfo("Waiting", "The rig, or the rig's town, does not exist; the bead starts by itself when it does."),
    Reason.DEPENDENCY_CYCLE: ReasonInfo("Waiting", "The bead waits, through `dependsOn`, for itself; the message names the way round."),
    Reason.UNREADABLE: ReasonInfo("Waiting", "The object can't be read by this version of the operator; the message says which field."),
    Reason.STARTING: ReasonInfo("Starting", "A polecat has been declared, and its agent is being started."),
    Reason.RUNNING: ReasonInfo("Running", "The agent is at work."),
    Reason.PUBLISHING: ReasonInfo("Publishing", "The agent called `done`; checks, push and verification are under way."),
    Reason.STOPPING: ReasonInfo("Stopping", "The agent is being stopped and its work saved."),
    Reason.DONE: ReasonInfo("Done", "The branch on the remote holds the work; this was verified.", Outcome.SUCCESS),
    Reason.NO_CHANGES: ReasonInfo("Done", "The agent found that nothing had to be changed.", Outcome.SUCCESS),
    Reason.ESCALATED: ReasonInfo("Failed", "The agent asked a person; the question is in the message. `rerun` goes on from the saved work.", Outcome.FINAL),
    Reason.ATTEMPTS_EXHAUSTED: ReasonInfo("Failed", "`limits.attempts` attempts have failed; the message tells the last failure."),
    Reason.DEPENDENCY_FAILED: ReasonInfo("Failed", "A bead in `dependsOn` ended without success."),
    Reason.TIMED_OUT: ReasonInfo("Failed", "The attempt took longer than `limits.runSeconds`.", Outcome.AGENT),
    Reason.WENT_QUIET: ReasonInfo("Failed", "The agent stopped without calling `done`, and asking it to go on did not help.", Outcome.AGENT),
    Reason.AGENT_FAILED: ReasonInfo("Failed", "The agent's process ended or broke in the middle of the work.", Outcome.AGENT),
    Reason.MODEL_FAILED: ReasonInfo("Failed", "The model's endpoint did not answer usably; the message has its words.", Outcome.AGENT),
    Reason.SETUP_FAILED: ReasonInfo("Failed", "The rig's `setupCommand` failed in the new worktree.", Outcome.AGENT),
    Reason.OUT_OF_MEMORY: ReasonInfo("Failed", "The agent used more than the town's `agentMemory` and was stopped alone.", Outcome.AGENT),
    Reason.START_FAILED: ReasonInfo("Failed", "The agent's process, session or worktree could not be made.", Outcome.INFRASTRUCTURE),
    Reason.PUBLISH_FAILED: ReasonInfo("Failed", "The remote did not take the commit; the work is saved in the town.", Outcome.INFRASTRUCTURE),
    Reason.INTERRUPTED: ReasonInfo("Failed", "The town pod was stopped or drained while the agent worked.", Outcome.INFRASTRUCTURE),
    Reason.POD_LOST: ReasonInfo("Failed", "The town pod that ran the agent is gone.", Outcome.INFRASTRUCTURE),
    Reason.CANCELLED: ReasonInfo("Stopping", "The bead was deleted or suspended, or the polecat was deleted.", Outcome.CANCELLED),
    Reason.REPOSITORY_OK: ReasonInfo("", "Fetching and a dry run of a push both worked."),
    Reason.REPOSITORY_UNREACHABLE: ReasonInfo("", "The repository could not be fetched; the message has Git's words."),
    Reason.PUSH_REFUSED: ReasonInfo("", "The repository can be read, but a dry run of a push was refused."),
    Reason.BRANCH_MISSING: ReasonInfo("", "The rig's default branch does not exist in the repository."),
    Reason.BRANCH_BLOCKED: ReasonInfo("", "The repository has a branch with the name of the rig's branch prefix, so no branch can be made below it."),
    Reason.CREDENTIALS_MISSING: ReasonInfo("", "A Secret that the rig names does not exist or lacks a key."),
    Reason.CREDENTIALS_MALFORMED: ReasonInfo("", "A value in the repository's Secret can't be used: a damaged key, a key with a passphrase, no certificate."),
    Reason.CREDENTIALS_REFUSED: ReasonInfo("", "The remote does not accept what the repository's Secret holds, or does not open the repository to it."),
    Reason.HOST_NOT_TRUSTED: ReasonInfo("", "The remote's SSH host key or TLS certificate is not one that is trusted; nothing was sent to it."),
    Reason.PROXY_FAILED: ReasonInfo("", "The proxy before the repository can't be reached, or does not let the town through."),
    Reason.SSH_CLIENT_MISSING: ReasonInfo("", "The town has no `ssh` program, which SSH repositories need."),
    Reason.NOT_CHECKED: ReasonInfo("", "The town has not looked at the repository yet."),
    Reason.POD_MISSING: ReasonInfo("", "No pod of the town has reported yet."),
    Reason.POD_SILENT: ReasonInfo("", "A pod of the town has not reported for a while."),
    Reason.AGENT_BINARY_BROKEN: ReasonInfo("", "The Kilo CLI is missing or does not run; the message names the paths that were tried."),
    Reason.DISK_FULL: ReasonInfo("", "The town's volume has no room left; nothing is begun or given up until there is."),
    Reason.VOLUME_NOT_WRITABLE: ReasonInfo("", "The town's volume is read-only or broken; the message has the system's words."),
    Reason.ISOLATION_FULL: ReasonInfo("", "Each agent runs inside a Landlock domain of its own."),
    Reason.ISOLATION_PARTIAL: ReasonInfo("", "The kernel's Landlock is older; the message says what does not hold."),
    Reason.ISOLATION_NONE: ReasonInfo("", "The kernel has no Landlock: agents are separate processes, but can read each other's files."),
    Reason.SCALING: ReasonInfo("", "Fewer or more pods report than `spec.replicas` asks for."),
    Reason.ROLLING_OUT: ReasonInfo("", "Pods are being replaced by pods of the present spec, one at a time; each is drained first."),
    Reason.MEMORY_TOO_SMALL: ReasonInfo("", "`resources.limits.memory` has no room for one agent of `agentMemory` beside the supervisor: raise the one or lower the other."),
    Reason.POD_UNSCHEDULABLE: ReasonInfo("", "No node can take a pod of the town; the message has the scheduler's words. Compare `resources`, `nodeSelector` and `tolerations` with the nodes."),
    Reason.IMAGE_UNAVAILABLE: ReasonInfo("", "The image of a pod can't be pulled; see `image` and `imagePullSecrets`. It is tried again by itself."),
    Reason.VOLUME_UNBOUND: ReasonInfo("", "The volume of a pod can't be made or bound; see `storage` and the storage classes of the cluster."),
    Reason.QUOTA_EXCEEDED: ReasonInfo("", "A quota of the namespace leaves no room for a pod or its volume; raise it, or ask for less in `resources`, `storage` or `replicas`."),
    Reason.POD_REFUSED: ReasonInfo("", "The API server refuses to make a pod, such as for Pod Security or a limit range; the message has its words."),
    Reason.CONTAINER_CRASHING: ReasonInfo("", "The container of a pod can't be started or ends again and again; the message has its last words."),
    Reason.POD_OUT_OF_MEMORY: ReasonInfo("", "The container of a pod used more than `resources.limits.memory` and was killed: lower `slots` or `agentMemory`, or raise the limit."),
    Reason.WORKLOAD_REFUSED: ReasonInfo("", "The API server refuses the town's StatefulSet, or one of that name belongs to somebody else; the message says which."),
    Reason.RIGHTS_MISSING: ReasonInfo("", "The operator may not make what the town needs; apply the shipped manifests again. It is tried again by itself."),
    Reason.OK: ReasonInfo("", "Nothing is wrong."),
}  # fmt: skip


def find_condition(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Sequence[Condition], type_: str) -> bool:
    """Whether the condition of this type is there and True."""
    condition = find_condition(conditions, type_)
    return condition is not None and condition.status == "True"


def decide_condition(
    current: Sequence[Condition],
    type_: Type,
    status: ConditionStatus,
    reason: Reason,
    message: str,
    *,
    now: datetime,
    generation: int | None,
) -> Condition:
    """The condition to report: keeps `lastTransitionTime` while `status` stays what it was."""
    before = find_condition(current, type_)
    unchanged = before is not None and before.status == status
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=before.last_transition_time if unchanged and before else now,
        observed_generation=generation,
    )
