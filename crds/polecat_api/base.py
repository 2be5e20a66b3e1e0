"""What the models of all kinds share: camelCase names, conditions, references, the object envelope."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from polecat_api.times import format_time, require_utc

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

Time = Annotated[
    datetime,
    AfterValidator(require_utc),
    PlainSerializer(format_time, when_used="json"),
]
"""A moment in UTC; RFC 3339 with microseconds on the wire (Kubernetes' MicroTime)."""


def schema(**extra: Any) -> dict[str, Any]:
    """JSON-schema keywords that pydantic does not know (`x-kubernetes-…`), for `Field(json_schema_extra=…)`."""
    return {key.replace("_", "-") if key.startswith("x_") else key: value for key, value in extra.items()}


def rule(expression: str, message: str, field_path: str | None = None) -> dict[str, str]:
    """One CEL rule. `message` is what a person reads in the API server's refusal; it says what to do."""
    made = {"rule": expression, "message": message}
    if field_path:
        made["fieldPath"] = field_path
    return made


class ApiModel(BaseModel):
    """A part of a resource. Frozen; reads and writes camelCase; ignores what a newer version may have added."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object that goes to the API server: camelCase, without fields that are unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Condition(ApiModel):
    """One aspect of an object's state, in the form of Kubernetes' `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316)]
    """CamelCase name of the aspect; one entry for each."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """CamelCase word for programs; stable; listed in the reference."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for people."""
    last_transition_time: Time
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The `metadata.generation` that this was decided for."""


Conditions = Annotated[
    list[Condition],
    Field(
        default_factory=list,
        max_length=16,
        json_schema_extra=schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ),
]


class NameRef(ApiModel):
    """A reference to an object of a known kind in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
    """Its `metadata.name`."""


class LabelRef(ApiModel):
    """A reference to an object whose name is a DNS label."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
    """Its `metadata.name`."""


class UidRef(NameRef):
    """A reference to one life of an object: the name may be used again, the UID never is."""

    uid: Annotated[str, Field(min_length=1, max_length=64)]
    """Its `metadata.uid`."""


class OwnerReference(ApiModel):
    """The owner on whose deletion the garbage collector deletes this object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(ApiModel):
    """The part of Kubernetes' ObjectMeta that Polecat reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class Resource(ApiModel):
    """The envelope of every kind: subclasses add `spec` and `status` and describe themselves for the CRD."""

    metadata: ObjectMeta
