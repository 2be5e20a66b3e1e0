"""Makes the CustomResourceDefinitions from the models: `python -m polecat_api.crd DIRECTORY`.

The models' docstrings become the descriptions. The result is a structural schema as
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ asks for:
no references, no unions, `nullable` nowhere.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from polecat_api import GROUP, VERSION
from polecat_api.base import Resource
from polecat_api.bead import Bead
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_api.town import Town

Json = dict[str, Any]
_KEPT = {
    "type", "format", "description", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "maxProperties", "required",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def to_wire(self) -> Json:
        """As `additionalPrinterColumns` wants it."""
        made: Json = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**made, "priority": 1} if self.wide else made


def _condition(type_: str, what: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{what}'


AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the CRD of a kind says beside its schema."""

    model: type[Resource]
    plural: str
    short: str
    columns: tuple[Column, ...]
    scale: Json | None = field(default=None)


KINDS = (
    Kind(
        Town,
        "towns",
        "tn",
        (
            Column("Ready", _condition("Ready")),
            Column("Replicas", ".status.replicas", "integer"),
            Column("Slots", ".spec.slots", "integer"),
            Column("Polecats", ".status.polecats", "integer"),
            Column("Queued", ".status.queued", "integer"),
            Column("Reason", _condition("Ready", "reason")),
            Column("Message", _condition("Ready", "message"), wide=True),
            AGE,
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
    Kind(
        Rig,
        "rigs",
        "rg",
        (
            Column("Ready", _condition("Ready")),
            Column("Town", ".spec.townRef.name"),
            Column("Polecats", ".status.polecats", "integer"),
            Column("Max", ".spec.polecats.max", "integer"),
            Column("Queued", ".status.queued", "integer"),
            Column("Reason", _condition("Ready", "reason")),
            Column("Repository", ".spec.repository.url", wide=True),
            Column("Message", _condition("Ready", "message"), wide=True),
            AGE,
        ),
    ),
    Kind(
        Bead,
        "beads",
        "bd",
        (
            Column("State", ".status.state"),
            Column("Reason", _condition("Succeeded", "reason")),
            Column("Rig", ".spec.rigRef.name"),
            Column("Polecat", ".status.polecat"),
            Column("Priority", ".spec.priority"),
            Column("Queue", ".status.queuePosition", "integer"),
            Column("Attempts", ".status.attempts", "integer"),
            Column("Branch", ".status.branch"),
            Column("Title", ".spec.title", wide=True),
            Column("Interruptions", ".status.interruptions", "integer", wide=True),
            Column("Message", _condition("Succeeded", "message"), wide=True),
            AGE,
        ),
    ),
    Kind(
        Polecat,
        "polecats",
        "pcat",  # `pc` is PriorityClass in every cluster
        (
            Column("Ready", _condition("Ready")),
            Column("State", _condition("Ready", "reason")),
            Column("Bead", ".spec.beadRef.name"),
            Column("Branch", ".spec.branch"),
            Column("Heartbeat", ".status.heartbeatTime", "date"),
            Column("Pod", ".spec.pod", wide=True),
            Column("Attempt", ".spec.attempt", "integer", wide=True),
            Column("Activity", ".status.activity", wide=True),
            Column("Tokens", ".status.usage.outputTokens", "integer", wide=True),
            AGE,
        ),
    ),
)


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Json]) -> Json:
    """One node of a pydantic schema as a node of a structural schema."""
    if "$ref" in node:
        target = definitions[str(node["$ref"]).rsplit("/", 1)[1]]
        return _structural({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    if "anyOf" in node:
        (only,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        return _structural({**only, **{k: v for k, v in node.items() if k not in ("anyOf", "default")}}, definitions)
    made: Json = {key: value for key, value in node.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if "const" in node:
        made["enum"] = [node["const"]]
    if node.get("default") is not None:
        made["default"] = node["default"]
    if "properties" in node:
        made["properties"] = {name: _structural(child, definitions) for name, child in node["properties"].items()}
    if "items" in node:
        made["items"] = _structural(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if made.get("type") == "integer":
        made.setdefault("format", "int64")
    if isinstance(made.get("description"), str):
        made["description"] = " ".join(made["description"].split())
    return made


def _with_object_defaults(node: Json) -> Json:
    """Gives each optional object in a spec the default `{}`, so that the defaults of its fields are filled in."""
    for child in node.get("properties", {}).values():
        _with_object_defaults(child)
        if child.get("type") == "object" and not child.get("required") and child.get("properties"):
            child.setdefault("default", {})
    return node


def build_schema(model: type[Resource]) -> Json:
    """The structural OpenAPI v3 schema of a kind, with its CEL rules."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    schema = _structural(raw, raw.get("$defs", {}))
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **schema["properties"],
    }
    spec = _with_object_defaults(schema["properties"]["spec"])
    if not spec.get("required"):
        spec["default"] = {}
    schema["required"] = ["spec"]
    rules = getattr(model, "root_rules")()  # noqa: B009 - declared by each kind, not by the envelope
    schema["x-kubernetes-validations"] = rules
    return schema


def build_crd(kind: Kind) -> Json:
    """The whole CustomResourceDefinition of a kind."""
    name = kind.model.__name__
    subresources: Json = {"status": {}}
    if kind.scale:
        subresources["scale"] = kind.scale
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short],
                "categories": ["gastown"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [column.to_wire() for column in kind.columns],
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": build_schema(kind.model)},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, which people find hard to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(kind: Kind) -> str:
    """The YAML file of a kind's CRD."""
    head = "# Generated from the models by `make generate`; do not edit.\n"
    return head + yaml.dump(build_crd(kind), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def file_name(kind: Kind) -> str:
    """Name of the file that holds a kind's CRD."""
    return f"{GROUP}_{kind.plural}.yaml"


def main(directory: str) -> None:
    """Write all CRDs into a directory."""
    for kind in KINDS:
        (Path(directory) / file_name(kind)).write_text(render(kind))


if __name__ == "__main__":
    main(sys.argv[1])
