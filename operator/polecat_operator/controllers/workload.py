"""One town's pods: made as its spec says, and asked after when they don't come."""

from __future__ import annotations

import logging
from contextlib import suppress

from polecat_api import GROUP
from polecat_api.conditions import Reason
from polecat_api.protocol import town_manager
from polecat_api.times import format_time
from polecat_kube.errors import ForbiddenError, InvalidError, NotFoundError
from polecat_kube.resources import POD, STATEFUL_SET, TOWN
from polecat_operator.cache import HeldTown, ObjectKey
from polecat_operator.context import Context
from polecat_operator.planner.placement import is_surplus
from polecat_operator.planner.towns import reporting
from polecat_operator.queue import Key, Lane
from polecat_operator.workloads.events import why_no_claim, why_no_pod
from polecat_operator.workloads.maker import ForeignError, LeavingError, WorkloadMaker
from polecat_operator.workloads.store import Trouble, Workload

log = logging.getLogger(__name__)
AGAIN_SECONDS = 15.0
"""How often a town that is not as its spec says is looked at again, and its objects compared with the API server."""
LEAVING_SECONDS = 1.0
"""How often it is looked whether an object in the way is gone."""
NUDGE_SECONDS = 60.0
"""How often the StatefulSet controller is told to try again to make a pod that it could not make."""
ASKED_ANNOTATION = f"{GROUP}/asked-again-time"
MISSING_SECONDS = 2.0
"""How long the StatefulSet controller is given to make its pods before it is asked why it has not."""


class WorkloadController:
    """Sends nothing for a town that is as it should be."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._maker = WorkloadMaker(context)
        self._compared: dict[ObjectKey, float] = {}
        """Town that is unwell → when its objects were last compared with the API server, on the monotonic clock."""
        self._missing_since: dict[ObjectKey, float] = {}
        self._nudged: dict[ObjectKey, float] = {}

    async def reconcile(self, key: ObjectKey) -> None:
        """Raises ApiError when a request failed and is worth another try."""
        context = self._context
        held = context.cache.towns.items.get(key)
        if held is None:
            self._compared.pop(key, None)
            self._missing_since.pop(key, None)
            self._nudged.pop(key, None)
            self._maker.forget(key)
            context.cache.workloads.forget(key)
            return
        if held.town.metadata.deletion_timestamp is not None:
            return
        part = context.cache.workloads.of(key)
        before = _told(part)
        try:
            self._compare_if_unwell(held)
            await self._maker.make(held, part)
            part.refused = self._blind(key)
            await self._ask_after_pods(held, part)
            await self._remove_entries(held)
        except ForbiddenError as error:
            if _NAMESPACE_ENDS in str(error):
                return
            part.refused = Trouble(Reason.RIGHTS_MISSING, f"the operator may not make what the town needs: {error}")
            raise
        except InvalidError as error:
            part.refused = Trouble(Reason.WORKLOAD_REFUSED, str(error))
            raise
        except ForeignError as error:
            part.refused = Trouble(Reason.WORKLOAD_REFUSED, str(error))
            self._again(key, AGAIN_SECONDS)
        except LeavingError:
            self._again(key, LEAVING_SECONDS)
        finally:
            if before != _told(part):
                context.queue.add(Key("town", *key), Lane.LATER)

    def _again(self, key: ObjectKey, seconds: float) -> None:
        self._context.queue.add_after(Key("workload", *key), seconds, Lane.LATER)

    def _blind(self, key: ObjectKey) -> Trouble | None:
        """That the operator can't see what it makes."""
        refused = self._context.cache.workloads.watch_refused()
        if not refused:
            return None
        self._again(key, AGAIN_SECONDS)
        return Trouble(Reason.RIGHTS_MISSING, f"the operator may not watch the pods of towns: {refused}")

    def _compare_if_unwell(self, held: HeldTown) -> None:
        """Of a town whose pods don't report, objects are compared again: somebody may have removed one."""
        context, key = self._context, held.key
        mono = context.clock.mono()
        standing = context.snapshots.town_standing(key, mono)
        if standing is None or len(reporting(standing)) >= held.town.spec.replicas:
            self._compared.pop(key, None)
            return
        if mono - self._compared.setdefault(key, mono) >= AGAIN_SECONDS:
            self._maker.forget(key)
            self._compared[key] = mono
        self._again(key, AGAIN_SECONDS)

    async def _ask_after_pods(self, held: HeldTown, part: Workload) -> None:
        """Finds out why pods or volumes are missing."""
        context, key = self._context, held.key
        mono = context.clock.mono()
        names = [f"{key[1]}-{number}" for number in range(held.town.spec.replicas)]
        missing = [name for name in names if name not in part.pods] if context.cache.workloads.watched() else []
        since = self._missing_since.setdefault(key, mono) if missing else self._missing_since.pop(key, mono)
        if not missing:
            part.pods_refused = ""
        elif mono - since < MISSING_SECONDS:
            self._again(key, MISSING_SECONDS)
        else:
            part.pods_refused = await why_no_pod(context.api, key)
            if part.pods_refused and part.set is not None:
                await self._nudge(key, mono)
            self._again(key, AGAIN_SECONDS)
        unbound = [claim for claim in part.claims.values() if not claim.bound and claim.name.endswith(tuple(names))]
        part.claims_refused = await why_no_claim(context.api, key[0], unbound[0].name) if unbound else ""
        if unbound:
            self._again(key, AGAIN_SECONDS)

    async def _nudge(self, key: ObjectKey, mono: float) -> None:
        """Has the StatefulSet controller try again: after many failures it would wait a quarter of an hour."""
        if mono - self._nudged.setdefault(key, mono) < NUDGE_SECONDS:
            return
        self._nudged[key] = mono
        context = self._context
        context.fence.check()
        asked = {"metadata": {"annotations": {ASKED_ANNOTATION: format_time(context.clock.now())}}}
        with suppress(NotFoundError):
            await context.api.patch_merge(STATEFUL_SET, *key, asked)

    async def _remove_entries(self, held: HeldTown) -> None:
        """Each entry is its pod's own; but a pod that is gone for good can't take it out."""
        context = self._context
        for entry in held.town.status.pods:
            surplus = is_surplus(held.key[1], entry.name, held.town.spec.replicas)
            if not surplus or not context.cache.workloads.is_gone(entry.uid):
                continue
            context.fence.check()
            manager = town_manager(entry.name)
            try:
                await context.api.apply(TOWN, *held.key, {"status": {}}, subresource="status", manager=manager)
            except NotFoundError:
                return
            log.info("the entry of pod %s/%s, which is gone, is taken out of its town", held.key[0], entry.name)

    async def prove(self, pod: ObjectKey) -> None:
        """Finds out whether the lives of a pod go on that claimed polecats or have entries: they were there once."""
        context, (namespace, name) = self._context, pod
        cache, town = context.cache, (namespace, name.rpartition("-")[0])
        claims = (
            cache.polecats.items[key].polecat.status.claim for key in cache.polecats_by_pod.get((*town, name), ())
        )
        known = {claim.pod_uid for claim in claims if claim is not None}
        held = cache.towns.items.get(town)
        if held is not None:
            known |= {entry.uid for entry in held.town.status.pods if entry.name == name}
        found = await context.api.get(POD, namespace, name)
        living = {found["metadata"]["uid"]} if found is not None else set()
        cache.workloads.is_gone_for_certain(known - living)
        if held is not None:
            self._again(town, 0.0)

    def forget(self) -> None:
        """Has all objects compared with the API server at their next turn."""
        self._maker.forget()


_NAMESPACE_ENDS = "because it is being terminated"
"""How the API server refuses to make anything in a namespace that is being deleted, and its Town with it."""


def _told(part: Workload) -> tuple[object, ...]:
    """What the town's status tells of it."""
    return part.applied, part.refused, part.pods_refused, part.claims_refused
