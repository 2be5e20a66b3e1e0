"""Rig: one Git repository and its pool of names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from polecat_api.base import ApiModel, Conditions, LabelRef, NameRef, Resource, rule, schema
from polecat_api.bead import GIT_BRANCH
from polecat_api.names import NAME_MAX_LENGTH, NAME_PATTERN, RIG_NAME_MAX_LENGTH

Command = Annotated[str, Field(min_length=1, max_length=4096)]


class Repository(ApiModel):
    """Where the work is fetched from and pushed to."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            json_schema_extra=schema(
                **{
                    "x-kubernetes-validations": [
                        rule(
                            r"self.matches('^((https?|ssh|git|file)://[^ ]+|[^ :/]+@[^ :/]+:[^ ]+)$')",
                            "url must be an https, http, ssh, git or file URL, or user@host:path",
                        ),
                        rule(
                            r"!self.matches('^https?://[^/]*@')",
                            "url must not hold credentials; put them into a Secret and name it in credentialsSecretRef",
                        ),
                    ]
                }
            ),
        ),
    ]
    """URL of the remote, without credentials."""
    default_branch: Annotated[str, Field(min_length=1, max_length=200, pattern=GIT_BRANCH)] = "main"
    """The branch that work starts from."""
    credentials_secret_ref: NameRef | None = None
    """A Secret with `password` or `token`, and `username` if the host asks for one (HTTPS); or `ssh-privatekey` and
    `known_hosts` (SSH). For HTTPS also `ca.crt` and `proxy`. It is read anew each time it is used.
    """


class Pool(ApiModel):
    """How many polecats a rig may have, and what they are called."""

    max: Annotated[int, Field(ge=1, le=500)] = 5
    """How many polecats may work in the rig at once."""
    names: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH, pattern=NAME_PATTERN)]],
        Field(default_factory=list, max_length=200, json_schema_extra=schema(x_kubernetes_list_type="set")),
    ]
    """The rig's own names, in the order of use: lower case DNS labels of up to 20 characters.

    Empty means the default pool.
    """


class Model(ApiModel):
    """The language model that the agents use."""

    provider: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$")] = "kilo"
    """`kilo` (the gateway), a provider id that the CLI knows, or `openai-compatible` with an `endpoint`."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """The model's name at the provider."""
    small: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The model for titles and summaries; `name` when unset."""
    endpoint: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^https?://[^\s]+$")] | None = None
    """Base URL of an OpenAI-compatible endpoint, e.g. `https://models.example/v1`."""
    api_key_secret_ref: NameRef | None = None
    """A Secret with the key `apiKey`."""


class RigSpec(ApiModel):
    """One repository, where its agents run, and what they must hold to."""

    town_ref: LabelRef
    """The town that runs the rig's polecats."""
    repository: Repository
    """Where the work is fetched from and pushed to."""
    polecats: Pool = Field(default_factory=lambda: Pool(names=[]))
    """How many polecats, and their names."""
    branch_prefix: Annotated[
        str, Field(min_length=1, max_length=40, pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?$")
    ] = "polecat"
    """First part of every branch that polecats push."""
    setup_command: Command | None = None
    """Run once in each new worktree, inside the agent's isolation, before the agent starts."""
    checks: Annotated[list[Command], Field(default_factory=list, max_length=16)]
    """Commands that must pass in the worktree before work counts as done."""
    model: Annotated[
        Model,
        Field(
            json_schema_extra=schema(
                **{
                    "x-kubernetes-validations": [
                        rule(
                            "self.provider != 'openai-compatible' || has(self.endpoint)",
                            "provider openai-compatible needs an endpoint, e.g. https://models.example/v1",
                            ".endpoint",
                        )
                    ]
                }
            )
        ),
    ]
    """The language model that the agents use."""


class RigStatus(ApiModel):
    """Written by the operator; RepositoryReady by the town."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The `metadata.generation` this status was decided for."""
    polecats: Annotated[int, Field(ge=0)] = 0
    """Polecats that exist."""
    queued: Annotated[int, Field(ge=0)] = 0
    """Beads that wait."""
    conditions: Conditions
    """Ready, RepositoryReady (clone and push both tried), Stalled."""


class Rig(Resource):
    """One Git repository and its pool of named polecats."""

    spec: RigSpec
    """One repository, where its agents run, and what they must hold to."""
    status: RigStatus = Field(default_factory=lambda: RigStatus(conditions=[]))
    """How it stands."""

    @staticmethod
    def root_rules() -> list[dict[str, str]]:
        """CEL rules at the root."""
        return [
            rule(
                f"self.metadata.name.size() <= {RIG_NAME_MAX_LENGTH} && "
                "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                f"the name of a rig is a DNS label of at most {RIG_NAME_MAX_LENGTH} characters, "
                "as it becomes part of each polecat's name",
            )
        ]
