"""Makes a town's objects and keeps them as its spec says. What was applied last is not sent again."""

from __future__ import annotations

import logging
from typing import Any

from polecat_api.town import Town
from polecat_kube.errors import ConflictError
from polecat_kube.resources import POD_DISRUPTION_BUDGET, SERVICE, STATEFUL_SET, TOWN, ResourceType
from polecat_operator.cache import HeldTown, ObjectKey
from polecat_operator.context import Context
from polecat_operator.workloads.observed import fixed_part, view_set
from polecat_operator.workloads.parts import build_account, build_disruption_budget, build_service
from polecat_operator.workloads.statefulset import build_statefulset
from polecat_operator.workloads.store import Applied, Workload

Json = dict[str, Any]
log = logging.getLogger(__name__)


class ForeignError(Exception):
    """An object of the name that a town's object must have belongs to somebody else; the message says what to do."""


class LeavingError(Exception):
    """An object is about to be removed, and makes room for the town's."""


class WorkloadMaker:
    """Server-side apply of what differs from what this process applied last."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._applied: dict[tuple[str, str | None, str], Json] = {}
        """(plural, namespace, name) → what was applied last."""

    async def make(self, held: HeldTown, part: Workload) -> None:
        """Raises ForeignError, LeavingError, and what the API server raises."""
        town, namespace = held.town, held.key[0]
        for resource, body in build_account(namespace):
            await self._apply(resource, namespace if resource.namespaced else None, body)
        await self._apply(SERVICE, namespace, build_service(town), town)
        await self._apply(POD_DISRUPTION_BUDGET, namespace, build_disruption_budget(town), town)
        body = build_statefulset(town, self._context.settings.town_image)
        await self._make_set(held, part, body)

    async def _make_set(self, held: HeldTown, part: Workload, body: Json) -> None:
        found, town = part.set, held.town
        if found is None or part.applied is None or found.generation > part.applied.set_generation:
            self._applied.pop((STATEFUL_SET.plural, *held.key), None)  # it is gone, or somebody has changed it
        if found is not None and found.owner_uid == town.metadata.uid and found.fixed != fixed_part(body["spec"]):
            await self._remove_set(held, found.uid)
            raise LeavingError
        answer = await self._apply(STATEFUL_SET, held.key[0], body, town)
        if answer is not None:
            part.set = view_set(answer)
        if part.set is not None:
            part.applied = Applied(town.metadata.generation, part.set.generation)

    async def _remove_set(self, held: HeldTown, uid: str) -> None:
        """What can't be changed in a StatefulSet is changed by making it anew. Its pods and volumes stay meanwhile."""
        log.warning("StatefulSet %s/%s is made anew, as its spec can't be changed", *held.key)
        self._context.fence.check()
        try:
            await self._context.api.delete(STATEFUL_SET, *held.key, uid=uid, propagation="Orphan")
        except ConflictError:
            log.info("StatefulSet %s/%s has been made anew by somebody else", *held.key)

    async def _apply(
        self, resource: ResourceType, namespace: str | None, body: Json, owner: Town | None = None
    ) -> Json | None:
        """The answer; None if nothing had to be sent. With `owner`, an object that is not this Town's is left alone."""
        name = body["metadata"]["name"]
        place = (resource.plural, namespace, name)
        if self._applied.get(place) == body:
            return None
        context = self._context
        if owner is not None:
            found = await context.api.get(resource, namespace, name)
            if found is not None:
                _must_belong(resource, found, owner)
        context.fence.check()
        answer = await context.api.apply(resource, namespace, name, body)
        self._applied[place] = body
        return answer

    def forget(self, town: ObjectKey | None = None) -> None:
        """Forgets what was applied, for one town or all: what others have changed since is then applied again."""
        if town is None:
            self._applied.clear()
            return
        namespace, name = town
        accounts = {(each.plural, body["metadata"]["name"]) for each, body in build_account(namespace)}
        self._applied = {
            place: body
            for place, body in self._applied.items()
            if (place[0], place[2]) not in accounts and (place[1], place[2]) != (namespace, name)
        }


def _must_belong(resource: ResourceType, found: Json, town: Town) -> None:
    name = town.metadata.name
    if "deletionTimestamp" in found["metadata"]:
        raise LeavingError
    owners = [each for each in found["metadata"].get("ownerReferences", []) if each.get("controller")]
    if any(each["uid"] == town.metadata.uid for each in owners):
        return
    if any((each["kind"], each["name"]) == (TOWN.kind, name) for each in owners):
        raise LeavingError  # of a former town of this name: the garbage collector takes it
    raise ForeignError(
        f"there is a {resource.kind} {name} that is not this town's: remove it, or give the town another name"
    )
