"""Town: one shared container image, replicated; so many slots for polecats."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from polecat_api import quantities
from polecat_api.base import DNS_LABEL, ApiModel, Conditions, Resource, Time, rule, schema

Quantity = Annotated[str, Field(min_length=1, max_length=32, pattern=quantities.PATTERN)]


class ResourceList(ApiModel):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = None
    """Cores, e.g. `4` or `500m`."""
    memory: Quantity | None = None
    """Bytes, e.g. `16Gi`."""


class ContainerResources(ApiModel):
    """What a town pod's container asks for, and what it may use at most. All its agents share this."""

    requests: ResourceList = Field(default_factory=ResourceList)
    """What the scheduler sets aside."""
    limits: ResourceList = Field(default_factory=ResourceList)
    """What the container may use."""


class Storage(ApiModel):
    """The volume of a town pod: stores, worktrees, journals."""

    size: Quantity = "20Gi"
    """How much to ask for."""
    class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Storage class; the cluster's default when unset."""


class StreamRetention(ApiModel):
    """How long the journals of agents are kept on the volume."""

    age_seconds: Annotated[int, Field(ge=60)] = 604800
    """Journals of ended attempts older than this are removed."""
    total_size: Quantity = "1Gi"
    """While all together are larger than this the oldest of ended attempts are removed, then beginnings of long ones
    of attempts that go on."""


class TownSpec(ApiModel):
    """How many pods, and how much each carries."""

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of pods."""
    slots: Annotated[int, Field(ge=1, le=200)] = 5
    """Polecats that one pod may run at once."""
    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Container image; that of the operator when unset."""
    resources: ContainerResources = Field(default_factory=ContainerResources)
    """CPU and memory that the agents of one pod share."""
    storage: Storage = Field(default_factory=Storage)
    """The volume of each pod."""
    agent_memory: Quantity = "3Gi"
    """Memory limit of one agent with all its children."""
    stream_retention: StreamRetention = Field(default_factory=StreamRetention)
    """How long the journals are kept."""


class TownPod(ApiModel):
    """What one pod reports of itself. Written by that pod alone."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
    """Name of the pod."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the pod: its life."""
    ready: bool = False
    """Whether it takes new polecats."""
    reason: Annotated[str, Field(max_length=64)] = "Ok"
    """Ok, or the reason why it does not, such as AgentBinaryBroken or Stopping."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why it does not, or what isolation does not hold."""
    isolation: Annotated[str, Field(max_length=64)] = ""
    """IsolationFull, IsolationPartial or IsolationNone, as measured at the pod's start."""
    slots_used: Annotated[int, Field(ge=0)] = 0
    """Polecats it runs."""
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory that the container uses, in bytes."""
    memory_limit_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory that the container may use, in bytes."""
    cpu_limit_millicores: Annotated[int, Field(ge=0)] = 0
    """CPU that the container may use, in thousandths of a core."""
    rigs: Annotated[
        list[Annotated[str, Field(max_length=63)]],
        Field(default_factory=list, max_length=200, json_schema_extra=schema(x_kubernetes_list_type="set")),
    ]
    """Rigs whose repository it has already fetched."""
    streams_url: Annotated[str, Field(max_length=256, alias="streamsURL")] = ""
    """Where its agents' streams are read, e.g. `http://10.1.2.3:7400`; see docs/streams.md."""
    seen_time: Time
    """When it wrote this entry."""


class TownStatus(ApiModel):
    """Written by the operator; each entry of `pods` by that pod."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The `metadata.generation` this status was decided for."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that report."""
    selector: Annotated[str, Field(max_length=1024)] | None = None
    """Label selector of the pods, for the scale subresource."""
    polecats: Annotated[int, Field(ge=0)] = 0
    """Polecats that exist in this town."""
    queued: Annotated[int, Field(ge=0)] = 0
    """Beads that wait for this town."""
    pods: Annotated[
        list[TownPod],
        Field(
            default_factory=list,
            max_length=1000,
            json_schema_extra=schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
        ),
    ]
    """What each pod reports of itself."""
    conditions: Conditions
    """Ready, Progressing, Isolated, Stalled."""


class Town(Resource):
    """One shared container image, replicated, with so many slots for polecats in each pod."""

    spec: TownSpec = Field(default_factory=TownSpec)
    """How many pods, and how much each carries."""
    status: TownStatus = Field(default_factory=lambda: TownStatus(pods=[], conditions=[]))
    """How it stands."""

    @staticmethod
    def root_rules() -> list[dict[str, str]]:
        """CEL rules at the root."""
        return [
            rule(
                "self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "the name of a town is a DNS label of at most 50 characters, as its pods are named after it",
            )
        ]
