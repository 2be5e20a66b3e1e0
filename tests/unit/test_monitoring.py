"""Alerts, board and runbook speak of metrics that there are."""

from __future__ import annotations

import copy
import json
import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from polecat_api.conditions import Outcome, Reason
from polecat_api.protocol import LABEL_TOWN
from polecat_api.town import Town
from polecat_operator.tally import OTHER
from polecat_operator.views import Phase
from polecat_operator.workloads.statefulset import build_statefulset
from polecat_town.life.state import Step
from support.paths import ROOT
from support.promtool import find_promtool

MONITORING = ROOT / "manifests" / "monitoring"
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
RULES: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in RULES["spec"]["groups"] for rule in group["rules"]
}
BOARD: dict[str, Any] = json.loads((MONITORING / "board.json").read_text())
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
TESTS = sorted((MONITORING / "tests").glob("*.yaml"))

TARGET_LABELS = {"job", "namespace", "pod", "town"}
"""What Prometheus adds to each series, as podmonitors.yaml says."""
JOBS = {"polecat-operator", "polecat-town", "polecat-dashboard"}
VALUES: dict[str, set[str]] = {
    "reason": {*Reason, OTHER},
    "phase": set(Phase),
    "step": set(Step),
    "outcome": {*Outcome, "ok", "passed", "refused"},
    "job": JOBS,
    "ready": {"True", "False", "Unknown"},
    "where": {"remote", "store"},
}
"""Labels whose values are known, and the values."""
BOUNDED = {
    "action", "cause", "code", "kind", "lane", "limit", "operation", "outcome", "phase", "ready", "reason", "resource",
    "scope", "state", "status", "step", "verb", "where", "why",
}  # fmt: skip
"""Labels whose values stand in the code."""
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


def declared() -> dict[str, set[str]]:
    """Name of each series that a program can show → its labels."""
    series: dict[str, set[str]] = {"up": set()}
    for registry in GENERATE["PROGRAMS"].values():
        for figure in GENERATE["figures"](registry):
            labels = set(figure.labels)
            if figure.kind == "histogram":
                series[f"{figure.name}_bucket"] = {*labels, "le"}
                series[f"{figure.name}_count"] = series[f"{figure.name}_sum"] = labels
            else:
                series[figure.name] = {*labels, "version"} if figure.kind == "info" else labels
    return series


SERIES = declared()


def expressions() -> Iterator[tuple[str, str]]:
    """(where, expression) of all alerts and panels."""
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]


EXPRESSIONS = dict(expressions())


def metrics_of(expression: str) -> set[str]:
    """The names of series in it: words that are neither functions nor words of the language."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"label_values\(|, \w+\)$", " ", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", _GROUPING.sub(" ", bare))
    words = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return {word for word in words if word not in _WORDS}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_metrics_and_labels_exist(where: str) -> None:
    expression = EXPRESSIONS[where]
    used = metrics_of(expression)
    assert used
    assert used <= SERIES.keys()
    known = set().union(*(SERIES[name] for name in used)) | TARGET_LABELS
    for group in _GROUPING.findall(expression):
        assert {label.strip() for label in group.split(",")} <= known
    for name, matchers in _SELECTOR.findall(expression):
        for label, _, value in _MATCHER.findall(matchers):
            assert label in SERIES[name] | TARGET_LABELS
            if label in VALUES and re.fullmatch(r"[\w|-]+", value):
                assert set(value.split("|")) <= VALUES[label], f"{name}{{{label}}}"


@pytest.mark.parametrize("program", GENERATE["PROGRAMS"])
def test_metrics_are_named_by_the_conventions(program: str) -> None:
    for figure in GENERATE["figures"](GENERATE["PROGRAMS"][program]):
        if figure.name.startswith("process_") or figure.kind == "info":
            continue
        assert figure.name.startswith(f"polecat_{program.lower()}_")
        assert figure.name.endswith("_total") == (figure.kind == "counter"), figure.name
        if figure.kind == "histogram":
            assert figure.name.endswith(("_seconds", "_bytes")), figure.name
        assert not re.search(r"_(ms|millis\w*|minutes|hours|kib|mib|gib|percent|millicores)(_|$)", figure.name)
        assert set(figure.labels) <= BOUNDED, f"{figure.name}: do its values grow with the objects?"
        assert figure.meaning.endswith(".")


def test_an_unknown_metric_is_noticed() -> None:
    assert metrics_of('sum by (le) (rate(polecat_nonsense_bucket{a="b"}[5m])) > bool 2 and up == 1') == {
        "polecat_nonsense_bucket",
        "up",
    }


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_what_it_means_and_has_a_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/operations.md#{name.lower()}")
    section = RUNBOOK.split(f"\n### {name}\n")[1].split("\n#")[0]
    assert re.findall(r"^- \*\*(.+?)\*\*: \S", section, re.MULTILINE) == ["Means", "Look at", "Do"]


def test_the_runbook_has_no_other_alerts() -> None:
    headings = re.findall(r"^### (Polecat\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)


def test_each_alert_is_tested_loud_and_still() -> None:
    cases = [
        case for path in TESTS for test in yaml.safe_load(path.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    loud = {case["alertname"] for case in cases if case.get("exp_alerts")}
    still = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert loud == set(ALERTS)
    assert still == set(ALERTS)


def test_board_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MONITORING))
    made = runpy.run_path(str(MONITORING / "board.py"))
    assert made["render"](made["ROWS"]) == (MONITORING / "board.json").read_text(), "run `make generate`"


def test_panels_lie_side_by_side() -> None:
    places: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places
        assert at["x"] + at["w"] <= 24
        places |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_monitors_find_pods_and_ports() -> None:
    monitors = {
        each["metadata"]["name"]: each["spec"]
        for each in yaml.safe_load_all((MONITORING / "podmonitors.yaml").read_text())
    }
    assert monitors.keys() == JOBS
    base = ROOT / "manifests" / "base"
    for program in ("operator", "dashboard"):
        documents = yaml.safe_load_all((base / f"{program}.yaml").read_text())
        template = next(each for each in documents if each["kind"] == "Deployment")["spec"]["template"]
        assert _finds(monitors[f"polecat-{program}"], template)
        assert not _finds(monitors["polecat-town"], template)
    town = Town.model_validate({"metadata": {"name": "main", "namespace": "team"}, "spec": {}})
    template = build_statefulset(town, "polecat:latest")["spec"]["template"]
    assert _finds(monitors["polecat-town"], template)
    label = monitors["polecat-town"]["podMetricsEndpoints"][0]["relabelings"][0]["sourceLabels"][0]
    assert label == f"__meta_kubernetes_pod_label_{re.sub(r'[./-]', '_', LABEL_TOWN)}"


def _finds(monitor: dict[str, Any], template: dict[str, Any]) -> bool:
    wanted = monitor["selector"]["matchLabels"].items()
    ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
    return wanted <= template["metadata"]["labels"].items() and monitor["podMetricsEndpoints"][0]["port"] in ports


def test_alerts_ring_when_they_should_and_only_then(tmp_path: Path) -> None:
    promtool = find_promtool()
    if promtool is None:
        pytest.skip("promtool is neither on PATH nor built: `make test-alerts` builds it")
    groups = copy.deepcopy(RULES["spec"]["groups"])
    for rule in (rule for group in groups for rule in group["rules"]):
        # What is the same whatever happens need not stand in each test.
        rule["annotations"] = {"description": rule["annotations"]["description"]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    for path in TESTS:
        (tmp_path / path.name).write_text(path.read_text())
    for arguments in (["check", "rules", "rules.yaml"], ["test", "rules", *(path.name for path in TESTS)]):
        done = subprocess.run([promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
