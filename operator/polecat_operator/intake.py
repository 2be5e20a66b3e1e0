"""Takes objects in, from watches and lists: parsed once, the prompt left outside, the rest into the cache."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType
from polecat_operator.cache import Cache, HeldRig, HeldTown, Store
from polecat_operator.executor import hold_polecat
from polecat_operator.metrics import UNREADABLE
from polecat_operator.views import UnreadableError, parse, view_bead

Json = dict[str, Any]
log = logging.getLogger(__name__)


class Intake:
    """The only way into the cache for what the API server tells of itself."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def take(self, kind: str, raw: Json, *, deleted: bool) -> None:
        """One object, or its last state. An object that can't be read is logged, and changes nothing."""
        if not deleted and self._is_known(kind, raw["metadata"]):
            return
        try:
            self._take(kind, raw, deleted)
        except UnreadableError as error:
            UNREADABLE.labels(kind).inc()
            meta = raw.get("metadata", {})
            log.warning("%s %s/%s can't be read: %s", kind, meta.get("namespace"), meta.get("name"), error)

    def _is_known(self, kind: str, meta: Json) -> bool:
        """Whether the cache has this very state: lists and watches tell most things twice."""
        held = self._store(kind).items.get((meta.get("namespace", ""), meta["name"]))
        return held is not None and bool(held.resource_version == meta["resourceVersion"])

    def _store(self, kind: str) -> Store[Any]:
        cache = self._cache
        stores: dict[str, Store[Any]] = {
            TOWN.kind: cache.towns,
            RIG.kind: cache.rigs,
            POLECAT.kind: cache.polecats,
            BEAD.kind: cache.beads,
        }
        return stores[kind]

    def _take(self, kind: str, raw: Json, deleted: bool) -> None:
        cache = self._cache
        if kind == BEAD.kind:
            _store(cache.beads, view_bead(raw), deleted)
        elif kind == POLECAT.kind:
            _store(cache.polecats, hold_polecat(raw), deleted)
        elif kind == RIG.kind:
            rig = parse(Rig, raw)
            meta = rig.metadata
            _store(cache.rigs, HeldRig((meta.namespace, meta.name), meta.uid, meta.resource_version, rig), deleted)
        elif kind == TOWN.kind:
            town = parse(Town, raw)
            meta = town.metadata
            _store(cache.towns, HeldTown((meta.namespace, meta.name), meta.uid, meta.resource_version, town), deleted)

    async def read_all(self, api: KubeApi, namespaces: Sequence[str] = ()) -> None:
        """Lists all kinds, towns first, and drops what is in the cache and exists no more. Raises ApiError.

        Without `namespaces`, the whole cluster is read.
        """
        for resource in (TOWN, RIG, POLECAT, BEAD):
            for namespace in namespaces or (None,):
                await self._keep_only(resource, namespace, api.pages(resource, namespace), take=True)

    async def drop_gone(self, api: KubeApi, resource: ResourceType, namespace: str | None) -> None:
        """Drops what is in the cache of a kind, in one namespace or in all, and exists no more. Raises ApiError."""
        await self._keep_only(resource, namespace, api.metadata(resource, namespace), take=False)

    async def _keep_only(
        self, resource: ResourceType, namespace: str | None, pages: AsyncIterator[list[Json]], *, take: bool
    ) -> None:
        store = self._store(resource.kind)
        before = {key: uid for key, uid in store.uids().items() if namespace in (None, key[0])}
        listed: dict[tuple[str, str], str] = {}
        async for page in pages:
            for raw in page:
                meta = raw["metadata"]
                listed[meta.get("namespace", ""), meta["name"]] = meta["uid"]
                if take:
                    self.take(resource.kind, raw, deleted=False)
        store.keep_only(listed, before)


def _store(store: Store[Any], item: Any, deleted: bool) -> None:
    if deleted:
        store.drop(item)
    else:
        store.put(item)
