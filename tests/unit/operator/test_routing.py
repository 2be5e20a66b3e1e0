"""Which keys a change, or the beginning of a lead, puts in the queue."""

from datetime import UTC, datetime
from typing import Any

import pytest

from polecat_operator.board import Board
from polecat_operator.clock import Clock
from polecat_operator.executor import hold_polecat
from polecat_operator.queue import Key, KeyedQueue
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from support.objects import polecat_spec

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC).isoformat()
TOKEN = Key("token", "default", "web-toast")


def polecat(*conditions: dict[str, Any]) -> dict[str, Any]:
    """One that a pod has claimed."""
    return {
        "metadata": {
            "name": "web-toast",
            "namespace": "default",
            "uid": "u-2",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": NOW,
        },
        "spec": polecat_spec(beadRef={"name": "one", "uid": "u-1"}),
        "status": {"claim": {"pod": "main-0", "podUID": "p-1", "time": NOW}, "conditions": list(conditions)},
    }


@pytest.mark.parametrize(("status", "reason", "wanted"), [("False", "Starting", True), ("True", "Running", False)])
async def test_new_leader_makes_the_tokens_that_the_last_one_did_not_come_to(
    status: str, reason: str, wanted: bool
) -> None:
    queue = KeyedQueue(later_limit=1)
    router = Router(queue, Board(), Settings(), Clock())
    ready = {"type": "Ready", "status": status, "reason": reason, "message": "m", "lastTransitionTime": NOW}
    router.cache.polecats.put(hold_polecat(polecat(ready)))
    router.lead()
    keys = set()
    while len(queue):
        key = await queue.get()
        keys.add(key)
        queue.done(key)
    queue.close()
    assert (TOKEN in keys) == wanted
