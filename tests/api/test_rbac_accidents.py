"""Rights that are used only when two meet: each meeting is made to happen, with the account that needs the right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from polecat_api.bead import BeadStatus
from polecat_api.polecat import Polecat, PolecatSpec
from polecat_api.protocol import FINALIZER
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT
from polecat_operator.actions import Action, CreatePolecat, ReleasePolecat, WriteBead
from polecat_operator.board import Board
from polecat_operator.clock import Clock
from polecat_operator.errors import SupersededError
from polecat_operator.executor import Executor
from polecat_operator.queue import KeyedQueue
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from polecat_town.claims import claim
from support.accounts import make_town_account, operator_api, town_pod_api
from support.control_plane import Kubectl
from support.objects import polecat_spec
from support.rbac_use import Grant

Json = dict[str, Any]
OLD = "1"
"""A resource version that no object has any more."""


class Open:
    """A fence that lets everything through."""

    def check(self) -> None:
        """Nothing keeps us from acting."""


async def act(api: KubeApi, action: Action) -> None:
    """As the operator does it, with an empty cache."""
    cache = Router(KeyedQueue(later_limit=1), Board(), Settings(), Clock()).cache
    await Executor(api, cache, Open(), written=lambda action: None, blocked=lambda namespace, name: None).apply(action)


async def make_polecat(admin: KubeApi, namespace: str, **status: Any) -> Json:
    meta = {"name": "web-toast", "finalizers": [FINALIZER]}
    made = await admin.create(POLECAT, namespace, {"metadata": meta, "spec": polecat_spec()})
    if not status:
        return made
    return await admin.patch_merge(POLECAT, namespace, "web-toast", {"status": status}, "status")


async def bead_was_changed(admin: KubeApi, kubectl: Kubectl) -> None:
    """Somebody has changed a bead meanwhile: the operator reads it again."""
    spec = {"rigRef": {"name": "web"}, "title": "Fix the login", "prompt": "It fails."}
    bead = await admin.create(BEAD, kubectl.namespace, {"metadata": {"name": "fix-login"}, "spec": spec})
    status = BeadStatus(conditions=[])
    async with operator_api(kubectl) as api:
        with pytest.raises(SupersededError):
            await act(api, WriteBead(kubectl.namespace, "fix-login", bead["metadata"]["uid"], OLD, status))


async def name_is_taken(admin: KubeApi, kubectl: Kubectl) -> None:
    """A polecat of this name is there already: the operator looks whose it is."""
    await make_polecat(admin, kubectl.namespace)
    spec = PolecatSpec.model_validate(polecat_spec(beadRef={"name": "other", "uid": "another"}))
    async with operator_api(kubectl) as api:
        with pytest.raises(SupersededError, match="the name web-toast belongs to another polecat"):
            await act(api, CreatePolecat(kubectl.namespace, "other", "another", spec))


async def pod_never_comes_back(admin: KubeApi, kubectl: Kubectl) -> None:
    """A polecat whose pod is gone for good: the operator takes the finalizer off in its place."""
    made = (await make_polecat(admin, kubectl.namespace))["metadata"]
    release = (kubectl.namespace, "web-toast", made["uid"], made["resourceVersion"], (FINALIZER,))
    async with operator_api(kubectl) as api:
        await act(api, ReleasePolecat(*release))
    left = await admin.get(POLECAT, kubectl.namespace, "web-toast")
    assert left is not None and "finalizers" not in left["metadata"]


async def claim_was_taken(admin: KubeApi, kubectl: Kubectl) -> None:
    """The answer to a claim was lost: the town looks whether the polecat is its own."""
    make_town_account(kubectl)
    there = {"claim": {"pod": "main-0", "podUID": "life", "time": "2026-01-01T00:00:00.000000Z"}, "conditions": []}
    polecat = Polecat.model_validate(await make_polecat(admin, kubectl.namespace, **there))
    async with town_pod_api(kubectl, "main-0") as api:
        assert await claim(api, polecat, "main-0", "life") is not None
        assert await claim(api, polecat, "main-0", "another life") is None


ACCIDENTS: dict[Grant, Callable[[KubeApi, Kubectl], Awaitable[None]]] = {
    Grant("polecat-operator", "get", "polecat.dev", "beads"): bead_was_changed,
    Grant("polecat-operator", "get", "polecat.dev", "polecats"): name_is_taken,
    Grant("polecat-operator", "patch", "polecat.dev", "polecats"): pod_never_comes_back,
    Grant("polecat-town", "get", "polecat.dev", "polecats"): claim_was_taken,
}
"""Rights that a whole run need not use, and what uses each of them."""


@pytest.mark.parametrize("grant", ACCIDENTS, ids=str)
async def test_a_right_that_is_seldom_used_is_needed(kube_api: KubeApi, kubectl: Kubectl, grant: Grant) -> None:
    await ACCIDENTS[grant](kube_api, kubectl)
