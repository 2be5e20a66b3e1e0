"""The planner's stories: a world in YAML, and what is done about it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from polecat_api.bead import BeadStatus
from polecat_api.conditions import Reason
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_operator.actions import Action
from polecat_operator.planner.lifecycle import BeadPlan, plan_bead
from polecat_operator.planner.status import Standing, report
from polecat_operator.views import BeadView, view_bead
from polecat_operator.world import Assignment, BeadWorld, Dependency, Gate, PolecatWorld
from support.story_text import describe, world_of

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
STORIES = [
    pytest.param(story, id=f"{path.stem}: {story['story']}")
    for path in sorted((Path(__file__).parent / "stories").glob("*.yaml"))
    for story in yaml.safe_load(path.read_text())
]
UID = "aaaaaaaa-0000-4000-8000-000000000001"


def at(seconds: float) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=seconds)


def commit(short: str) -> str:
    """A whole commit from its first digits."""
    return short.ljust(40, "0")


def make_bead(told: dict[str, Any]) -> BeadView:
    """The bead of a story."""
    status = dict(told.get("status", {}))
    spec = {
        "rigRef": {"name": "web"},
        "title": "one",
        "prompt": "do it",
        "dependsOn": told.get("depends_on", []),
        "suspend": told.get("suspend", False),
        "rerun": told.get("rerun", ""),
        "limits": told.get("limits", {}),
    }
    meta: dict[str, Any] = {
        "name": "one",
        "namespace": "default",
        "uid": UID,
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": START.isoformat(),
    }
    if told.get("deleting"):
        meta["deletionTimestamp"] = START.isoformat()
    if "unreadable" in told:
        spec["limits"] = {"attempts": "many"}
    bare = view_bead({"metadata": meta, "spec": spec})
    if not status:
        return bare
    reason, message = Reason(status.pop("reason")), status.pop("message", "")
    succeeded = status.pop("succeeded", "Unknown")
    standing = {"True": Standing.SUCCEEDED, "False": Standing.FAILED}.get(succeeded, Standing.OPEN)
    if reason is Reason.SUSPENDED:
        standing = Standing.SUSPENDED
    for name in ("start_time", "completion_time", "next_attempt_time"):
        if name in status:
            status[name] = at(status[name])
    if "saved_commit" in status:
        status |= {"saved_commit": commit(status["saved_commit"]), "saved_ref": "refs/polecat/saved/x/1"}
    stored = report(bare, BeadStatus(conditions=[]), standing, reason, message, START, **status)
    return view_bead({"metadata": meta, "spec": spec, "status": stored.to_wire()})


def make_polecat(told: dict[str, Any]) -> PolecatWorld:
    """A polecat of a story, and its pod."""
    name = told.get("name", "toast")
    conditions = []
    stamp = START.isoformat()
    if "ready" in told:
        conditions.append({"type": "Ready", "status": "True", "reason": told["ready"], "lastTransitionTime": stamp})
    if "finished" in told:
        ended = {"type": "Finished", "status": "True", "reason": told["finished"], "message": "so it ended"}
        conditions.append({**ended, "lastTransitionTime": stamp})
    status: dict[str, Any] = {"conditions": conditions}
    if told.get("claimed"):
        status["claim"] = {"pod": "main-0", "podUID": "pod-uid", "time": stamp}
    if "published" in told:
        status["publishedCommit"] = commit(told["published"])
    if "saved" in told:
        status |= {"savedCommit": commit(told["saved"]), "savedRef": "refs/polecat/saved/x/1"}
    if "ran" in told:
        status |= {"process": {"pid": 1, "startTime": stamp}, "heartbeatTime": at(told["ran"]).isoformat()}
    meta = {
        "name": f"web-{name}",
        "namespace": "default",
        "uid": f"uid-{name}-{told['attempt']}",
        "creationTimestamp": stamp,
        **({"deletionTimestamp": stamp} if told.get("deleting") else {}),
    }
    spec = {
        "name": name,
        "rigRef": {"name": "web"},
        "townRef": {"name": "main"},
        "beadRef": {"name": "one", "uid": UID},
        "attempt": told["attempt"],
        "pod": "main-0",
        "branch": f"polecat/{name}/aaaaaa",
        "baseBranch": "main",
        "title": "one",
        "model": "m",
        "limits": {},
        "tokenSecretRef": {"name": "t"},
    }
    return PolecatWorld(
        polecat=Polecat.model_validate({"metadata": meta, "spec": spec, "status": status}),
        age_seconds=told.get("age", 1),
        pod_silent_seconds=told.get("pod_silent", 1),
        pod_uid=told.get("pod_uid", "pod-uid"),
        pod_uid_seconds=told.get("pod_uid_age", 1000),
        town_unseen_seconds=1000,
        pod_ending=told.get("pod_ending", False),
        pod_gone_for_good=told.get("pod_gone_for_good", False),
    )


RIG = Rig.model_validate(
    {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "townRef": {"name": "main"},
            "repository": {"url": "https://git.example/web.git"},
            "model": {"name": "m"},
        },
    }
)


def make_world(story: dict[str, Any]) -> BeadWorld:
    """The world of a story."""
    if "objects" in story:
        return world_of(story)
    gate = story.get("gate")
    assignment = story.get("assignment")
    return BeadWorld(
        bead=make_bead(story["bead"]),
        polecats=tuple(make_polecat(each) for each in story.get("polecats", [])),
        ended=make_polecat(story["ended"]).polecat if "ended" in story else None,
        dependencies=tuple(Dependency(name, state) for name, state in story.get("dependencies", {}).items()),
        cycle=tuple(story.get("cycle", ())),
        rig=RIG,
        gate=Gate(Reason(gate["reason"]), gate["message"]) if gate else None,
        position=story.get("position"),
        assignment=Assignment("one", assignment["name"], assignment["pod"]) if assignment else None,
    )


def check(expected: dict[str, Any], action: Action) -> None:
    """That an action is what the story expects; fields that it does not name may be anything."""
    (kind, wanted), (got_kind, got) = *expected.items(), *describe(action, START).items()
    assert got_kind == kind, f"{got_kind} instead of {kind}"
    if isinstance(wanted, str):
        assert got == wanted
        return
    for name, value in wanted.items():
        if name in ("savedCommit", "headCommit", "startCommit") and value is not None:
            value = commit(value)
        assert got.get(name) == value, f"{name}: {got.get(name)!r} instead of {value!r}"


@pytest.mark.parametrize("story", STORIES)
def test_story(story: dict[str, Any]) -> None:
    hold(story)


def hold(story: dict[str, Any]) -> None:
    """That the planner does what the story expects. Raises AssertionError."""
    plan: BeadPlan = plan_bead(make_world(story), at(story.get("now", 10)))
    expected = story["expect"]
    told = [describe(action, START) for action in plan.actions]
    if "actions" in expected:
        assert len(plan.actions) == len(expected["actions"]), told
        for wanted, action in zip(expected["actions"], plan.actions, strict=True):
            check(wanted, action)
    if "actions_end" in expected:
        last = plan.actions[-len(expected["actions_end"]) :]
        for wanted, action in zip(expected["actions_end"], last, strict=True):
            check(wanted, action)
    if "reasons" in expected:
        said = [each["write"]["reason"] for each in told if "write" in each]
        assert set(said) <= set(expected["reasons"])
    if "ready" in expected:
        assert plan.ready is expected["ready"]
    if "intent" in expected:
        assert plan.intent == expected["intent"]
    if "wake" in expected:
        assert plan.wake_at == at(expected["wake"])
