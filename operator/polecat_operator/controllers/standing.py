"""Status of rigs and towns: conditions at once, counts at leisure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polecat_api.base import Condition
from polecat_api.conditions import Reason
from polecat_kube.errors import NotFoundError
from polecat_kube.resources import RIG, TOWN
from polecat_operator.cache import ObjectKey
from polecat_operator.context import Context
from polecat_operator.planner.rigs import rig_conditions
from polecat_operator.planner.towns import (
    STALL_SECONDS,
    TownStanding,
    existing_pods,
    selector,
    town_conditions,
    town_note,
    trouble_of,
)
from polecat_operator.queue import Key, Lane
from polecat_operator.tokens import Keys
from polecat_operator.views import Phase

COUNTS_SECONDS = 5.0
"""Counts alone are written at most so often for one object."""
_COUNTS = ("polecats", "queued")


class StandingController:
    """Writes the operator's part of the status of rigs and towns by server-side apply."""

    def __init__(self, context: Context, keys: Keys) -> None:
        self._context = context
        self._keys = keys
        self._written: dict[tuple[str, ObjectKey], tuple[float, dict[str, Any]]] = {}
        self._troubled: dict[ObjectKey, tuple[Reason, float]] = {}
        """Town → its trouble, and since when, on the monotonic clock."""

    async def rig(self, key: ObjectKey) -> None:
        """Raises ApiError when a request failed and is worth another try."""
        context = self._context
        held = context.cache.rigs.items.get(key)
        if held is None:
            self._written.pop(("rig", key), None)
            return
        conditions = rig_conditions(context.snapshots.rig_standing(key, context.clock.mono()), context.clock.now())
        status = {
            "observedGeneration": held.rig.metadata.generation,
            "polecats": len(context.cache.polecats_by_rig.get(key, ())),
            "queued": context.cache.phases[key][Phase.WAITING],
            "conditions": _wire(conditions),
        }
        await self._write("rig", key, status, held.rig.status.to_wire())

    async def town(self, key: ObjectKey) -> None:
        """Status and public keys of one town."""
        context = self._context
        standing = context.snapshots.town_standing(key, context.clock.mono())
        if standing is None:
            self._written.pop(("town", key), None)
            self._troubled.pop(key, None)
            return
        if context.settings.town_workloads == "managed":
            workload = context.cache.workloads.of(key)
            if workload.applied is None and workload.refused is None:
                return  # its objects come first: until they have been looked at, nothing true can be said
            standing = self._timed(key, standing)
        rigs = context.cache.rigs_by_town.get(key, set())
        conditions = town_conditions(standing, context.clock.now())
        status = {
            "observedGeneration": standing.town.metadata.generation,
            "replicas": existing_pods(standing),
            "selector": selector(standing.town),
            "polecats": len(context.cache.polecats_by_town.get(key, ())),
            "queued": sum(context.cache.phases[rig][Phase.WAITING] for rig in rigs),
            "conditions": _wire(conditions),
        }
        town = standing.town
        if await self._write("town", key, status, town.status.to_wire()):
            note = town_note(town.status.conditions, conditions)
            if note is not None:
                context.events.post(*key, town.metadata.uid, note, TOWN)
        context.fence.check()
        await self._keys.publish(key[0])

    def _timed(self, key: ObjectKey, standing: TownStanding) -> TownStanding:
        """With how long its trouble has lasted; looks again when that is too long."""
        trouble, mono = trouble_of(standing), self._context.clock.mono()
        if trouble is None:
            self._troubled.pop(key, None)
            return standing
        reason, since = self._troubled.get(key, (trouble.reason, mono))
        if reason is not trouble.reason:
            since = mono
        self._troubled[key] = trouble.reason, since
        lasted = mono - since
        if lasted < STALL_SECONDS:
            self._context.queue.add_after(Key("town", *key), STALL_SECONDS - lasted, Lane.LATER)
        return replace(standing, trouble_seconds=lasted)

    async def _write(self, kind: str, key: ObjectKey, status: dict[str, Any], stored: dict[str, Any]) -> bool:
        """Applies the status if it says something new; counts alone wait their time. Gives whether it was applied."""
        context = self._context
        mine = {condition["type"] for condition in status["conditions"]}
        seen = {name: stored.get(name) for name in status}
        seen["conditions"] = [each for each in stored.get("conditions", []) if each["type"] in mine]
        if _by_type(seen) == _by_type(status):
            return False
        mono = context.clock.mono()
        last, written = self._written.get((kind, key), (-COUNTS_SECONDS, {}))
        if _by_type(written) == _by_type(status) and mono - last < COUNTS_SECONDS:
            return False  # written just now, and the watch has not told us yet
        left = last + COUNTS_SECONDS - mono
        if left > 0 and _without_counts(written) == _without_counts(status):
            context.queue.add_after(Key(kind, *key), left, Lane.LATER)
            return False
        context.fence.check()
        resource = RIG if kind == "rig" else TOWN
        try:
            await context.api.apply(resource, key[0], key[1], {"status": status}, subresource="status")
        except NotFoundError:
            return False
        self._written[kind, key] = (mono, status)
        return True


def _wire(conditions: list[Condition]) -> list[dict[str, Any]]:
    return [condition.to_wire() for condition in conditions]


def _by_type(status: dict[str, Any]) -> dict[str, Any]:
    return {**status, "conditions": {each["type"]: each for each in status.get("conditions", [])}}


def _without_counts(status: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in status.items() if name not in _COUNTS}
    # The time of a condition's last change is not news by itself.
    kept["conditions"] = {
        each["type"]: {name: value for name, value in each.items() if name != "lastTransitionTime"}
        for each in status.get("conditions", [])
    }
    return kept
