"""What the page gets of objects: readable whatever is in them, and without what is not for everybody."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from polecat_dashboard.state.detail import bead_detail
from polecat_dashboard.state.views import VIEWS, bead_view, polecat_view, town_view

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["conditions", "usage", "pods", "result", "rigRef", "limits", "beadRef", "repository", "title"]
)
SECTION = st.dictionaries(FIELDS | st.text(max_size=8), JSON, max_size=6)


def bead(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "fix-login",
            "namespace": "default",
            "uid": "u1",
            "creationTimestamp": "2026-11-24T06:00:00Z",
        },
        "spec": {"rigRef": {"name": "web"}, "title": "Fix the login", "prompt": "very private", "suspend": False},
        "status": status,
    }


@given(st.fixed_dictionaries({"metadata": SECTION | JSON, "spec": SECTION | JSON, "status": SECTION | JSON}))
def test_no_object_is_too_odd_to_be_shown(item: dict[str, Any]) -> None:
    for view in (*VIEWS.values(), bead_detail):
        json.dumps(view(item))


def test_a_bead_says_how_it_stands() -> None:
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "TownFull", "message": "every slot is in use"}
    view = bead_view(bead(queuePosition=3, conditions=[condition]))
    assert (view["state"], view["succeeded"], view["position"]) == ("Queued", None, 3)
    assert (view["reason"], view["message"]) == ("TownFull", "every slot is in use")
    assert bead_view(bead())["state"] == "Pending"
    ended = bead_view(bead(state="Done", conditions=[condition | {"status": "True", "reason": "Done"}]))
    assert (ended["state"], ended["succeeded"]) == ("Done", True)


def test_the_prompt_is_in_the_detail_only() -> None:
    assert "very private" not in json.dumps(bead_view(bead()))
    assert bead_detail(bead())["prompt"] == "very private"


def test_reasons_are_told_in_words() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "BackingOff", "message": "wait"}
    assert "nextAttemptTime" in bead_detail(bead(conditions=[condition]))["conditions"][0]["meaning"]


def test_a_polecat_goes_through_its_states() -> None:
    def state(meta: dict[str, Any], **status: Any) -> str:
        return str(polecat_view({"metadata": meta, "status": status})["state"])

    ready = [{"type": "Ready", "status": "True"}]
    assert state({}) == "created"
    assert state({}, claim={"pod": "main-0"}) == "claimed"
    assert state({}, claim={"pod": "main-0"}, conditions=ready) == "running"
    assert state({}, conditions=[*ready, {"type": "Finished", "status": "True"}]) == "finished"
    assert state({"deletionTimestamp": "2026-11-24T06:00:00Z"}, conditions=ready) == "leaving"


def test_where_a_town_is_read_is_not_shown() -> None:
    pod = {"name": "main-0", "streamsURL": "http://10.0.0.7:9000", "uid": "pod-uid"}
    assert "10.0.0.7" not in json.dumps(town_view({"status": {"pods": [pod, "nonsense"]}}))
