"""Bead: one piece of work."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from polecat_api.base import DNS_SUBDOMAIN, ApiModel, Conditions, LabelRef, Resource, Time, rule, schema

PROMPT_MAX_LENGTH = 65536
Commit = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
GitRef = Annotated[str, Field(max_length=255)]
GIT_BRANCH = r"^[^\s~^:?*\[\\/.@-][^\s~^:?*\[\\]*$"


class Priority(StrEnum):
    """How urgent a bead is; a waiting bead gains a step every 30 minutes."""

    LOW = "Low"
    NORMAL = "Normal"
    HIGH = "High"
    CRITICAL = "Critical"

    @property
    def rank(self) -> int:
        """0 for Low up to 3 for Critical."""
        return list(Priority).index(self)


class BeadLimits(ApiModel):
    """How much a bead may use up."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """How many times the agent may fail before the bead is given up. Interruptions do not count."""
    run_seconds: Annotated[int, Field(ge=1, le=604800)] = 14400
    """The longest that one attempt may take, in seconds. Time in the queue does not count."""
    quiet_seconds: Annotated[int, Field(ge=1, le=86400)] = 1800
    """How long, in seconds, an agent may show no progress before it is asked to go on, and then stopped."""


class BeadSpec(ApiModel):
    """What is to be done."""

    rig_ref: LabelRef
    """The rig (repository) in the same namespace that the work is done in."""
    title: Annotated[str, Field(min_length=1, max_length=200)]
    """One line that names the work."""
    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_MAX_LENGTH)]
    """What the agent is told, in Markdown, up to 64 KiB."""
    priority: Priority = Priority.NORMAL
    """Low, Normal, High or Critical."""
    depends_on: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]],
        Field(default_factory=list, max_length=32, json_schema_extra=schema(x_kubernetes_list_type="set")),
    ]
    """Beads of the same namespace that must have succeeded before this one starts."""
    suspend: bool = False
    """Stop the work and keep what there is; clear it to go on from there."""
    base_branch: Annotated[str, Field(min_length=1, max_length=200, pattern=GIT_BRANCH)] | None = None
    """The branch to start from, instead of the rig's default branch."""
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The model to use, instead of the rig's."""
    limits: BeadLimits = Field(default_factory=BeadLimits)
    """How much the work may use up."""
    rerun: Annotated[str, Field(max_length=64)] = ""
    """Any string; changing it on a finished bead runs it again."""


class BeadResult(ApiModel):
    """What the agent has done, counted between `baseCommit` and `headCommit`."""

    summary: Annotated[str, Field(max_length=4096)] = ""
    """The agent's own words."""
    commits: Annotated[int, Field(ge=0)] = 0
    """Commits on the branch."""
    files_changed: Annotated[int, Field(ge=0)] = 0
    """Files that differ."""
    insertions: Annotated[int, Field(ge=0)] = 0
    """Lines added."""
    deletions: Annotated[int, Field(ge=0)] = 0
    """Lines removed."""


class Usage(ApiModel):
    """What the model has cost."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens read by the model."""
    output_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens written by the model."""
    cost_micro_usd: Annotated[int, Field(ge=0, alias="costMicroUSD")] = 0
    """Cost in millionths of a US dollar, as the agent CLI reckons it."""


class BeadStatus(ApiModel):
    """How far the work is. Written by the operator alone."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The `metadata.generation` this status was decided for."""
    state: Annotated[str, Field(max_length=32)] | None = None
    """One word for people, derived from the conditions; no program reads it."""
    queue_position: Annotated[int, Field(ge=1)] | None = None
    """Place among the beads of the rig that only wait for a slot; the first 100 are kept exact."""
    polecat: Annotated[str, Field(max_length=63)] | None = None
    """Name of the polecat (toast) that the bead has been given; unset while it has none."""
    attempts: Annotated[int, Field(ge=0)] = 0
    """How often an agent has brought the work to an end, well or badly. Only grows."""
    interruptions: Annotated[int, Field(ge=0)] = 0
    """How often infrastructure ended an attempt. These do not use up attempts."""
    prior_attempts: Annotated[int, Field(ge=0)] = 0
    """`attempts` at the moment of the last rerun; `limits.attempts` counts from there."""
    consecutive_failures: Annotated[int, Field(ge=0)] = 0
    """Failures and interruptions in a row; sets the length of the next pause."""
    observed_rerun: Annotated[str, Field(max_length=64)] = ""
    """The `spec.rerun` that the current or last run was made for."""
    next_attempt_time: Time | None = None
    """Not before this time the next attempt starts."""
    branch: Annotated[str, Field(max_length=255)] | None = None
    """The branch of the last polecat on this bead."""
    base_commit: Commit | None = None
    """The commit that the work began from."""
    head_commit: Commit | None = None
    """What the remote's branch really holds."""
    saved_commit: Commit | None = None
    """Work rescued from an attempt that did not finish; the next attempt starts from it."""
    saved_ref: GitRef | None = None
    """The ref that holds `savedCommit`."""
    result: BeadResult | None = None
    """What was done."""
    usage: Usage | None = None
    """Tokens and cost of all attempts together."""
    start_time: Time | None = None
    """When the first attempt was declared."""
    completion_time: Time | None = None
    """When the bead ended."""
    conditions: Conditions
    """Succeeded, Ready, Reconciling, Stalled."""


_STARTED = "!has(oldSelf.status) || !has(oldSelf.status.startTime)"


def _immutable(field: str, required: bool) -> dict[str, str]:
    same = f"self.spec.{field} == oldSelf.spec.{field}"
    if not required:
        same = f"has(self.spec.{field}) == has(oldSelf.spec.{field}) && (!has(self.spec.{field}) || {same})"
    return rule(
        f"{_STARTED} || ({same})",
        f"{field} can't change once the bead has started; delete the bead and apply a new one",
        f".spec.{field}",
    )


class Bead(Resource):
    """One piece of work for a coding agent: what to do, in which rig, and how far it is."""

    spec: BeadSpec
    """What is to be done."""
    status: BeadStatus = Field(default_factory=lambda: BeadStatus(conditions=[]))
    """How far it is."""

    @staticmethod
    def root_rules() -> list[dict[str, str]]:
        """CEL rules at the root, where `oldSelf.status` can be seen."""
        return [
            rule(
                "self.metadata.name.size() <= 63",
                "the name of a bead has at most 63 characters; shorten metadata.name",
            ),
            rule(
                "!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(name, name == self.metadata.name)",
                "a bead can't depend on itself; take its own name out of dependsOn",
                ".spec.dependsOn",
            ),
            _immutable("rigRef", True),
            _immutable("title", True),
            _immutable("prompt", True),
            _immutable("dependsOn", False),
            _immutable("baseBranch", False),
            _immutable("model", False),
        ]
