"""The lines of `polecat up`: one for each change that people care about, none for the rest."""

from typing import Any

import pytest

from polecat_local.follow import describe_change

Json = dict[str, Any]


def item(name: str, status: Json | None = None, **more: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "default"}, "status": status or {}, **more}


def bead(**status: Any) -> Json:
    return item("fix-parser", status)


def condition(kind: str, status: str, **more: str) -> Json:
    return {"type": kind, "status": status, **more}


QUEUED = bead(
    state="Queued", queuePosition=3, conditions=[condition("Succeeded", "Unknown", message="rig web is full")]
)
RUNNING = bead(state="Running", polecat="toast", conditions=[condition("Succeeded", "Unknown", message="x")])
DONE = bead(state="Done", conditions=[condition("Succeeded", "True", message="all good")])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (None, bead(), "bead fix-parser created"),
        (bead(), QUEUED, "bead fix-parser Queued (rig web is full)"),
        (QUEUED, RUNNING, "bead fix-parser Running as toast"),
        (RUNNING, DONE, "bead fix-parser Done"),
        (DONE, None, "bead fix-parser gone"),
    ],
)
def test_a_bead_tells_its_story(old: Json | None, new: Json | None, line: str) -> None:
    assert describe_change("Bead", old, new) == line


def test_what_people_do_not_care_about_is_not_told() -> None:
    moved_up = {**QUEUED, "status": {**QUEUED["status"], "queuePosition": 2}}
    assert describe_change("Bead", QUEUED, moved_up) is None
    beating = {**RUNNING, "status": {**RUNNING["status"], "usage": {"inputTokens": 5}}}
    assert describe_change("Bead", RUNNING, beating) is None
    assert describe_change("Bead", None, None) is None


def test_a_polecat_tells_its_story() -> None:
    spec = {"beadRef": {"name": "fix-parser"}}
    created = item("web-toast", spec=spec)
    claimed = item("web-toast", {"claim": {"pod": "main-0"}}, spec=spec)
    ready = item("web-toast", {"claim": {}, "conditions": [condition("Ready", "True")]}, spec=spec)
    finished = item("web-toast", {"conditions": [condition("Finished", "True", reason="Done")]}, spec=spec)
    lines = [
        describe_change("Polecat", old, new)
        for old, new in [(None, created), (created, claimed), (claimed, ready), (ready, finished)]
    ]
    assert lines == [
        "polecat web-toast for fix-parser: created",
        "polecat web-toast for fix-parser: claimed by main-0",
        "polecat web-toast for fix-parser: agent runs",
        "polecat web-toast for fix-parser: finished, Done",
    ]


def test_another_namespace_is_named() -> None:
    rig = {"metadata": {"name": "web", "namespace": "team"}}
    bad = {**rig, "status": {"conditions": [condition("Ready", "False", message="no such branch")]}}
    assert describe_change("Rig", rig, bad) == "rig team/web not ready: no such branch"
