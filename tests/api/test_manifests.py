"""The shipped manifests as a user applies them, at a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from polecat_api.town import Town
from polecat_dashboard.settings import Settings as DashboardSettings
from polecat_local.install import shipped_manifests
from polecat_operator.settings import Settings as OperatorSettings
from polecat_operator.workloads.statefulset import build_statefulset
from support.control_plane import Kubectl, SharedControlPlane
from support.paths import ROOT

Json = dict[str, Any]
OVERLAY = ROOT / "manifests/overlays"
OVERLAYS = ("kind", "production", "minimal")
SETTINGS = {"POLECAT_OPERATOR_": OperatorSettings, "POLECAT_DASHBOARD_": DashboardSettings}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, kubectl: Kubectl) -> list[Json]:
    """The objects of one overlay."""
    return rendered(kubectl, OVERLAY / request.param)


def rendered(kubectl: Kubectl, directory: Path) -> list[Json]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(directory))))


def of_kind(objects: list[Json], kind: str) -> dict[str, Json]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def containers(objects: list[Json]) -> Iterator[Json]:
    for deployment in of_kind(objects, "Deployment").values():
        yield from deployment["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_server_takes_an_overlay(control_plane: SharedControlPlane, name: str) -> None:
    kubectl = Kubectl(control_plane, "polecat-system")
    told = kubectl("apply", "--dry-run=server", "--server-side", "--force-conflicts", "-k", str(OVERLAY / name))
    assert "deployment.apps/polecat-operator serverside-applied (server dry run)" in told


def test_the_server_takes_the_first_town_in_any_namespace(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    base = os.path.relpath(ROOT / "manifests/town", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": namespace, "resources": [base]}))
    told = kubectl("apply", "--dry-run=server", "--server-side", "-k", str(tmp_path))
    assert f"namespace/{namespace} serverside-applied" in told
    assert "town.polecat.dev/main serverside-applied" in told
    assert "networkpolicy.networking.k8s.io/polecat-town serverside-applied" in told


def test_what_the_overlays_hold(kubectl: Kubectl) -> None:
    kind, production, minimal = (rendered(kubectl, OVERLAY / name) for name in OVERLAYS)
    for objects in (kind, production):
        assert of_kind(objects, "Deployment").keys() == {"polecat-operator", "polecat-dashboard"}
        assert of_kind(objects, "Deployment")["polecat-operator"]["spec"]["replicas"] == 2
        assert of_kind(objects, "NetworkPolicy").keys() == {"deny-all", "dns-and-api-server", "metrics", "dashboard"}
    (operator,) = of_kind(minimal, "Deployment").values()
    assert operator["spec"]["replicas"] == 1
    assert not {each["kind"] for each in minimal} & {"NetworkPolicy", "PodDisruptionBudget"}
    assert not [each for each in minimal if each["metadata"]["name"] == "polecat-dashboard"]
    assert of_kind(minimal, "ValidatingAdmissionPolicy").keys() == of_kind(kind, "ValidatingAdmissionPolicy").keys()


def test_towns_run_the_operators_image_unless_they_name_one(overlay: list[Json]) -> None:
    images = {each["image"] for each in containers(overlay)}
    assert len(images) == 1
    (operator,) = of_kind(overlay, "Deployment")["polecat-operator"]["spec"]["template"]["spec"]["containers"]
    (said,) = [each["value"] for each in operator["env"] if each["name"] == "POLECAT_OPERATOR_TOWN_IMAGE"]
    assert {said} == images


def test_every_environment_variable_is_a_setting(overlay: list[Json]) -> None:
    for container in containers(overlay):
        for each in container["env"]:
            (model,) = [model for prefix, model in SETTINGS.items() if each["name"].startswith(prefix)]
            field = each["name"].removeprefix(str(model.model_config["env_prefix"])).lower()
            assert field in model.model_fields, each["name"]


def test_every_policy_is_bound_and_denies(overlay: list[Json]) -> None:
    bindings = of_kind(overlay, "ValidatingAdmissionPolicyBinding").values()
    assert {each["spec"]["policyName"] for each in bindings} == of_kind(overlay, "ValidatingAdmissionPolicy").keys()
    assert all(each["spec"]["validationActions"] == ["Deny"] for each in bindings)


def test_an_embedded_cluster_takes_nothing_that_needs_pods() -> None:
    objects = [each for file in shipped_manifests() for each in yaml.safe_load_all(file.read_text())]
    assert not {each["kind"] for each in objects} & {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert len(of_kind(objects, "CustomResourceDefinition")) == 4
    assert of_kind(objects, "ValidatingAdmissionPolicy")


def restricted(kubectl: Kubectl, namespace: str) -> None:
    """Has the namespace enforce the strictest of the Pod Security Standards."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def pod_of(template: Json, name: str) -> Json:
    """The Pod that a workload would make; its account is that of the namespace."""
    spec = {**template["spec"], "serviceAccountName": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_the_programs_pods_pass_the_restricted_standard(kubectl: Kubectl, namespace: str, overlay: list[Json]) -> None:
    assert of_kind(overlay, "Namespace")["polecat-system"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    restricted(kubectl, namespace)
    for name, deployment in of_kind(overlay, "Deployment").items():
        passes(kubectl, pod_of(deployment["spec"]["template"], name))


def test_a_towns_pod_passes_the_restricted_standard(kubectl: Kubectl, namespace: str) -> None:
    (shipped,) = of_kind(rendered(kubectl, ROOT / "manifests/town"), "Town").values()
    shipped["metadata"] |= {"namespace": namespace, "uid": "1", "generation": 1, "resourceVersion": "1"}
    restricted(kubectl, namespace)
    made = build_statefulset(Town.model_validate(shipped), "polecat:latest")
    pod = pod_of(made["spec"]["template"], "main-0")
    # The StatefulSet controller adds the pod's own claim.
    pod["spec"]["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data-main-0"}})
    passes(kubectl, pod)


def passes(kubectl: Kubectl, pod: Json) -> None:
    """The server takes the Pod as it is, and would not if it asked for more."""
    kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    as_root = deepcopy(pod)
    as_root["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    refused = kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=json.dumps(as_root))
    assert 'violates PodSecurity "restricted' in refused
