"""Carries actions out at the API server; what comes back is in the cache before the next decision."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from polecat_api import GROUP, VERSION
from polecat_api.names import object_name
from polecat_api.polecat import Polecat
from polecat_api.protocol import FINALIZER, LABEL_BEAD_UID, LABEL_POD, LABEL_RIG, LABEL_TOWN
from polecat_kube.api import KubeApi
from polecat_kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from polecat_kube.resources import BEAD, POLECAT
from polecat_operator.actions import Action, CreatePolecat, DeletePolecat, ReleasePolecat, WriteBead
from polecat_operator.cache import Cache, HeldPolecat
from polecat_operator.errors import SupersededError
from polecat_operator.metrics import ACTIONS, CONFLICTS
from polecat_operator.views import UnreadableError, parse, view_bead

Json = dict[str, Any]
log = logging.getLogger(__name__)
DELETED_REMEMBERED = 5000


class Fence(Protocol):
    """Says whether this process may still act."""

    def check(self) -> None:
        """Raises LeaseLostError when it may not."""


def hold_polecat(raw: Json) -> HeldPolecat:
    """The Polecat as the cache keeps it. Raises UnreadableError."""
    polecat = parse(Polecat, raw)
    meta = polecat.metadata
    return HeldPolecat((meta.namespace, meta.name), meta.uid, meta.resource_version, polecat)


class Executor:
    """Applies one action at a time for each caller. Errors are those of `polecat_kube`, and SupersededError."""

    def __init__(
        self,
        api: KubeApi,
        cache: Cache,
        fence: Fence,
        *,
        written: Callable[[WriteBead], None],
        blocked: Callable[[str, str], None],
    ) -> None:
        self._api = api
        self._cache = cache
        self._fence = fence
        self._written = written
        self._blocked = blocked
        self._deleted: OrderedDict[str, None] = OrderedDict()
        """UIDs of polecats whose deletion was accepted: the watch tells so only a little later."""

    async def apply(self, action: Action) -> None:
        """Carries one action out. Raises LeaseLostError before anything is sent if this process may not act."""
        self._fence.check()
        match action:
            case WriteBead():
                await self._write_bead(action)
            case CreatePolecat():
                await self._create(action)
            case DeletePolecat():
                await self._delete(action)
            case ReleasePolecat():
                await self._release(action)
        ACTIONS.labels(type(action).__name__).inc()

    async def _write_bead(self, action: WriteBead) -> None:
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": action.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": action.resource_version},
            {"op": "add", "path": "/status", "value": action.status.to_wire()},
        ]
        try:
            answer = await self._api.patch_json(BEAD, action.namespace, action.name, patch, subresource="status")
        except NotFoundError as error:
            raise SupersededError(str(error)) from error
        except ConflictError as error:
            CONFLICTS.labels("beads").inc()
            await self._refresh_bead(action.namespace, action.name)
            raise SupersededError(str(error)) from error
        self._cache.beads.put(view_bead(answer))
        self._written(action)

    async def _refresh_bead(self, namespace: str, name: str) -> None:
        fresh = await self._api.get(BEAD, namespace, name)
        if fresh is not None:
            self._cache.beads.put(view_bead(fresh))

    async def _create(self, action: CreatePolecat) -> None:
        body = polecat_body(action)
        name = body["metadata"]["name"]
        try:
            answer: Json | None = await self._api.create(POLECAT, action.namespace, body)
        except AlreadyExistsError:
            CONFLICTS.labels("polecats").inc()
            answer = await self._api.get(POLECAT, action.namespace, name)
        if answer is None:
            raise SupersededError(f"polecat {name} was deleted while it was looked at")
        try:
            held = hold_polecat(answer)
        except UnreadableError as error:
            self._blocked(action.namespace, name)
            raise SupersededError(f"polecat {name} can't be read: {error}") from error
        self._cache.polecats.put(held)
        spec = held.polecat.spec
        if spec.bead_ref.uid != action.bead_uid or spec.attempt != action.spec.attempt:
            raise SupersededError(f"the name {name} belongs to another polecat")

    async def _delete(self, action: DeletePolecat) -> None:
        if action.uid in self._deleted:
            return
        try:
            await self._api.delete(POLECAT, action.namespace, action.name, uid=action.uid)
        except ConflictError:
            CONFLICTS.labels("polecats").inc()  # the name has a new life; the old one is gone as wanted
        self._deleted[action.uid] = None
        while len(self._deleted) > DELETED_REMEMBERED:
            self._deleted.popitem(last=False)
        log.info("polecat %s/%s deleted: %s", action.namespace, action.name, action.why)

    async def _release(self, action: ReleasePolecat) -> None:
        others = [finalizer for finalizer in action.finalizers if finalizer != FINALIZER]
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": action.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": action.resource_version},
            {"op": "replace", "path": "/metadata/finalizers", "value": others},
        ]
        try:
            await self._api.patch_json(POLECAT, action.namespace, action.name, patch)
        except NotFoundError:
            return
        except ConflictError as error:
            CONFLICTS.labels("polecats").inc()
            fresh = await self._api.get(POLECAT, action.namespace, action.name)
            if fresh is not None:
                self._cache.polecats.put(hold_polecat(fresh))
            raise SupersededError(str(error)) from error
        log.warning("polecat %s/%s released without its pod: %s", action.namespace, action.name, action.why)


def polecat_body(action: CreatePolecat) -> Json:
    """The Polecat object to create."""
    spec = action.spec
    return {
        "metadata": {
            "name": object_name(spec.rig_ref.name, spec.name),
            "namespace": action.namespace,
            "labels": {
                LABEL_RIG: spec.rig_ref.name,
                LABEL_TOWN: spec.town_ref.name,
                LABEL_POD: spec.pod,
                LABEL_BEAD_UID: action.bead_uid,
            },
            "finalizers": [FINALIZER],
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/{VERSION}",
                    "kind": BEAD.kind,
                    "name": action.bead,
                    "uid": action.bead_uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec.to_wire(),
    }
