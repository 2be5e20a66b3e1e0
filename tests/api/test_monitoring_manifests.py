"""The monitoring component goes into an overlay as docs/operations.md says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from support.control_plane import Kubectl
from support.paths import ROOT

MANIFESTS = ROOT / "manifests"


@pytest.mark.parametrize("overlay", ["kind", "production", "minimal"])
def test_component_fits_into_an_overlay(kubectl: Kubectl, tmp_path: Path, overlay: str) -> None:
    wanted = {
        "resources": [os.path.relpath(MANIFESTS / "overlays" / overlay, tmp_path)],
        "components": [os.path.relpath(MANIFESTS / "monitoring", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    made = list(yaml.safe_load_all(kubectl("kustomize", str(tmp_path))))
    found = {(each["kind"], each["metadata"]["name"]): each for each in made}
    assert {name for kind, name in found if kind == "PodMonitor"} == {
        "polecat-operator",
        "polecat-town",
        "polecat-dashboard",
    }
    assert ("PrometheusRule", "polecat") in found
    board = found["ConfigMap", "polecat-board"]
    assert board["metadata"]["namespace"] == "polecat-system"
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["polecat.json"])["uid"] == "polecat"
