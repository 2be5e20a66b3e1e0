"""Who starts next, under which name, in which pod."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from polecat_api.bead import Priority
from polecat_api.names import first_free, object_name
from polecat_operator.planner.placement import choose_pod
from polecat_operator.world import Assignment, RigWorld, TownWorld, Waiting

AGEING_SECONDS = 1800.0
"""A waiting bead gains a step of priority in this time, so that none starves."""
EXACT_POSITIONS = 100
"""How many places of a queue are told exactly."""


def order(waiting_since: float, priority: Priority) -> float:
    """Place in the queue (lower is earlier), fixed for the whole wait: each step of priority is worth 30 minutes."""
    return waiting_since - priority.rank * AGEING_SECONDS


def schedule(world: TownWorld) -> list[tuple[str, Assignment]]:
    """(rig, assignment) for each bead that starts now. Costs as much as there are starts and rigs."""
    pods = {pod.name: pod for pod in world.pods}
    taken: set[str] = set()
    used = {rig.name: rig.used for rig in world.rigs}
    started = {rig.name: 0 for rig in world.rigs}
    heads = [(rig.waiting[0], index, 0) for index, rig in enumerate(world.rigs) if rig.waiting]
    heap = [((waiting.intent is None, waiting.order, waiting.bead), index, at) for waiting, index, at in heads]
    heapq.heapify(heap)
    starts: list[tuple[str, Assignment]] = []
    while heap and (world.allowance is None or len(starts) < world.allowance):
        _, index, at = heapq.heappop(heap)
        rig = world.rigs[index]
        if used[rig.name] >= rig.max or (rig.allowance is not None and started[rig.name] >= rig.allowance):
            continue
        pod = choose_pod(pods.values(), rig.name)
        if pod is None:
            break
        waiting = rig.waiting[at]
        name = _choose_name(rig, waiting, world, taken)
        taken.add(object_name(rig.name, name))
        starts.append((rig.name, Assignment(waiting.bead, name, pod.name)))
        pods[pod.name] = replace(pod, free=pod.free - 1, rigs=pod.rigs | {rig.name})
        used[rig.name] += 1
        started[rig.name] += 1
        if at + 1 < len(rig.waiting):
            following = rig.waiting[at + 1]
            heapq.heappush(heap, ((following.intent is None, following.order, following.bead), index, at + 1))
    return starts


def _choose_name(rig: RigWorld, waiting: Waiting, world: TownWorld, taken: set[str]) -> str:
    """The name that the bead's status holds already, unless another has it by now; else the first free one."""
    if waiting.intent is not None:
        wanted = object_name(rig.name, waiting.intent)
        if wanted not in world.taken and wanted not in taken:
            return waiting.intent
    return first_free(rig.pool, rig.name, world.taken, world.taken_intents, taken)


def positions(waiting: Sequence[Waiting]) -> dict[str, int]:
    """Bead → place, for the first hundred."""
    return {entry.bead: place for place, entry in enumerate(waiting[:EXACT_POSITIONS], start=1)}
