"""What a town's conditions say of its pods: stories in YAML."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from polecat_api.base import Condition
from polecat_api.conditions import Reason, find_condition
from polecat_api.town import Town
from polecat_operator.planner.breaker import Breaker
from polecat_operator.planner.placement import FRESH_SECONDS, pod_room
from polecat_operator.planner.towns import TownStanding, existing_pods, town_conditions, town_note
from polecat_operator.planner.workload import WorkloadStanding
from polecat_operator.workloads.observed import ClaimView, PodView, SetView
from polecat_operator.workloads.statefulset import grace_seconds
from polecat_operator.workloads.store import Applied, Trouble, Workload, Workloads
from support.kstatus import kstatus

START = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)
STORIES = [
    pytest.param(story, id=story["story"])
    for path in sorted((Path(__file__).parent / "town_stories").glob("*.yaml"))
    for story in yaml.safe_load(path.read_text())
]


def make_town(story: dict[str, Any]) -> Town:
    """The Town of a story, with the entries of its pods."""
    spec = dict(story["town"])
    generation = spec.pop("generation", 1)
    entries = [each if isinstance(each, dict) else {"name": each, "ready": True} for each in story.get("entries", [])]
    entries += [{"name": name, "ready": True} for name in story.get("silent", [])]
    stamp = START.isoformat()
    before = [{**story["before"], "lastTransitionTime": stamp}] if "before" in story else []
    return Town.model_validate(
        {
            "metadata": {"name": "main", "namespace": "default", "uid": "t-1", "generation": generation},
            "spec": spec,
            "status": {
                "pods": [{"uid": f"u-{each['name']}", "seenTime": stamp, **each} for each in entries],
                "conditions": before,
            },
        }
    )


def make_workload(story: dict[str, Any]) -> Workload:
    """What the API server shows in a story. What it was asked for last is the first generation of the Town."""
    told = {"generation": 1, "replicas": 0, "ready": 0, "updated": 0, **story.get("set", {})}
    observed = told.pop("observed", told["generation"])
    found = SetView(uid="s-1", observed_generation=observed, deleting=False, owner_uid="t-1", fixed={}, **told)
    refused = story.get("refused")
    return Workload(
        set=found if "set" in story else None,
        pods={each["name"]: PodView(uid=f"u-{each['name']}", **each) for each in story.get("pods", [])},
        claims={each["name"]: ClaimView(bound=False, **each) for each in story.get("claims", [])},
        applied=Applied(1, told["generation"]) if "set" in story else None,
        refused=Trouble(Reason(refused["reason"]), refused["message"]) if refused else None,
        pods_refused=story.get("pods_refused", ""),
        claims_refused=story.get("claims_refused", ""),
    )


@pytest.mark.parametrize("story", STORIES)
def test_story(story: dict[str, Any]) -> None:
    town = make_town(story)
    silent = {pod.name: FRESH_SECONDS + 1 if pod.name in story.get("silent", []) else 1.0 for pod in town.status.pods}
    workload = WorkloadStanding("main", town.spec, town.metadata.generation, make_workload(story))
    standing = TownStanding(town, silent, Breaker(), workload, story.get("lasted", 0))
    said = town_conditions(standing, START)
    expected = dict(story["expect"])
    status = {"observedGeneration": town.metadata.generation, "conditions": [each.to_wire() for each in said]}
    if "kstatus" in expected:
        metadata = {"generation": town.metadata.generation}
        assert kstatus({"metadata": metadata, "status": status}) == expected.pop("kstatus"), status
    if "replicas" in expected:
        assert existing_pods(standing) == expected.pop("replicas")
    for name, (is_true, reason, *words) in expected.items():
        found = find_condition(said, name.capitalize())
        assert found is not None
        assert (found.status, found.reason) == (str(is_true), reason), found
        assert all(each in found.message for each in words), found.message


def test_pods_beyond_the_number_of_replicas_get_no_work() -> None:
    town = make_town({"town": {"replicas": 2}, "entries": ["main-0", "main-1", "main-2", "other"]})
    able = [pod.name for pod in town.status.pods if pod_room("main", pod, town.spec, 0, 0, 1.0) is not None]
    assert able == ["main-0", "main-1", "other"]


def conditions(**told: tuple[str, str]) -> list[Condition]:
    """Conditions by type: status and reason."""
    return [
        Condition(type=type_, status=status, reason=reason, message=f"so it is {reason}", last_transition_time=START)
        for type_, (status, reason) in told.items()
    ]


NEWS = [
    ({}, {"Ready": ("False", "PodMissing"), "Progressing": ("True", "Scaling")}, None),
    ({"Ready": ("True", "Ok")}, {"Ready": ("False", "Stopping")}, ("Warning", "Stopping")),
    ({"Ready": ("False", "PodMissing")}, {"Ready": ("True", "Ok")}, ("Normal", "Ready")),
    ({"Ready": ("True", "Ok")}, {"Ready": ("True", "Ok")}, None),
    (
        {"Ready": ("False", "PodMissing")},
        {"Ready": ("False", "ImageUnavailable"), "Progressing": ("True", "ImageUnavailable")},
        ("Warning", "ImageUnavailable"),
    ),
    (
        {"Ready": ("False", "PodMissing"), "Stalled": ("False", "Ok")},
        {"Ready": ("False", "QuotaExceeded"), "Stalled": ("True", "QuotaExceeded")},
        ("Warning", "QuotaExceeded"),
    ),
    ({"Stalled": ("True", "BreakerOpen")}, {"Stalled": ("False", "Ok")}, None),
]


@pytest.mark.parametrize(("before", "after", "expected"), NEWS)
def test_a_change_of_a_town_is_one_event(before: Any, after: Any, expected: tuple[str, str] | None) -> None:
    note = town_note(conditions(**before), conditions(**after))
    assert (note and (note.type, note.reason)) == expected


def raw_pod(name: str, uid: str, **meta: Any) -> dict[str, Any]:
    """A pod as it stands at the API server."""
    labels = {"polecat.dev/town": "main"}
    return {"metadata": {"name": name, "namespace": "default", "uid": uid, "labels": labels, **meta}}


def test_a_pod_takes_work_while_it_is_the_one_that_reports_and_nobody_ends_it() -> None:
    workloads = Workloads(lambda town: None, lambda town, pod: None)
    town = ("default", "main")
    assert workloads.takes_work(town, "main-0", "a"), "nothing is watched: somebody else makes the pods"
    workloads.watched = lambda: True
    assert not workloads.takes_work(town, "main-0", "a")
    workloads.take_pod(None, raw_pod("main-0", "a"))
    assert workloads.takes_work(town, "main-0", "a")
    assert not workloads.takes_work(town, "main-0", "former")
    workloads.take_pod(raw_pod("main-0", "a"), raw_pod("main-0", "a", deletionTimestamp=START.isoformat()))
    assert not workloads.takes_work(town, "main-0", "a")


def test_only_a_pod_that_was_there_and_is_not_any_more_is_gone_for_certain() -> None:
    """A pod that the watch has not shown yet may be alive: only the API server can tell."""
    workloads = Workloads(lambda town: None, lambda town, pod: None)
    workloads.watched = lambda: True
    town = ("default", "main")
    assert workloads.needs_proof(town, "main-0", "a")
    assert not workloads.is_gone("a")
    workloads.take_pod(None, raw_pod("main-0", "a"))
    assert not workloads.needs_proof(town, "main-0", "a")
    workloads.take_pod(raw_pod("main-0", "a"), raw_pod("main-0", "b"))
    assert workloads.is_gone("a")
    assert not workloads.is_gone("b")
    workloads.take_pod(raw_pod("main-0", "b"), None)
    assert workloads.is_gone("b")
    assert not workloads.needs_proof(town, "main-0", "b")


@pytest.mark.parametrize(("slots", "seconds"), [(1, 360), (5, 360), (10, 360), (11, 660), (118, 3600), (200, 3600)])
def test_grace_follows_from_the_slots_in_steps(slots: int, seconds: int) -> None:
    assert grace_seconds(slots) == seconds
