"""The StatefulSet of a town: pods that pass Pod Security `restricted`, one volume each."""

from __future__ import annotations

from typing import Any

from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Storage, Toleration, Town, TownSpec
from polecat_operator.workloads.parts import SERVICE_ACCOUNT, STREAMS_PORT, labels, owned_by

Json = dict[str, Any]
CONTAINER = "town"
VOLUME = "data"
DATA_DIR = "/data"
USER = 1000
GRACE_BASE_SECONDS = 60
GRACE_SLOT_SECONDS = 30
GRACE_LONGEST_SECONDS = 3600
GRACE_STEP_SLOTS = 10
LEAVE_SECONDS = 20
"""What of the grace period is left for the pod's own end when its agents have been stopped and saved."""
MIN_READY_SECONDS = 5
NEVER_STARTED_FAILURES = 17_280
"""A supervisor that waits for a volume it can't write says so in the Town, and is not restarted for it: for a day, at
one look each five seconds."""


def grace_seconds(slots: int) -> int:
    """`terminationGracePeriodSeconds`: time to stop, save and push the work of all agents of a pod.

    60 s and 30 s for each slot, an hour at most. Slots are counted in tens: a few more don't replace the pods.
    """
    counted = -(-slots // GRACE_STEP_SLOTS) * GRACE_STEP_SLOTS
    return min(GRACE_LONGEST_SECONDS, GRACE_BASE_SECONDS + GRACE_SLOT_SECONDS * counted)


def build_statefulset(town: Town, image: str) -> Json:
    """The object to apply; it belongs to the Town, and goes with it. `image` is for towns that name none."""
    name = town.metadata.name
    return {
        "metadata": {
            "name": name,
            "namespace": town.metadata.namespace,
            "labels": labels(name),
            "ownerReferences": [owned_by(town)],
        },
        "spec": {
            "replicas": town.spec.replicas,
            "serviceName": name,
            # Pods don't wait for each other to be made. They are replaced one at a time all the same, and a bad
            # template does not stop a good one from following it.
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "minReadySeconds": MIN_READY_SECONDS,
            "selector": {"matchLabels": {LABEL_TOWN: name}},
            "template": {
                "metadata": {"labels": labels(name), "annotations": dict(town.spec.pod_annotations)},
                "spec": _pod(town, image),
            },
            "volumeClaimTemplates": [{"metadata": {"name": VOLUME}, "spec": claim_spec(town.spec.storage)}],
        },
    }


def claim_spec(storage: Storage) -> Json:
    """Of the volume of each pod."""
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage.size}}}
    return {**spec, "storageClassName": storage.class_name} if storage.class_name else spec


def _pod(town: Town, image: str) -> Json:
    spec = town.spec
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(spec.slots),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": dict(spec.node_selector),
        "tolerations": [_toleration(each) for each in spec.tolerations],
        "imagePullSecrets": [{"name": each.name} for each in spec.image_pull_secrets],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {LABEL_TOWN: town.metadata.name}},
            }
        ],
        "containers": [_container(town, image)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _container(town: Town, image: str) -> Json:
    return {
        "name": CONTAINER,
        "image": town.spec.image or image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "polecat_town"],
        "env": _env(town.metadata.name, town.spec),
        "ports": [{"name": "streams", "containerPort": STREAMS_PORT, "protocol": "TCP"}],
        "resources": town.spec.resources.to_wire(),
        "startupProbe": _probe("/healthz", period=5, timeout=5, failures=NEVER_STARTED_FAILURES),
        # Its end is the end of all its agents: only a supervisor that has said nothing for minutes is ended.
        "livenessProbe": _probe("/healthz", period=30, timeout=10, failures=10),
        "readinessProbe": _probe("/readyz", period=5, timeout=5, failures=3),
        # The last lines of the log stand in the pod's status, and from there in the Town's conditions.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": VOLUME, "mountPath": DATA_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the container
        ],
    }


def _env(town: str, spec: TownSpec) -> list[Json]:
    return [
        {"name": "POLECAT_TOWN_NAME", "value": town},
        _field("POLECAT_TOWN_NAMESPACE", "metadata.namespace"),
        _field("POLECAT_TOWN_POD_NAME", "metadata.name"),
        _field("POLECAT_TOWN_POD_UID", "metadata.uid"),
        {"name": "POLECAT_TOWN_DATA_DIR", "value": DATA_DIR},
        {"name": "POLECAT_TOWN_LISTEN", "value": f"[::]:{STREAMS_PORT}"},
        _field("POLECAT_TOWN_ADVERTISE_HOST", "status.podIP"),
        {"name": "POLECAT_TOWN_DRAIN_SECONDS", "value": str(grace_seconds(spec.slots) - LEAVE_SECONDS)},
        *({"name": each.name, "value": each.value} for each in spec.env),
    ]


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(path: str, *, period: int, timeout: int, failures: int) -> Json:
    """`period` and `timeout` in seconds."""
    return {
        "httpGet": {"path": path, "port": "streams", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _toleration(toleration: Toleration) -> Json:
    made = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_seconds,
    }
    return {name: value for name, value in made.items() if value is not None}
