"""What a town has beside its StatefulSet: addresses of its pods, a bound on disruptions, an account and its rights."""

from __future__ import annotations

from typing import Any

from polecat_api import GROUP, VERSION
from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Town
from polecat_kube.resources import CLUSTER_ROLE_BINDING, ROLE_BINDING, ResourceType
from polecat_kube.resources import SERVICE_ACCOUNT as ACCOUNTS

Json = dict[str, Any]
SERVICE_ACCOUNT = "polecat-town"
ROLE = "polecat-town"
REVIEWS_ROLE = "polecat-town-reviews"
STREAMS_PORT = 7400
"""Health, metrics and streams of a town pod."""
_RBAC = "rbac.authorization.k8s.io"
_MANAGED = {"app.kubernetes.io/name": "polecat-town", "app.kubernetes.io/managed-by": "polecat-operator"}


def labels(town: str) -> Json:
    """Of everything that belongs to one town."""
    return {LABEL_TOWN: town, "app.kubernetes.io/name": "polecat-town"}


def owned_by(town: Town) -> Json:
    """The reference by which the garbage collector removes an object with its Town."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Town",
        "name": town.metadata.name,
        "uid": town.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def build_service(town: Town) -> Json:
    """Headless: a name for each pod. Also of pods that are not ready, whose streams are read while they drain."""
    return {
        "metadata": _metadata(town),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {LABEL_TOWN: town.metadata.name},
            "ports": [{"name": "streams", "port": STREAMS_PORT, "protocol": "TCP", "targetPort": "streams"}],
        },
    }


def build_disruption_budget(town: Town) -> Json:
    """Who empties nodes takes one pod of a town at a time."""
    return {
        "metadata": _metadata(town),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {LABEL_TOWN: town.metadata.name}}},
    }


def _metadata(town: Town) -> Json:
    name = town.metadata.name
    return {
        "name": name,
        "namespace": town.metadata.namespace,
        "labels": labels(name),
        "ownerReferences": [owned_by(town)],
    }


def reviews_binding_name(namespace: str) -> str:
    """Name of the ClusterRoleBinding for the towns of a namespace."""
    return f"{REVIEWS_ROLE}-{namespace}"


def build_account(namespace: str) -> list[tuple[ResourceType, Json]]:
    """The account of the towns of a namespace and its rights. They belong to no Town: another may need them."""
    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
    return [
        (ACCOUNTS, {"metadata": {"name": SERVICE_ACCOUNT, "labels": _MANAGED}}),
        (ROLE_BINDING, _binding(ROLE, ROLE, subject)),
        (CLUSTER_ROLE_BINDING, _binding(reviews_binding_name(namespace), REVIEWS_ROLE, subject)),
    ]


def _binding(name: str, role: str, subject: Json) -> Json:
    return {
        "metadata": {"name": name, "labels": _MANAGED},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
