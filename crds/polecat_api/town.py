"""Town: one shared container image, replicated; so many slots for polecats."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from polecat_api import quantities
from polecat_api.base import DNS_LABEL, ApiModel, Conditions, NameRef, Resource, Time, rule, schema

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
OPERATORS_ENV = (
    "POLECAT_TOWN_ADVERTISE_HOST",
    "POLECAT_TOWN_DATA_DIR",
    "POLECAT_TOWN_DRAIN_SECONDS",
    "POLECAT_TOWN_LISTEN",
    "POLECAT_TOWN_NAME",
    "POLECAT_TOWN_NAMESPACE",
    "POLECAT_TOWN_POD_NAME",
    "POLECAT_TOWN_POD_UID",
)
"""Variables of a town pod that follow from the Town and its pod; `spec.env` can't set them."""

LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]
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


class EnvVar(ApiModel):
    """One environment variable. What is secret belongs into the Secrets that rigs name, not here."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            json_schema_extra=schema(
                **{
                    "x-kubernetes-validations": [
                        rule(
                            f"!(self in {list(OPERATORS_ENV)})".replace("'", '"'),
                            "this variable follows from the Town and its pod; take it out of env",
                        )
                    ]
                }
            ),
        ),
    ]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Its value."""


class Toleration(ApiModel):
    """A taint that town pods bear, as in a pod's `tolerations`."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Key of the taint; every taint when unset, with the operator Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How the value is compared."""
    value: LabelValue | None = None
    """Value of the taint, with the operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when unset."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long, in seconds, a taint with the effect NoExecute is borne; for ever when unset."""


_TOLERATION_RULES = [
    rule(
        "self.all(each, (has(each.key) && each.key != '') || each.operator == 'Exists')",
        "a toleration without a key needs the operator Exists",
    ),
    rule(
        "self.all(each, each.operator != 'Exists' || !has(each.value) || each.value == '')",
        "a toleration with the operator Exists has no value",
    ),
    rule(
        "self.all(each, !has(each.tolerationSeconds) || (has(each.effect) && each.effect == 'NoExecute'))",
        "tolerationSeconds needs the effect NoExecute",
    ),
]


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
    node_selector: Annotated[
        dict[str, LabelValue],
        Field(
            max_length=16,
            json_schema_extra=schema(
                **{
                    "x-kubernetes-validations": [
                        rule(
                            f"self.all(key, key.size() <= 317 && key.matches('{LABEL_KEY}'))",
                            "the keys of nodeSelector are labels of nodes, such as kubernetes.io/arch",
                        )
                    ]
                }
            ),
        ),
    ] = Field(default_factory=dict)
    """Labels that a node must have to run pods of the town."""
    tolerations: Annotated[
        list[Toleration],
        Field(
            max_length=32,
            json_schema_extra=schema(
                **{"x-kubernetes-list-type": "atomic", "x-kubernetes-validations": _TOLERATION_RULES}
            ),
        ),
    ] = Field(default_factory=list)
    """Taints of nodes that the pods bear."""
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra=schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
        ),
    ] = Field(default_factory=list)
    """More environment variables of the supervisor, such as its settings or HTTPS_PROXY."""
    pod_annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]],
        Field(
            max_length=32,
            json_schema_extra=schema(
                **{
                    "x-kubernetes-validations": [
                        rule(
                            f"self.all(key, key.size() <= 317 && key.matches('{LABEL_KEY}'))",
                            "the keys of podAnnotations are names of annotations, such as example.com/team",
                        )
                    ]
                }
            ),
        ),
    ] = Field(default_factory=dict)
    """More annotations of the pods."""
    image_pull_secrets: Annotated[
        list[NameRef],
        Field(
            max_length=16,
            json_schema_extra=schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
        ),
    ] = Field(default_factory=list)
    """Secrets with which the image is pulled."""


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
    """Pods that exist; those that report when somebody else makes them."""
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
    """Ready, Progressing, Reconciling, Isolated, Stalled."""


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
