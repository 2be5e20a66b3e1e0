"""What the operator's figures are made of."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from polecat_api.polecat import Polecat
from polecat_kube.metrics import describe
from polecat_operator.board import Board
from polecat_operator.cache import HeldPolecat
from polecat_operator.clock import Clock
from polecat_operator.metrics import render
from polecat_operator.queue import Key, KeyedQueue, Lane
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from polecat_operator.tally import OTHER, Tally
from polecat_operator.views import BeadView, Phase, view_bead
from support.objects import polecat_spec
from support.played_town import condition, timestamp
from support.scraping import Scrape

A, B = (Key("bead", "default", name) for name in "ab")
BASE = "/apis/polecat.dev/v1alpha1"


@pytest.mark.parametrize(
    ("method", "path", "query", "content", "found"),
    [
        ("GET", f"{BASE}/beads", {"limit": "500"}, "", ("list", "beads")),
        ("GET", f"{BASE}/namespaces/team/beads", {"watch": "true"}, "", ("watch", "beads")),
        ("GET", f"{BASE}/namespaces/team/beads/one", {}, "", ("get", "beads")),
        (
            "PATCH",
            f"{BASE}/namespaces/team/beads/one/status",
            {},
            "application/json-patch+json",
            ("patch", "beads/status"),
        ),
        ("PATCH", f"{BASE}/namespaces/a/towns/b/status", {}, "application/apply-patch+yaml", ("apply", "towns/status")),
        ("POST", "/api/v1/namespaces/team/events", {}, "application/json", ("create", "events")),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", {}, "application/json", ("update", "leases")),
        ("DELETE", "/api/v1/namespaces/team", {}, "", ("delete", "namespaces")),
        ("GET", "/api/v1/namespaces", {}, "", ("list", "namespaces")),
        ("GET", "/proxied/cluster-1/api/v1/namespaces/team/secrets/x", {}, "", ("get", "secrets")),
        ("GET", "/version", {}, "", ("get", "other")),
        ("GET", BASE, {}, "", ("get", "other")),
    ],
)
def test_requests_are_named_as_in_rules_of_rbac(
    method: str, path: str, query: dict[str, str], content: str, found: tuple[str, str]
) -> None:
    assert describe(method, path, query, content) == found


async def test_the_queue_tells_what_waits_and_for_how_long() -> None:
    queue = KeyedQueue(later_limit=1)
    now = asyncio.get_running_loop().time()
    assert queue.waiting(now) == dict.fromkeys(Lane, (0, 0.0))
    queue.add(A, Lane.LATER)
    queue.add(B, Lane.LATER)
    queue.add(A, Lane.START)
    waiting = queue.waiting(asyncio.get_running_loop().time() + 10)
    assert {lane: count for lane, (count, _) in waiting.items()} == {Lane.START: 1, Lane.LIFE: 0, Lane.LATER: 1}
    assert 10 <= waiting[Lane.LATER][1] < 20
    assert waiting[Lane.LIFE][1] == 0
    assert await queue.get() == A
    assert queue.waiting(now)[Lane.START][0] == 0


def bead(reason: str, **status: object) -> BeadView:
    return view_bead(
        {
            "metadata": {"name": "one", "namespace": "team", "uid": "u-1", "resourceVersion": "1"},
            "spec": {"rigRef": {"name": "web"}, "title": "one", "prompt": "do it"},
            "status": {"conditions": [condition("Ready", "False", reason)], **status},
        }
    )


def polecat(*conditions: dict[str, object], claimed: bool = True) -> HeldPolecat:
    claim = {"claim": {"pod": "main-0", "podUID": "p-1", "time": timestamp()}} if claimed else {}
    held = Polecat.model_validate(
        {
            "metadata": {"name": "web-toast", "namespace": "team", "uid": "u-2", "resourceVersion": "1"},
            "spec": polecat_spec(),
            "status": {"conditions": conditions, **claim},
        }
    )
    return HeldPolecat(("team", "web-toast"), "u-2", "1", held)


def test_the_tally_follows_each_change() -> None:
    tally = Tally()
    queued, running = bead("Queued"), bead("Running", polecat="toast")
    tally.bead(None, queued)
    tally.bead(queued, running)
    assert +tally.beads == {(Phase.ACTIVE, "Running"): 1}
    tally.bead(running, None)
    assert not +tally.beads
    lives = [
        polecat(claimed=False),
        polecat(),
        polecat(condition("Ready", "True", "Running")),
        polecat(condition("Ready", "True", "Running"), condition("Finished", "True", "Done")),
    ]
    seen = []
    for old, new in zip([None, *lives], [*lives, None], strict=True):
        tally.polecat(old, new)
        seen += [state for (state,), count in tally.polecats.items() if count]
    assert seen == ["unclaimed", "starting", "running", "finished"]


@pytest.mark.parametrize("first_seen", ["unclaimed", "claimed"])
async def test_a_claim_is_timed_whichever_is_heard_of_first(first_seen: str) -> None:
    router = Router(KeyedQueue(later_limit=1), Board(), Settings(), Clock())
    router.lead()
    before = _claims()
    router.cache.beads.put(replace(bead("Starting", polecat="toast"), name="fix-login"))
    if first_seen == "unclaimed":
        router.cache.polecats.put(polecat(claimed=False))
    router.cache.polecats.put(replace(polecat(), resource_version="2"))
    router.cache.polecats.put(replace(polecat(condition("Ready", "True", "Running")), resource_version="3"))
    assert _claims() == before + 1


def _claims() -> float:
    return Scrape(render().decode()).value("polecat_operator_claim_seconds_count")


def test_a_reason_that_somebody_made_up_makes_no_series_of_its_own() -> None:
    tally = Tally()
    tally.bead(None, bead("SomethingOfMyOwn"))
    assert +tally.beads == {(Phase.WAITING, OTHER): 1}
