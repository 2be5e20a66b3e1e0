"""The StatefulSet of a town: pods that pass Pod Security `restricted`, one volume each."""

from __future__ import annotations

from typing import Any

from polecat_api import GROUP, VERSION
from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Town

DATA_DIR = "/data"
SERVICE_ACCOUNT = "polecat-town"
STREAMS_PORT = 7400
"""Health, metrics and streams of a town pod."""
GRACE_SECONDS = 300
"""For saving and pushing the work of all agents of a pod that ends."""


def build_statefulset(town: Town, image: str) -> dict[str, Any]:
    """The object to apply; it belongs to the Town, and goes with it."""
    name = town.metadata.name
    labels = {LABEL_TOWN: name, "app.kubernetes.io/name": "polecat-town"}
    storage: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": town.spec.storage.size}},
    }
    if town.spec.storage.class_name:
        storage["storageClassName"] = town.spec.storage.class_name
    return {
        "metadata": {
            "name": name,
            "namespace": town.metadata.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/{VERSION}",
                    "kind": "Town",
                    "name": name,
                    "uid": town.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "replicas": town.spec.replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {LABEL_TOWN: name}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(town, image)},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": storage}],
        },
    }


def _pod(town: Town, image: str) -> dict[str, Any]:
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "town",
                "image": town.spec.image or image,
                "command": ["python", "-m", "polecat_town"],
                "env": [
                    {"name": "POLECAT_TOWN_NAME", "value": town.metadata.name},
                    _field("POLECAT_TOWN_NAMESPACE", "metadata.namespace"),
                    _field("POLECAT_TOWN_POD_NAME", "metadata.name"),
                    _field("POLECAT_TOWN_POD_UID", "metadata.uid"),
                    {"name": "POLECAT_TOWN_DATA_DIR", "value": DATA_DIR},
                    {"name": "POLECAT_TOWN_LISTEN", "value": f"[::]:{STREAMS_PORT}"},
                    _field("POLECAT_TOWN_ADVERTISE_HOST", "status.podIP"),
                ],
                "ports": [{"name": "streams", "containerPort": STREAMS_PORT}],
                "resources": town.spec.resources.to_wire(),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": DATA_DIR},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the container
                ],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
